"""One pass over a text, against reading it once for the store and once for its tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from indexer.errors import BackendError, InputError
from neurons.reading import ExtractionSettings, LongTexts, read, tokenized
from neurons.records import NeuronId, Pooling, Site
from neurons.subject import SubjectModel
from neurons.subject_files import Precision
from neurons.text_reading import read_text
from neurons.tokens import token_activations

SHORT = "The PHONE broke again, or [SEP] not? late"
LONG = "good bad late fast " * 12
NEURONS = (
    NeuronId(1, Site.FFN, 5),
    NeuronId(0, Site.HIDDEN, 31),
    NeuronId(1, Site.FFN, 0),
    NeuronId(1, Site.HIDDEN, 2),
    NeuronId(0, Site.FFN, 47),
)


def assert_as_read_twice(subject: SubjectModel, text: str, settings: ExtractionSettings) -> None:
    sites = subject.architecture.layer_sites(Site)
    found = read_text(subject, text, sites, settings)
    pooled = read([subject], tokenized(subject, [text], settings), sites, settings).activations[0]
    assert tuple(found.pooled) == sites
    together = np.concatenate(list(found.pooled.values()))
    assert together.astype(np.float16).tobytes() == pooled.tobytes()
    [expected] = token_activations(subject, [text], NEURONS)
    tokens = found.token_activations(NEURONS)
    assert tokens.activations.tobytes() == expected.activations.tobytes()
    assert tokens.activations.shape == expected.activations.shape
    assert (tokens.text, tokens.tokens, tokens.neurons, tokens.truncated_tokens) == (
        expected.text,
        expected.tokens,
        expected.neurons,
        expected.truncated_tokens,
    )


def count_passes(subject: SubjectModel, read_it: Callable[[], object]) -> int:
    passes: list[None] = []
    hook = subject.model.register_forward_pre_hook(lambda *_: passes.append(None))
    try:
        read_it()
    finally:
        hook.remove()
    return len(passes)


def n_hooks(subject: SubjectModel) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in subject.model.modules()
    )


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


@pytest.mark.parametrize("pooling", list(Pooling))
def test_every_family_is_read_as_by_two_passes(
    pooling: Pooling, family: str, tiny_model: Callable[[str], Path]
) -> None:
    subject = SubjectModel.load(str(tiny_model(family)), "cpu")
    settings = ExtractionSettings(pooling=pooling)
    for text in (SHORT, LONG, "", "[CLS]", "late"):
        assert_as_read_twice(subject, text, settings)


@pytest.mark.parametrize("pooling", list(Pooling))
@pytest.mark.parametrize("long_texts", list(LongTexts))
@pytest.mark.parametrize("maximum_tokens", [None, 6, 10, 32])
def test_shortened_and_cut_texts(
    pooling: Pooling, long_texts: LongTexts, maximum_tokens: int | None, subject: SubjectModel
) -> None:
    settings = ExtractionSettings(
        pooling=pooling, long_texts=long_texts, maximum_tokens=maximum_tokens
    )
    for n_words in (1, 3, 4, 5, 8, 9, 29, 30, 31, 70):
        assert_as_read_twice(subject, " ".join(["late", "good"] * 35)[: 5 * n_words], settings)


@pytest.mark.parametrize("precision", [Precision.BFLOAT16, Precision.FLOAT16])
def test_lower_precision(precision: Precision, tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("bert")), "cpu", precision=precision)
    assert_as_read_twice(subject, SHORT, ExtractionSettings(precision=precision))


def test_values_beyond_float16_are_clipped_as_in_a_store(subject: SubjectModel) -> None:
    with torch.no_grad():
        subject.architecture.feed_forwards[0].up.bias[47] = 1e6
    settings = ExtractionSettings()
    assert_as_read_twice(subject, SHORT, settings)
    found = read_text(subject, SHORT, subject.architecture.layer_sites([Site.FFN]), settings)
    assert next(iter(found.pooled.values()))[47] == 65504.0
    assert found.token_activations([NEURONS[4]]).activations.min() > 65504.0


@pytest.mark.parametrize(
    ("settings", "n_words", "expected"),
    [
        ({}, 3, 1),
        ({}, 60, 1),
        ({"maximum_tokens": 10}, 7, 1),
        ({"maximum_tokens": 10}, 60, 2),
        ({"long_texts": LongTexts.WINDOW}, 30, 1),
        ({"long_texts": LongTexts.WINDOW, "maximum_tokens": 10}, 8, 1),
        ({"long_texts": LongTexts.WINDOW}, 40, 2),
    ],
)
def test_one_pass_is_enough_unless_the_run_saw_less_than_is_shown(
    settings: dict[str, Any], n_words: int, expected: int, subject: SubjectModel
) -> None:
    sites = subject.architecture.layer_sites(Site)
    chosen = ExtractionSettings(**settings)
    text = " ".join(["late"] * n_words)
    assert count_passes(subject, lambda: read_text(subject, text, sites, chosen)) == expected


def test_some_sites_alone(subject: SubjectModel) -> None:
    sites = subject.architecture.layer_sites([Site.HIDDEN])[1:]
    found = read_text(subject, SHORT, sites, ExtractionSettings())
    assert tuple(found.pooled) == sites
    assert found.token_activations([NEURONS[3]]).activations.shape[1] == 1
    assert found.token_activations([]).activations.shape[1] == 0
    with pytest.raises(KeyError):
        found.token_activations([NEURONS[0]])


@pytest.mark.parametrize("maximum_tokens", [None, 6])
def test_no_hook_is_left_behind(maximum_tokens: int | None, subject: SubjectModel) -> None:
    before = n_hooks(subject)
    settings = ExtractionSettings(maximum_tokens=maximum_tokens)
    sites = subject.architecture.layer_sites(Site)
    read_text(subject, LONG, sites, settings)
    assert n_hooks(subject) == before
    with pytest.raises(InputError, match="not valid Unicode"):
        read_text(subject, "half \ud800", sites, settings)
    assert n_hooks(subject) == before
    with torch.no_grad():
        subject.architecture.feed_forwards[1].up.bias[3] = float("nan")
    with pytest.raises(BackendError, match=r"NaN at L1\.ffn\.3"):
        read_text(subject, LONG, sites, settings)
    assert n_hooks(subject) == before


def test_no_hook_is_left_after_the_model_fails(subject: SubjectModel) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("inside the forward pass")

    hook = subject.architecture.blocks[1].register_forward_hook(fail)
    before = n_hooks(subject)
    with pytest.raises(RuntimeError, match="inside"):
        read_text(subject, SHORT, subject.architecture.layer_sites(Site), ExtractionSettings())
    assert n_hooks(subject) == before
    hook.remove()
