from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descriptors.focus import FocusSettings, corpus_words, focus_directions, focus_view
from indexer.arrays import DoubleArray, FloatArray
from indexer.errors import InputError

SETTINGS = FocusSettings()


def unit(rows: DoubleArray | FloatArray) -> FloatArray:
    result: FloatArray = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return result


def random_units(n_rows: int, dimension: int, seed: int = 0) -> FloatArray:
    return unit(np.random.default_rng(seed).normal(size=(n_rows, dimension)))


class WordEncoder:
    """Means of fixed vectors of words: feelings on the first two axes, things on the others."""

    fingerprint = "words"
    words = ("happy", "angry", "phone", "charger", "satisfied")
    table = np.array(
        [
            [1.0, 0.2, 0.0, 0.0],
            [-1.0, 0.2, 0.0, 0.0],
            [0.0, -0.5, 1.0, 0.0],
            [0.0, -0.5, 0.0, 1.0],
            [0.1, 1.0, 0.0, 0.0],
        ]
    )

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        rows = [
            sum(self.table[self.words.index(w)] for w in re.findall(r"\w+", t) if w in self.words)
            for t in texts
        ]
        return unit(np.array(rows))


TEXTS = ["happy phone", "angry phone", "happy charger", "angry charger"] * 3


def test_corpus_words_are_those_that_enough_texts_say() -> None:
    texts = ["Late again, late!", "the parcel is late", "parcel parcel", "late parcel", "lost"]
    assert corpus_words(texts, 1) == ["late", "lost", "parcel"]
    assert corpus_words(texts, 3) == ["late", "parcel"]
    assert corpus_words(texts, 4) == []
    assert corpus_words([], 1) == []


def test_directions_by_hand() -> None:
    """The two words nearest to the focus differ along the second axis; the far one is left out."""
    words = np.array([[0.8, 0.6, 0.0], [0.8, -0.6, 0.0], [0.0, 0.0, 1.0]], np.float32)
    focus = np.array([1.0, 0.0, 0.0], np.float32)
    found = focus_directions(focus, words, FocusSettings(n_words=2))
    assert found.shape == (1, 3)
    np.testing.assert_allclose(np.abs(found), [[0.0, 1.0, 0.0]], atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 40), st.integers(2, 12), st.integers(2, 50), st.integers(1, 20))
def test_directions_are_the_principal_axes_of_the_nearest_words(
    n_words: int, dimension: int, n_nearest: int, n_directions: int
) -> None:
    words = random_units(n_words, dimension, seed=n_words)
    focus = random_units(1, dimension, seed=dimension)[0]
    sizes = FocusSettings(n_words=n_nearest, n_directions=n_directions)
    found = focus_directions(focus, words, sizes)
    nearest = sorted(range(n_words), key=lambda row: -float(words[row] @ focus))[:n_nearest]
    variances, axes = np.linalg.eigh(np.cov(words[nearest].astype(np.float64).T))
    n_varying = int(np.count_nonzero(variances > variances[-1] * 1e-11))
    assert len(found) == min(n_directions, n_varying)
    np.testing.assert_allclose(found @ found.T, np.eye(len(found)), atol=1e-5)
    # The same space, whatever the signs; eigenvalues of random words are distinct.
    expected = axes[:, ::-1][:, : len(found)]
    np.testing.assert_allclose(found.T @ found, expected @ expected.T, atol=1e-3)


@pytest.mark.parametrize("n_words", [0, 1])
def test_directions_need_two_words(n_words: int) -> None:
    with pytest.raises(ValueError, match=f"found {n_words} words, expected 2"):
        focus_directions(random_units(1, 4)[0], random_units(n_words, 4), SETTINGS)


def test_the_view_is_the_unit_projection() -> None:
    encoder = WordEncoder()
    embeddings = encoder.encode(TEXTS)
    mean = embeddings.mean(axis=0)
    rows = np.array([7, 0, 2])
    sizes = FocusSettings(n_words=3, n_directions=2)
    found = focus_view("satisfied", TEXTS, encoder, embeddings, mean, sizes)(rows)
    words = encoder.encode(corpus_words(TEXTS, 3))
    directions = focus_directions(encoder.encode(["satisfied"])[0], words, sizes)
    projected = (embeddings[rows] - mean) @ directions.T
    np.testing.assert_allclose(found, unit(projected), atol=1e-5)
    assert found.dtype == np.float32
    assert found.shape == (3, 2)


def test_sentences_are_near_that_agree_in_the_focus_whatever_their_topic() -> None:
    encoder = WordEncoder()
    embeddings = encoder.encode(TEXTS)
    sizes = FocusSettings(n_words=2)
    view = focus_view("satisfied", TEXTS, encoder, embeddings, embeddings.mean(axis=0), sizes)
    happy_phone, angry_phone, happy_charger, angry_charger = view(np.arange(4))
    assert happy_phone @ happy_charger > 0.99
    assert angry_phone @ angry_charger > 0.99
    assert happy_phone @ angry_phone < -0.99


def test_half_precision_embeddings_and_a_sentence_at_the_mean() -> None:
    encoder = WordEncoder()
    embeddings = encoder.encode(TEXTS).astype(np.float16)
    mean = embeddings[0].astype(np.float32)
    found = focus_view("satisfied", TEXTS, encoder, embeddings, mean)(np.arange(4))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[0], 0.0)
    np.testing.assert_allclose(np.linalg.norm(found[1:], axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("texts", [[], ["happy phone", "angry charger"], ["happy"] * 3])
def test_texts_that_repeat_too_little_are_told(texts: list[str]) -> None:
    encoder = WordEncoder()
    with pytest.raises(InputError, match=r"--focus .* found [01] words"):
        focus_view("satisfied", texts, encoder, encoder.encode(TEXTS), np.zeros(4, np.float32))
