from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.errors import InputError
from neurons.batching import padded, tokenize
from neurons.subject import SubjectModel


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


def test_content_is_what_stands_in_the_text(subject: SubjectModel) -> None:
    [text] = tokenize(subject, ["The phone ~ [SEP] broke [MASK]"], 32)
    pieces = subject.tokenizer.convert_ids_to_tokens(text.token_ids.tolist())
    content = [piece for piece, kept in zip(pieces, text.content_mask, strict=True) if kept]
    assert pieces[0] == "[CLS]"
    assert content == ["the", "phone", "[UNK]", "broke"]
    assert text.truncated_tokens == 0


@pytest.mark.parametrize("n_words", [4, 5, 6, 11, 200])
def test_truncated_tokens_are_counted(n_words: int, subject: SubjectModel) -> None:
    [text] = tokenize(subject, [" ".join(["good"] * n_words)], 7)
    assert text.n_tokens == min(n_words + 2, 7)
    assert int(text.content_mask.sum()) == min(n_words, 5)
    assert text.truncated_tokens == max(0, n_words - 5)


def test_texts_without_words_have_no_content(subject: SubjectModel) -> None:
    for text in tokenize(subject, ["", "\x00\x01", " \t "], 32):
        assert text.n_tokens == 2
        assert not text.content_mask.any()


def test_no_texts_make_no_tokens(subject: SubjectModel) -> None:
    assert tokenize(subject, [], 32) == []


def test_a_lone_surrogate_is_refused_with_its_place(subject: SubjectModel) -> None:
    with pytest.raises(InputError, match="text 1 of 2 is not valid Unicode"):
        tokenize(subject, ["fine", "broken \ud800"], 32)


def test_padding_is_on_the_right_and_masked(subject: SubjectModel) -> None:
    batch = padded(subject, tokenize(subject, ["good", "very good sound"], 32))
    assert batch.token_ids.shape == (2, 5)
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.token_ids[0, 3:].tolist() == [subject.tokenizer.pad_token_id] * 2
    assert batch.content_mask.tolist() == [
        [False, True, False, False, False],
        [False, True, True, True, False],
    ]


def test_a_batch_without_padding_is_read_without_a_mask(subject: SubjectModel) -> None:
    same = padded(subject, tokenize(subject, ["good", "late"], 32))
    assert not same.is_padded
    assert set(same.inputs) == {"input_ids"}
    assert same.content_span == slice(1, 2)
    mixed = padded(subject, tokenize(subject, ["good", "very good sound"], 32))
    assert mixed.is_padded
    assert set(mixed.inputs) == {"input_ids", "attention_mask"}
    assert mixed.content_span is None


@pytest.mark.parametrize(
    ("texts", "span"),
    [
        (["good late", "late good"], slice(1, 3)),
        (["good [SEP] late", "late [SEP] good"], None),
        (["good [SEP] late", "late good good"], None),
        (["", ""], None),
    ],
)
def test_the_content_span_is_known_only_where_it_is_common(
    texts: list[str], span: slice | None, subject: SubjectModel
) -> None:
    assert padded(subject, tokenize(subject, texts, 32)).content_span == span
