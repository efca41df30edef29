from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import BackendError
from neurons import word_activations
from neurons.exemplars import NeuronTail
from neurons.listed_texts import ListedTexts
from neurons.records import NeuronId, Site, Tail
from neurons.subject import SubjectModel
from neurons.tokens import token_activations
from neurons.word_activations import word_strengths

UP = NeuronTail(NeuronId(1, Site.FFN, 5), Tail.POSITIVE)
DOWN = NeuronTail(NeuronId(1, Site.FFN, 5), Tail.NEGATIVE)
OTHER = NeuronTail(NeuronId(0, Site.HIDDEN, 3), Tail.POSITIVE)
SENTENCES = ["the batteryz is good", "", "slow, slow", "late refund again"]
EVERY = np.arange(len(SENTENCES))


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def hooks(subject: SubjectModel) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in subject.model.modules()
    )


def test_words_have_the_largest_strength_of_their_tokens(subject: SubjectModel) -> None:
    read = list(word_strengths(subject, ListedTexts(SENTENCES), [UP, DOWN, OTHER], EVERY))
    assert [one.row for one in read] == [0, 1, 2, 3]
    shown = [[one.text[start:end] for start, end in one.places.tolist()] for one in read]
    assert shown == [
        ["the", "batteryz", "is", "good"],
        [],
        ["slow", ",", "slow"],
        ["late", "refund", "again"],
    ]
    [tokens] = token_activations(subject, SENTENCES[:1], [UP.neuron])
    # "batteryz" is cut into several tokens between "the" and the last two words.
    inside = tokens.activations[1:-2, 0]
    assert len(inside) > 1
    np.testing.assert_allclose(read[0].strengths[1, :2], [inside.max(), -inside.min()], atol=1e-6)
    assert [one.strengths.shape for one in read] == [(4, 3), (0, 3), (3, 3), (3, 3)]


def test_only_the_rows_asked_for_are_read_in_portions(
    subject: SubjectModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.array([3, 0])
    whole = list(word_strengths(subject, ListedTexts(SENTENCES), [UP], rows))
    monkeypatch.setattr(word_activations, "_PORTION_BYTES", 1)
    one_by_one = list(word_strengths(subject, ListedTexts(SENTENCES), [UP], rows))
    assert [one.row for one in whole] == [one.row for one in one_by_one] == [3, 0]
    for first, second in zip(whole, one_by_one, strict=True):
        np.testing.assert_allclose(first.strengths, second.strengths, atol=1e-5)


def test_no_hook_is_left_behind_also_not_by_an_error(subject: SubjectModel) -> None:
    before = hooks(subject)
    list(word_strengths(subject, ListedTexts(SENTENCES), [UP], EVERY))
    assert hooks(subject) == before
    with torch.no_grad():
        next(iter(subject.model.parameters())).fill_(float("nan"))
    with pytest.raises(BackendError, match="no finite number on sentence row 0"):
        list(word_strengths(subject, ListedTexts(SENTENCES), [UP], EVERY))
    assert hooks(subject) == before
