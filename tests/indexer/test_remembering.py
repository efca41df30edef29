from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from indexer.arrays import FloatArray
from indexer.remembering import RememberingEncoder


class Lengths:
    """A real rule, and a record of what was asked."""

    name, fingerprint, dimension = "lengths", "lengths-1", 2

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        self.asked.append(list(texts))
        angles = np.array([len(text) for text in texts], dtype=np.float32)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def count_truncated(self, texts: Sequence[str]) -> int:
        return sum(len(text) > 3 for text in texts)


def test_each_text_is_encoded_once_and_answers_are_those_of_the_encoder() -> None:
    own = Lengths()
    encoder = RememberingEncoder(own)
    asked = ["a", "bb", "a", "ccc"]
    assert np.array_equal(encoder.encode(asked), Lengths().encode(asked))
    assert np.array_equal(encoder.encode(["ccc", "dddd"]), Lengths().encode(["ccc", "dddd"]))
    assert own.asked == [["a", "bb", "ccc"], ["dddd"]]


def test_what_is_told_is_not_computed() -> None:
    own = Lengths()
    encoder = RememberingEncoder(own)
    told = np.array([[0.6, 0.8]], dtype=np.float16)
    encoder.remember(["told"], told)
    found = encoder.encode(["told", "told"])
    assert found.dtype == np.float32
    assert np.array_equal(found, np.repeat(told.astype(np.float32), 2, axis=0))
    assert own.asked == []


def test_no_texts_have_no_vectors() -> None:
    own = Lengths()
    assert RememberingEncoder(own).encode([]).shape == (0, 2)
    assert own.asked == []


def test_vectors_of_another_shape_are_refused() -> None:
    encoder = RememberingEncoder(Lengths())
    with pytest.raises(ValueError, match=r"found vectors of shape \(1, 3\), expected \(1, 2\)"):
        encoder.remember(["a"], np.zeros((1, 3), dtype=np.float32))


def test_it_is_the_encoder_it_asks() -> None:
    own = Lengths()
    encoder = RememberingEncoder(own)
    assert (encoder.name, encoder.fingerprint, encoder.dimension) == ("lengths", "lengths-1", 2)
    assert encoder.count_truncated(["a", "long text"]) == 1
