"""The words that `explain` shows for a neuron."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from neurons.records import NeuronId, Tail
from neurons.token_exemplars import TopWord
from neurons.tokens import token_activations
from neurons.word_spans import word_spans
from service.explain import explain_neuron
from service.finished_run import FinishedRun
from service.terminal_explain import words_line
from service.word_answers import WORDS_KEPT, driving_words

NEURON = NeuronId.parse("L1.ffn.7")


@pytest.fixture
def run(small_run: Path) -> FinishedRun:
    return FinishedRun(small_run, "cpu")


def test_the_words_of_the_positive_tail_against_all_words_of_the_corpus(run: FinishedRun) -> None:
    texts = [run.corpus.text(row) for row in range(len(run.corpus))]
    strengths: list[tuple[float, str]] = []
    for read in token_activations(run.subject, texts, [NEURON]):
        spans = word_spans(read.text, read.tokens)
        for (start, end), value in zip(
            spans.places, spans.strongest(read.activations)[:, 0], strict=True
        ):
            strengths.append((float(value), read.text[start:end].casefold()))
    strengths.sort(key=lambda pair: -pair[0])
    expected = Counter(word for _, word in strengths[:WORDS_KEPT])
    found = driving_words(run, NEURON)[Tail.POSITIVE]
    assert sum(word.count for word in found) == WORDS_KEPT
    # Batches differ, and with them the last digits: a word at the edge may be another one.
    counted = Counter({word.word.casefold(): word.count for word in found})
    assert (expected - counted).total() <= 1
    assert [word.count for word in found] == sorted((w.count for w in found), reverse=True)
    assert np.isfinite([word.mean_activation for word in found]).all()


def test_a_neuron_is_told_with_its_words(run: FinishedRun) -> None:
    answer = explain_neuron(run, str(NEURON))
    assert all(tail.words for tail in answer.tails)


def test_words_in_a_line() -> None:
    words = [TopWord(word=f"w{n}", count=12 - n, mean_activation=1.0) for n in range(10)]
    assert words_line([TopWord(word="\x1b[31mred", count=2, mean_activation=1.0)]).plain.endswith(
        "red 2"
    )
    assert "\x1b" not in words_line([TopWord(word="\x1bx", count=2, mean_activation=1.0)]).plain
    assert words_line(words).plain == (
        "strongest 75 words: w0 12, w1 11, w2 10, w3 9, w4 8, w5 7, w6 6, w7 5"
    )
