"""vLLM runs the decoder of the shipped embedded generator on the prefixes that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from descriptors.vllm_engine import VLLMSettings, engine_arguments, start_engine, stop_engine

pytest.importorskip("vllm", reason="vLLM is not installed; `make test-vllm` installs and runs it")

N_TOKENS = 8
GROUPS = (
    ("The battery died after a day.", "It needs charging twice a day.", "The charger broke."),
    ("My parcel is late.", "It arrived two weeks after I ordered it."),
    ("I want my money back.",),
)


def prefixes(generator: Any) -> list[Any]:
    """What the decoder reads of each group (`n_places, width`); the groups differ in length."""
    import torch

    from descriptors.embedded_model import PrefixInput, build_batch
    from descriptors.word_embeddings import START_TOKEN
    from indexer.encoder import SentenceEncoder

    encoder = SentenceEncoder.load("bundled", "cpu")
    inputs = []
    for texts in GROUPS:
        vectors = encoder.encode(texts)
        words = tuple(generator.pieces("battery"))
        inputs.append(PrefixInput(vectors, vectors.mean(axis=0), vectors[:0], words))
    batch = build_batch(inputs, generator.model.shape, START_TOKEN)
    with torch.inference_mode():
        read = generator.model.prefix(batch)
    # A plain tensor again, as vLLM passes it on to another process.
    return [row[mask.bool()].clone() for row, mask in zip(read, batch.mask, strict=True)]


def greedy_by_transformers(decoder: Any, given: list[Any], end: int) -> list[list[int]]:
    """The tokens that transformers continues each prefix with, up to the end token."""
    import torch

    found = []
    for prefix in given:
        written = decoder.generate(
            inputs_embeds=prefix[None],
            attention_mask=torch.ones(1, len(prefix), dtype=torch.long),
            do_sample=False,
            max_new_tokens=N_TOKENS,
            eos_token_id=end,
            pad_token_id=0,
        )
        found.append(written[0].tolist())
    return found


def greedy_by_vllm(engine: Any, given: list[Any], end: int) -> list[list[int]]:
    """The tokens that vLLM continues each prefix with, up to the end token."""
    from vllm import SamplingParams

    sampling = SamplingParams(temperature=0.0, max_tokens=N_TOKENS, stop_token_ids=[end])
    outputs = engine.generate([{"prompt_embeds": each} for each in given], sampling, use_tqdm=False)
    return [list(output.outputs[0].token_ids) for output in outputs]


def test_vllm_names_groups_like_transformers(tmp_path: Path) -> None:
    from descriptors.embedded_generator import EmbeddedGenerator
    from descriptors.word_embeddings import END_TOKEN

    generator = EmbeddedGenerator.load()
    generator.model.decoder.save_pretrained(tmp_path)
    generator.tokenizer.save_pretrained(tmp_path)
    given = prefixes(generator)
    settings = VLLMSettings(dtype="float32", enforce_eager=True)
    arguments = engine_arguments(str(tmp_path), settings) | {"enable_prompt_embeds": True}
    engine = start_engine("embedded", arguments)
    try:
        by_vllm = greedy_by_vllm(engine, given, END_TOKEN)
    finally:
        stop_engine(engine)
    assert by_vllm == greedy_by_transformers(generator.model.decoder, given, END_TOKEN)
    # Otherwise the prefixes would not have been read.
    assert len({tuple(tokens) for tokens in by_vllm}) > 1
