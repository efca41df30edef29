from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import InputError, RunError
from neurons.exemplars import (
    NeuronTail,
    find_exemplars,
    read_exemplars,
    top_rows,
    write_exemplars,
)
from neurons.extraction import extract
from neurons.listed_texts import ListedTexts
from neurons.reading import ExtractionSettings
from neurons.records import NeuronId, Pooling, Site, Tail
from neurons.store import ActivationStore, ExtractionReport, StoredSite, StoreLayout
from neurons.store_writer import StoreWriter
from neurons.subject import SubjectModel

COLUMN = np.array([0.5, -2.0, 3.0, 0.0, 3.0, -0.0, -2.0, 1.0], np.float16)
NEURON = NeuronId(0, Site.FFN, 1)
SENTENCES = [
    "the battery is very good",
    "late",
    "",
    "phone broke again after three days",
    "slow, slow, slow!",
    "i love the screen",
    "a refund or money again",
]


@pytest.fixture
def small_store(tmp_path: Path) -> ActivationStore:
    """Eight sentences and two units, the second being COLUMN."""
    layout = StoreLayout(
        key="k",
        n_sentences=8,
        window_sentences=8,
        pooling=Pooling.MAX,
        sites=(StoredSite(layer=0, site=Site.FFN, units=2),),
    )
    writer = StoreWriter.open(tmp_path, layout)
    values = np.stack([np.zeros(8, np.float16), COLUMN], axis=1)
    writer.write_window({NEURON.layer_site: values}, ExtractionReport(sentences=8))
    writer.finish(None)
    return ActivationStore.open(tmp_path)


@pytest.fixture
def subject(tiny_model: Callable[[str], Path]) -> SubjectModel:
    return SubjectModel.load(str(tiny_model("bert")), "cpu")


@pytest.fixture
def store(subject: SubjectModel, tmp_path: Path) -> ActivationStore:
    extract(subject, ListedTexts(SENTENCES), tmp_path, ExtractionSettings(), "k")
    return ActivationStore.open(tmp_path)


@pytest.mark.parametrize(
    ("tail", "rows", "limit", "expected"),
    [
        (Tail.POSITIVE, range(8), 8, [2, 4, 7, 0, 3, 5, 1, 6]),
        (Tail.NEGATIVE, range(8), 8, [1, 6, 3, 5, 0, 7, 2, 4]),
        (Tail.POSITIVE, range(8), 1, [2]),
        (Tail.POSITIVE, [7, 5, 4, 3], 3, [4, 7, 5]),
        (Tail.NEGATIVE, [0, 2, 5], 99, [5, 0, 2]),
        (Tail.NEGATIVE, [], 3, []),
    ],
)
def test_top_rows_by_hand(
    tail: Tail, rows: Sequence[int], limit: int, expected: list[int], small_store: ActivationStore
) -> None:
    own = np.array(rows, dtype=np.int64)
    assert top_rows(small_store, NeuronTail(NEURON, tail), own, limit).tolist() == expected


def test_a_layer_site_that_is_not_stored_is_told(small_store: ActivationStore) -> None:
    tail = NeuronTail(NeuronId(1, Site.HIDDEN, 0), Tail.POSITIVE)
    with pytest.raises(RunError, match=r"L1[.]hidden is not in"):
        top_rows(small_store, tail, np.arange(8), 1)


def test_exemplars_are_the_top_rows_with_the_tokens_that_carry_them(
    subject: SubjectModel, store: ActivationStore
) -> None:
    tails = [
        NeuronTail(NeuronId(1, Site.FFN, 5), Tail.POSITIVE),
        NeuronTail(NeuronId(1, Site.FFN, 5), Tail.NEGATIVE),
        NeuronTail(NeuronId(0, Site.HIDDEN, 3), Tail.NEGATIVE),
    ]
    rows = np.array([0, 1, 3, 4, 5, 6])
    found = find_exemplars(subject, store, ListedTexts(SENTENCES), tails, rows, 3)

    assert [(one.neuron, one.tail) for one in found] == [
        (str(tail.neuron), tail.tail) for tail in tails
    ]
    for tail, one in zip(tails, found, strict=True):
        column = store.array(tail.neuron.layer_site)[:, tail.neuron.unit].astype(float)
        sign = 1.0 if tail.tail is Tail.POSITIVE else -1.0
        expected = sorted(rows.tolist(), key=lambda row: (-sign * column[row], row))[:3]
        assert [exemplar.row for exemplar in one.exemplars] == expected
        for exemplar in one.exemplars:
            assert exemplar.activation == column[exemplar.row]
            # Pooling is the maximum over tokens, kept in half precision.
            strongest = max(token.activation for token in exemplar.tokens)
            assert strongest == pytest.approx(exemplar.activation, rel=2e-3, abs=2e-3)
            spans = [(token.start, token.end) for token in exemplar.tokens]
            text = SENTENCES[exemplar.row]
            assert "".join(text[start:end] for start, end in spans) == text.replace(" ", "")


def test_a_text_without_tokens_has_none(subject: SubjectModel, store: ActivationStore) -> None:
    tail = NeuronTail(NeuronId(0, Site.FFN, 0), Tail.POSITIVE)
    [found] = find_exemplars(subject, store, ListedTexts(SENTENCES), [tail], np.array([2]), 3)
    [exemplar] = found.exemplars
    assert (exemplar.row, exemplar.tokens) == (2, ())


def test_no_tails_and_no_rows(subject: SubjectModel, store: ActivationStore) -> None:
    rows, tail = np.arange(7), NeuronTail(NeuronId(0, Site.FFN, 0), Tail.POSITIVE)
    assert find_exemplars(subject, store, ListedTexts(SENTENCES), [], rows, 3) == []
    [found] = find_exemplars(subject, store, ListedTexts(SENTENCES), [tail], rows[:0], 3)
    assert (found.neuron, found.exemplars) == ("L0.ffn.0", ())


def test_a_unit_the_model_lacks_is_refused(subject: SubjectModel, store: ActivationStore) -> None:
    tail = NeuronTail(NeuronId(0, Site.FFN, 48), Tail.POSITIVE)
    with pytest.raises(InputError, match=r"L0[.]ffn[.]48 does not exist"):
        find_exemplars(subject, store, ListedTexts(SENTENCES), [tail], np.arange(7), 3)


def test_what_is_written_is_read(
    subject: SubjectModel, store: ActivationStore, tmp_path: Path
) -> None:
    tails = [NeuronTail(NeuronId(1, Site.FFN, unit), Tail.NEGATIVE) for unit in (7, 0)]
    found = find_exemplars(subject, store, ListedTexts(SENTENCES), tails, np.arange(7), 2)
    path = tmp_path / "run" / "exemplars.jsonl"
    write_exemplars(path, found)
    assert read_exemplars(path) == found
    write_exemplars(path, [])
    assert read_exemplars(path) == []


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff\xfe\x00",
        b'{"neuron": "L0.ffn.0", "tail": "up", "exemplars": []}\n',
        b'{"neuron": "L0.ffn.0", "tail": "+"}\n',
        b'{"neuron": "L0.ffn.0", "tail": "+", "exemplars": [], "more": 1}\n',
    ],
)
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "exemplars.jsonl"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"cannot read .*exemplars[.]jsonl"):
        read_exemplars(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot read"):
        read_exemplars(tmp_path / "exemplars.jsonl")
