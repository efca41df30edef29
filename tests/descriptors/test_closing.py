"""Back ends let go of what they hold, and may be used again."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

from descriptors.lm_proposer import LMProposer
from descriptors.openai_backend import OpenAIGenerator, OpenAISettings
from descriptors.transformers_backend import TransformersGenerator, TransformersSettings
from tests.descriptors.lm_fixtures import chat_request, chat_server, save_chat_model


def test_transformers_lets_go_of_the_weights(tmp_path: Path) -> None:
    settings = TransformersSettings(device="cpu")
    generator = TransformersGenerator(str(save_chat_model(tmp_path)), settings)
    proposer = LMProposer(generator)
    proposer.close()
    first = list(generator.generate([chat_request()]))
    weights = weakref.ref(generator._model.model)
    gc.disable()
    try:
        proposer.close()
        assert weights() is None
    finally:
        gc.enable()
    assert list(generator.generate([chat_request()])) == first


def test_a_server_is_asked_again_after_closing() -> None:
    with chat_server() as server:
        generator = OpenAIGenerator("small-chat", OpenAISettings(base_url=server.base_url))
        proposer = LMProposer(generator)
        first = list(generator.generate([chat_request()]))
        proposer.close()
        proposer.close()
        assert list(generator.generate([chat_request()])) == first
