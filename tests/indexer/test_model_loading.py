"""Loading models in several threads leaves the libraries as they were."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from transformers import PreTrainedModel

from indexer.encoder import SentenceEncoder
from neurons.random_weights import with_random_weights
from neurons.subject import SubjectModel

_LOADS = 12


def test_threads_that_load_at_once_put_everything_back(tiny_model: Callable[[str], Path]) -> None:
    folder = str(tiny_model("bert"))
    subject = SubjectModel.load(folder, "cpu")
    before = PreTrainedModel.tie_weights, torch.nn.init.normal_, torch.nn.init.zeros_

    def load(number: int) -> object:
        kinds: tuple[Callable[[], object], ...] = (
            lambda: SubjectModel.load(folder, "cpu"),
            lambda: SentenceEncoder.load(folder, "cpu"),
            lambda: with_random_weights(subject, number),
        )
        return kinds[number % len(kinds)]()

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(load, range(_LOADS)))
    assert (PreTrainedModel.tie_weights, torch.nn.init.normal_, torch.nn.init.zeros_) == before
