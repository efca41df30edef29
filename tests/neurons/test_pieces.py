from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.batching import TokenizedText
from neurons.pieces import TokenizedPieces, cut, merged, whole
from neurons.records import Pooling
from neurons.subject import SubjectModel


@pytest.fixture(scope="module")
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def content(subject: SubjectModel, pieces: TokenizedPieces) -> list[list[str]]:
    """Content words of each text, over all of its pieces."""
    found: list[list[str]] = [[] for _ in range(int(pieces.text_of.max()) + 1)]
    for piece, text in zip(pieces.pieces, pieces.text_of, strict=True):
        own = piece.token_ids[piece.content_mask].tolist()
        found[text] += subject.tokenizer.convert_ids_to_tokens(own)
    return found


def test_a_long_text_is_cut_with_context_that_is_no_content(subject: SubjectModel) -> None:
    words = ["good", "bad", "late", "fast", "again", "loud", "sound", "case", "phone", "money"]
    found = cut(subject, [" ".join(words), "late"], 10)
    # Eight words fit; the last quarter of them begins the second piece again.
    assert found.text_of.tolist() == [0, 0, 1]
    assert found.lengths.tolist() == [10, 6, 3]
    assert found.content.tolist() == [8, 2, 1]
    assert found.begins.tolist() == [True, False, True]
    ids = subject.tokenizer.convert_tokens_to_ids(words)
    assert found.pieces[1].token_ids[1:5].tolist() == ids[6:]
    assert content(subject, found) == [subject.tokenizer.tokenize(" ".join(words)), ["late"]]
    report = found.report()
    assert (report.sentences, report.windowed_sentences, report.truncated_sentences) == (2, 1, 0)
    assert (report.tokens, report.truncated_tokens) == (19, 0)


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    longest=st.integers(4, 12),
    seed=st.integers(0, 9),
)
def test_every_token_is_content_once_and_in_order(
    counts: list[int], longest: int, seed: int, subject: SubjectModel
) -> None:
    words = np.random.default_rng(seed).choice(["good", "late", "[SEP]", "case"], size=(5, 40))
    texts = [" ".join(row[:count]) for row, count in zip(words, counts, strict=False)]
    found = cut(subject, texts, longest)
    expected = [[word for word in text.split() if word != "[SEP]"] for text in texts]
    assert content(subject, found) == expected
    assert found.lengths.max() <= longest
    empty = sum(not each for each in expected)
    assert found.report().sentences_without_content_tokens == empty


def test_texts_that_fit_are_the_same_either_way(subject: SubjectModel) -> None:
    texts = ["good late", "", "case"]
    for one, other in zip(
        cut(subject, texts, 16).pieces, whole(subject, texts, 16).pieces, strict=True
    ):
        assert one.token_ids.tolist() == other.token_ids.tolist()
        assert one.content_mask.tolist() == other.content_mask.tolist()


def pieces_of(text_of: list[int], content_tokens: list[int]) -> TokenizedPieces:
    def piece(count: int) -> TokenizedText:
        mask = np.zeros(6, dtype=np.bool_)
        mask[:count] = True
        return TokenizedText(np.zeros(6, np.int64), mask, np.zeros((6, 2), np.int64), 0)

    return TokenizedPieces(tuple(map(piece, content_tokens)), np.asarray(text_of))


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (Pooling.MAX, [[3.0, 4.0], [9.0, 9.0], [7.0, 8.0]]),
        (Pooling.MEAN, [[2.5, 2.5], [9.0, 9.0], [7.0, 8.0]]),
        (Pooling.CLS, [[1.0, 4.0], [9.0, 9.0], [7.0, 8.0]]),
    ],
)
def test_pieces_merge_by_hand(pooling: Pooling, expected: list[list[float]]) -> None:
    # Text 0 has pieces of 1 and 3 content tokens, text 2 one whose second piece has none.
    texts = pieces_of([0, 0, 1, 2, 2], [1, 3, 2, 2, 0])
    values = np.array([[1, 4], [3, 2], [9, 9], [7, 8], [50, 50]], dtype=np.float16)
    assert merged(values, texts, pooling).tolist() == expected


def test_whole_texts_are_not_copied() -> None:
    values = np.ones((2, 3), dtype=np.float16)
    assert merged(values, pieces_of([0, 1], [1, 1]), Pooling.MAX) is values


def test_no_texts_are_no_pieces(subject: SubjectModel) -> None:
    assert cut(subject, [], 16).pieces == ()
    assert whole(subject, [], 16).report().sentences == 0
