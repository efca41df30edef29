"""The corpus as the pipeline sees it, and its labels as only the evaluation may see them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from descriptors.records import Split
from descriptors.rows import FieldMapping
from descriptors.segmentation import Segment
from descriptors.splits import SPLIT_ORDER, SplitFractions
from indexer.arrays import IntArray
from indexer.errors import InputError, RunError
from indexer.records import Record
from indexer.storage import read_table

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

NO_FACET = "label"
"""The facet of labels that are not written `facet:value`."""

_FINGERPRINT_WINDOW = 8192


class CorpusSettings(Record):
    """How texts become a corpus; `limit` takes only the first texts of the source."""

    mapping: FieldMapping = FieldMapping()
    segment: Segment = Segment.SENTENCE
    fractions: SplitFractions = SplitFractions()
    seed: int = 0
    encoding: str = "utf-8"
    limit: int | None = Field(default=None, ge=1)


class IngestReport(Record):
    """What was read, left out and written; every text read is either blank or in the corpus."""

    source: str
    texts_read: int
    blank_skipped: int
    texts_segmented: int
    sentences: int
    documents: int
    documents_given: bool
    ids_given: bool
    duplicate_sentences: int
    longest_sentence_characters: int
    labelled_sentences: int
    distinct_labels: int
    split_counts: dict[Split, int]


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sentences with ids, documents and splits, in file order; without labels.

    Texts stay in Arrow columns, so memory is near the size of the texts.

    Attributes:
        ids: Arrow strings, `n_sentences`.
        texts: Arrow strings, `n_sentences`.
        documents: Arrow strings, `n_sentences`.
        splits: Codes into `SPLIT_ORDER`, `n_sentences`.
    """

    ids: pa.ChunkedArray
    texts: pa.ChunkedArray
    documents: pa.ChunkedArray
    splits: NDArray[np.int8]

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.texts), len(self.documents), len(self.splits)}
        if len(lengths) != 1:
            raise ValueError(f"corpus columns differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.texts)

    def text(self, row: int) -> str:
        """The sentence in one row.

        Raises:
            IndexError: the corpus has no such row.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} sentences")
        text: str = self.texts[row].as_py()
        return text

    def texts_at(self, rows: Sequence[int] | IntArray) -> list[str]:
        """The sentences in `rows`, in the order of `rows`.

        Raises:
            IndexError: the corpus has no such row.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"rows {wanted.min()} to {wanted.max()} of {len(self)} sentences")
        texts: list[str] = self.texts.take(pa.array(wanted)).to_pylist()
        return texts

    def iter_texts(self, window: int) -> Iterator[list[str]]:
        """Yield all sentences in file order, `window` at a time.

        Raises:
            ValueError: `window` is not positive.
        """
        if window < 1:
            raise ValueError(f"window {window} is not positive")
        return _windows(self.texts, window)

    def document_numbers(self) -> IntArray:
        """The document of each sentence as a number from 0 (`n_sentences`)."""
        encoded = self.documents.combine_chunks().dictionary_encode()
        return np.asarray(encoded.indices, dtype=np.int64)

    def rows(self, split: Split) -> IntArray:
        """The rows of a split, rising."""
        return np.flatnonzero(self.splits == SPLIT_ORDER.index(split)).astype(np.int64)

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 over ids, texts, documents and splits, in hexadecimal."""
        digest = hashlib.sha256()
        for column in (self.ids, self.texts, self.documents):
            for window in _windows(column, _FINGERPRINT_WINDOW):
                # Lengths go in too, else text could move from one sentence to the next unseen.
                digest.update(np.array([len(text) for text in window], dtype="<i8").tobytes())
                digest.update("".join(window).encode())
        digest.update(self.splits.tobytes())
        return digest.hexdigest()


class CorpusTexts(Sequence[str]):
    """The sentences of a corpus as a sequence that is read slice by slice."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus

    def __len__(self) -> int:
        return len(self._corpus)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return self._corpus.texts_at(np.arange(len(self))[place])
        return self._corpus.text(range(len(self))[place])


@dataclass(frozen=True, eq=False)
class Labels:
    """Which sentences carry which label; for evaluation only.

    Attributes:
        names: Label names, sorted.
        membership: True where a sentence carries a label, `n_labels, n_sentences`.
    """

    names: tuple[str, ...]
    membership: csr_matrix

    def __post_init__(self) -> None:
        if self.membership.shape[0] != len(self.names):
            raise ValueError(f"{len(self.names)} labels, {self.membership.shape[0]} rows")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def facets(self) -> tuple[str, ...]:
        """The facets that occur, sorted."""
        return tuple(sorted({label_facet(name) for name in self.names}))

    def facet(self, name: str) -> Labels:
        """The labels of one facet.

        Raises:
            InputError: no label has this facet.
        """
        rows = [row for row, label in enumerate(self.names) if label_facet(label) == name]
        if not rows:
            found = ", ".join(self.facets) or "none, the corpus has no labels"
            raise InputError(f"no label has the facet {name!r}; found the facets: {found}")
        return Labels(tuple(self.names[row] for row in rows), self.membership[rows])


def label_facet(label: str) -> str:
    """The part of a label before its first colon; `label` if there is none."""
    facet, colon, _ = label.partition(":")
    return facet if facet and colon else NO_FACET


def read_corpus(path: Path) -> Corpus:
    """Read `corpus.parquet`; its labels are not even looked at.

    Raises:
        RunError: the file is missing, damaged or not a corpus.
    """
    import pyarrow.compute as pc

    table = _read_columns(path, ["id", "text", "document", "split"])
    codes = pc.index_in(table["split"], value_set=pa.array([split.value for split in SPLIT_ORDER]))
    if codes.null_count or len(codes) == 0:
        raise RunError(
            f"{path} is not a corpus: expected at least one sentence, each of split "
            f"{', '.join(SPLIT_ORDER)}. Give another --out, or remove the file and run again"
        )
    splits = codes.to_numpy().astype(np.int8)
    return Corpus(table["id"], table["text"], table["document"], splits)


def read_labels(path: Path) -> Labels:
    """Read the labels of `corpus.parquet`, for evaluation only.

    Raises:
        RunError: the file is missing, damaged or not a corpus.
    """
    from scipy.sparse import csr_matrix

    column = _read_columns(path, ["labels"])["labels"].combine_chunks()
    encoded = column.flatten().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=found.__getitem__)
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    labels = rank[encoded.indices.to_numpy()]
    sentences = column.value_parent_indices().to_numpy()
    membership = csr_matrix(
        (np.ones(len(labels), dtype=np.bool_), (labels, sentences)), shape=(len(found), len(column))
    )
    return Labels(tuple(found[label] for label in order), membership)


def _read_columns(path: Path, columns: list[str]) -> pa.Table:
    table = read_table(path, columns)
    missing = [name for name in columns if name not in table.column_names]
    if missing or any(table[name].null_count for name in columns):
        raise RunError(
            f"{path} is not a corpus: expected the columns {', '.join(columns)} without gaps. "
            "Remove the file and run again, or give another --out"
        )
    return table


def _windows(column: pa.ChunkedArray, window: int) -> Iterator[list[str]]:
    for start in range(0, len(column), window):
        yield column.slice(start, window).to_pylist()
