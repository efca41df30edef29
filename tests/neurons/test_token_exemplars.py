from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from numpy.typing import NDArray

from indexer.arrays import IntArray
from indexer.errors import BackendError, InputError
from neurons import token_exemplars
from neurons.extraction import extract
from neurons.listed_texts import ListedTexts
from neurons.reading import ExtractionSettings
from neurons.records import NeuronId, Pooling, Site, Tail
from neurons.store import ActivationStore
from neurons.subject import SubjectModel
from neurons.token_exemplars import (
    StrongSpan,
    TokenExemplarReport,
    TokenExemplars,
    find_token_exemplars,
    rows_that_matter,
)
from neurons.tokens import token_activations

NEURONS = (NeuronId(1, Site.FFN, 5), NeuronId(0, Site.HIDDEN, 31), NeuronId(1, Site.HIDDEN, 0))
SENTENCES = [
    "the battery is very good",
    "Late",
    "",
    "phone brokez again after three days",
    "slow, slow, slow!",
    "i love the  screenz",
    "a refund or money again",
    "late",
    "[SEP] the phone [CLS]",
    "very very loud",
]
EVERY = np.arange(len(SENTENCES))


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def hooks(subject: SubjectModel) -> int:
    return sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks)
        for module in subject.model.modules()
    )


def plain(
    subject: SubjectModel, rows: IntArray, neuron: NeuronId, tail: Tail
) -> list[tuple[float, int, int, int]]:
    """Strength, row, start and end of every word, strongest first; one text at a time."""
    sign = 1.0 if tail is Tail.POSITIVE else -1.0
    found = []
    for row in rows.tolist():
        [read] = token_activations(subject, [SENTENCES[row]], [neuron])
        words: dict[tuple[int, int], list[float]] = {}
        for token, value in zip(read.tokens, read.activations[:, 0].tolist(), strict=True):
            start, end = token.start, token.end
            while start and SENTENCES[row][start - 1].isalpha() and token.text.isalpha():
                start -= 1
            while end < len(read.text) and read.text[end].isalpha() and token.text.isalpha():
                end += 1
            words.setdefault((start, end), []).append(sign * value)
        found += [(max(values), row, *place) for place, values in words.items()]
    return sorted(found, key=lambda each: -each[0])


def strengths(one: TokenExemplars) -> list[float]:
    sign = 1.0 if one.tail is Tail.POSITIVE else -1.0
    return [sign * span.activation for span in one.spans]


@pytest.mark.parametrize("limit", [1, 4, 500])
def test_agrees_with_one_text_at_a_time(subject: SubjectModel, limit: int) -> None:
    report = find_token_exemplars(subject, ListedTexts(SENTENCES), NEURONS, EVERY, limit)
    assert [(one.neuron, one.tail) for one in report.exemplars] == [
        (str(neuron), tail) for neuron in NEURONS for tail in Tail
    ]
    for one in report.exemplars:
        expected = plain(subject, EVERY, NeuronId.parse(one.neuron), one.tail)
        assert report.spans == len(expected)
        assert len(one.spans) == min(limit, len(expected))
        assert strengths(one) == pytest.approx(
            [each[0] for each in expected[:limit]], rel=1e-4, abs=2e-4
        )
        known = {each[1:]: each[0] for each in expected}
        for span, strength in zip(one.spans, strengths(one), strict=True):
            assert strength == pytest.approx(
                known[span.row, span.start, span.end], rel=1e-4, abs=2e-4
            )
            assert SENTENCES[span.row][span.start : span.end] == span.text
        assert len({(span.row, span.start) for span in one.spans}) == len(one.spans)


def test_whole_words_are_shown_and_special_tokens_are_not(subject: SubjectModel) -> None:
    report = find_token_exemplars(subject, ListedTexts(SENTENCES), NEURONS[:1], EVERY, 500)
    shown = [span.text for span in report.exemplars[0].spans]
    words = "the battery is very good Late phone brokez again after three days slow , slow , slow !"
    words += " i love the screenz a refund or money again late the phone very very loud"
    assert sorted(shown) == sorted(words.split())
    assert (report.sentences, report.spans, report.blank_tokens) == (10, len(words.split()), 0)


def test_single_tokens_are_those_of_the_model(subject: SubjectModel) -> None:
    report = find_token_exemplars(
        subject, ListedTexts(SENTENCES), NEURONS[:1], EVERY[3:4], 500, whole_words=False
    )
    [read] = token_activations(subject, SENTENCES[3:4], NEURONS[:1])
    order = np.argsort(-read.activations[:, 0], kind="stable")
    assert [(span.start, span.end, span.text) for span in report.exemplars[0].spans] == [
        (read.tokens[place].start, read.tokens[place].end, read.tokens[place].text)
        for place in order
    ]
    assert {"broke", "z"} <= {span.text for span in report.exemplars[0].spans}


def test_portions_of_any_size_give_the_same_words(
    subject: SubjectModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Equal sentences tie but for what the size of a batch does to the last digit.
    rows = EVERY[EVERY != 7]
    expected = find_token_exemplars(subject, ListedTexts(SENTENCES), NEURONS, rows, 6)
    for n_bytes, n_sentences in ((1, 4096), (200, 3), (1 << 26, 1), (500, 4)):
        monkeypatch.setattr(token_exemplars, "_PORTION_BYTES", n_bytes)
        monkeypatch.setattr(token_exemplars, "_PORTION_SENTENCES", n_sentences)
        found = find_token_exemplars(subject, ListedTexts(SENTENCES), NEURONS, rows, 6)
        assert _places(found) == _places(expected)
        for one, other in zip(found.exemplars, expected.exemplars, strict=True):
            assert strengths(one) == pytest.approx(strengths(other), abs=2e-4)


def _places(report: TokenExemplarReport) -> list[list[tuple[int, int, str]]]:
    return [[(span.row, span.start, span.text) for span in one.spans] for one in report.exemplars]


@settings(deadline=None)
@given(
    values=hypothesis_numpy.arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(0, 25)),
        elements=st.sampled_from([-2.0, -0.0, 0.0, 1.0]),
    ),
    cuts=st.lists(st.integers(0, 25), max_size=4),
    limit=st.integers(0, 8),
)
def test_merging_portions_is_one_stable_sort(
    values: NDArray[np.float32], cuts: list[int], limit: int
) -> None:
    places = np.arange(values.shape[1])[:, np.newaxis] * [1, 10, 100]
    kept = token_exemplars._Kept.none(len(values), limit)
    for part in np.split(np.arange(values.shape[1]), sorted(cuts)):
        kept.merge(values[:, part], places[part])
    order = np.argsort(-values, axis=1, kind="stable")[:, :limit]
    n_kept = order.shape[1]
    np.testing.assert_array_equal(kept.places[:, :n_kept], places[order])
    expected = np.take_along_axis(values, order, axis=1)
    np.testing.assert_array_equal(kept.strengths[:, :n_kept], expected)
    assert (kept.places[:, n_kept:] == -1).all()
    assert (kept.strengths[:, n_kept:] == -np.inf).all()


def test_rows_that_matter_hold_the_strongest_words_of_positive_tails(
    subject: SubjectModel, tmp_path: Path
) -> None:
    content = np.array([row for row in EVERY if row != 2])
    extract(subject, ListedTexts(SENTENCES), tmp_path, ExtractionSettings(pooling=Pooling.MAX), "k")
    store = ActivationStore.open(tmp_path)
    for limit in (1, 2):
        rows = rows_that_matter(store, NEURONS[:1], content, limit)
        assert rows.tolist() == sorted(set(rows.tolist())) != content.tolist()
        few = find_token_exemplars(subject, ListedTexts(SENTENCES), NEURONS[:1], rows, limit)
        every = find_token_exemplars(subject, ListedTexts(SENTENCES), NEURONS[:1], content, limit)
        assert strengths(few.exemplars[0]) == pytest.approx(
            strengths(every.exemplars[0]), rel=1e-3, abs=1e-3
        )
    assert rows_that_matter(store, [], content, 3).tolist() == []


def test_top_words_are_counted_without_regard_to_case() -> None:
    spans = tuple(
        StrongSpan(row=row, start=0, end=4, text=text, activation=activation)
        for row, (text, activation) in enumerate(
            [("Late", -5.0), ("slow", -4.5), ("good", -4.0), ("late", -3.0), ("LATE", -1.0)]
        )
    )
    found = TokenExemplars(neuron="L0.ffn.0", tail=Tail.NEGATIVE, spans=spans).top_words
    assert [(one.word, one.count, one.mean_activation) for one in found] == [
        ("Late", 3, -3.0),
        ("slow", 1, -4.5),
        ("good", 1, -4.0),
    ]
    assert TokenExemplars(neuron="L0.ffn.0", tail=Tail.POSITIVE, spans=()).top_words == ()


def test_nothing_asked_for_is_an_empty_answer(subject: SubjectModel) -> None:
    texts = ListedTexts(SENTENCES)
    assert find_token_exemplars(subject, texts, [], EVERY, 3).exemplars == ()
    for report in (
        find_token_exemplars(subject, texts, NEURONS, EVERY[:0], 3),
        find_token_exemplars(subject, texts, NEURONS, EVERY[2:3], 3),
        find_token_exemplars(subject, texts, NEURONS, EVERY, 0),
    ):
        assert [one.spans for one in report.exemplars] == [()] * 6
    with pytest.raises(ValueError, match="limit is -1"):
        find_token_exemplars(subject, texts, NEURONS, EVERY, -1)


def test_truncated_tokens_are_counted(subject: SubjectModel) -> None:
    texts = ListedTexts(["good " * 40, "late"])
    report = find_token_exemplars(subject, texts, NEURONS, np.arange(2), 3)
    assert (report.truncated_tokens, report.spans) == (10, 31)


def test_a_neuron_the_model_lacks_is_refused(subject: SubjectModel) -> None:
    with pytest.raises(InputError, match=r"L0[.]ffn[.]48 does not exist"):
        find_token_exemplars(subject, ListedTexts(SENTENCES), [NeuronId(0, Site.FFN, 48)], EVERY, 3)


def test_no_hook_is_left(subject: SubjectModel) -> None:
    before = hooks(subject)
    find_token_exemplars(subject, ListedTexts(SENTENCES), NEURONS, EVERY, 3)
    assert hooks(subject) == before


def test_activations_that_are_no_numbers_are_told_and_leave_no_hook(
    save_model: Callable[[str, Path], None], tmp_path: Path
) -> None:
    save_model("bert", tmp_path)
    subject = SubjectModel.load(str(tmp_path), "cpu")
    before = hooks(subject)
    with torch.no_grad():
        subject.model.get_submodule("encoder.layer.1.intermediate.dense").bias[5] = torch.nan
    with pytest.raises(BackendError, match=r"nan for L1[.]ffn[.]5 on sentence row 3"):
        find_token_exemplars(subject, ListedTexts(SENTENCES), NEURONS, EVERY[3:], 3)
    assert hooks(subject) == before


def test_byte_level_tokens_make_whole_words(tiny_model: Callable[[str], Path]) -> None:
    subject = SubjectModel.load(str(tiny_model("roberta")), "cpu")
    text = "the Züge — broke  again"
    report = find_token_exemplars(subject, ListedTexts([text]), NEURONS[:1], np.arange(1), 50)
    assert sorted(span.text for span in report.exemplars[0].spans) == sorted(text.split())
    single = find_token_exemplars(
        subject, ListedTexts([text]), NEURONS[:1], np.arange(1), 50, whole_words=False
    )
    blank = [span for span in single.exemplars[0].spans if not span.text.strip()]
    assert single.spans > report.spans
    assert (single.blank_tokens, report.blank_tokens) == (0, len(blank))
    assert blank
