import hashlib
import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from descriptors.splits import (
    MIN_SPLIT_SENTENCES,
    SplitFractions,
    split_by_document,
    split_documents,
)
from indexer.errors import InputError

HALF = SplitFractions()


@pytest.mark.parametrize("text", ["50/15/35", "0.5/0.15/0.35", " 50 / 15 / 35 "])
def test_parse(text: str) -> None:
    assert SplitFractions.parse(text) == HALF
    assert str(HALF) == "50/15/35"


@pytest.mark.parametrize(
    "text", ["", "50/50", "50/15/30", "100/0/0", "-10/60/50", "a/b/c", "nan/1/1"]
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InputError, match="for example 50/15/35"):
        SplitFractions.parse(text)


def test_fractions_must_sum_to_one() -> None:
    with pytest.raises(ValidationError, match="sum to"):
        SplitFractions(discover=0.5, validation=0.5, test=0.5)


def test_cuts_fall_where_the_hashes_say() -> None:
    documents = [f"document {i}" for i in range(200)]
    ordered = sorted(documents, key=lambda d: hashlib.sha256(f"7\0{d}".encode()).digest())
    codes = split_by_document(documents, HALF, seed=7)
    expected = {d: 0 if i < 100 else 1 if i < 130 else 2 for i, d in enumerate(ordered)}
    assert codes.tolist() == [expected[d] for d in documents]
    assert codes.dtype == np.int8


def test_order_of_the_file_plays_no_part_and_the_seed_does() -> None:
    documents = [f"d{i % 90}" for i in range(600)]
    codes = dict(zip(documents, split_by_document(documents, HALF, 0).tolist(), strict=True))
    shuffled = documents.copy()
    random.Random(1).shuffle(shuffled)
    again = split_by_document(shuffled, HALF, 0).tolist()
    assert again == [codes[document] for document in shuffled]
    assert split_by_document(shuffled, HALF, 1).tolist() != again


@given(st.lists(st.integers(1, 30), min_size=3, max_size=60), st.integers(0, 5))
def test_no_document_is_taken_apart_and_shares_are_near(sizes: list[int], seed: int) -> None:
    documents = [f"d{i}" for i, size in enumerate(sizes) for _ in range(size)]
    try:
        codes = split_by_document(documents, HALF, seed)
    except InputError:
        assume(False)
    counts = np.bincount(codes, minlength=3)
    assert counts.min() >= MIN_SPLIT_SENTENCES
    assert all(
        len({c for c, d in zip(codes, documents, strict=True) if d == f"d{i}"}) == 1
        for i in range(len(sizes))
    )
    if min(sizes) * 3 > max(sizes) and len(sizes) > 20:
        assert np.abs(counts - np.array([0.5, 0.15, 0.35]) * len(documents)).max() <= max(sizes)


def test_three_documents_give_three_splits() -> None:
    assert sorted(split_documents(["a", "b", "c"], np.array([500, 10, 40]), HALF, 0)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "found 0 documents with 0 sentences"),
        (["a"], "found 1 documents with 1 sentences"),
        (["a"] * 500 + ["b"] * 500, "found 2 documents with 1000 sentences.*3 documents"),
        (
            [f"d{i}" for i in range(30)],
            "found 30 documents with 30 sentences.*10 sentences in every",
        ),
    ],
)
def test_unusable_split(documents: list[str], message: str) -> None:
    with pytest.raises(InputError, match=f"no usable split: {message}.*What works"):
        split_by_document(documents, HALF, 0)


def test_advised_number_of_sentences_works() -> None:
    for seed in range(20):
        counts = np.bincount(split_by_document([f"d{i}" for i in range(100)], HALF, seed))
        assert counts.tolist() == [50, 15, 35]


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 documents but 1"):
        split_documents(["a", "b"], np.array([1]), HALF, 0)
