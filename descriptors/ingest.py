"""From a user's texts to `corpus.parquet`: read, segment, name, split, write.

Two passes keep memory near the size of ids and document names: the first writes sentences aside,
the second adds the split, which needs all documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from descriptors.corpus import CorpusSettings, IngestReport
from descriptors.readers import read_rows
from descriptors.rows import RawText
from descriptors.sample import resolve_source
from descriptors.segmentation import Segment, segment
from descriptors.splits import SPLIT_ORDER, split_documents
from indexer.errors import InputError
from indexer.storage import atomic_path

ROW_GROUP_SENTENCES = 8192
"""Sentences in one row group of `corpus.parquet`."""

_CORPUS_FIELDS = (
    pa.field("id", pa.string(), nullable=False),
    pa.field("text", pa.string(), nullable=False),
    pa.field("labels", pa.list_(pa.string()), nullable=False),
    pa.field("document", pa.string(), nullable=False),
)
CORPUS_SCHEMA = pa.schema([*_CORPUS_FIELDS, pa.field("split", pa.string(), nullable=False)])
_STAGING_SCHEMA = pa.schema(
    [
        *_CORPUS_FIELDS,
        pa.field("text_id", pa.string()),
        pa.field("position", pa.int64()),
        pa.field("line", pa.int64()),
        pa.field("digest", pa.uint64()),
    ]
)


@dataclass(slots=True)
class _Counts:
    texts_read: int = 0
    blank_skipped: int = 0
    texts_segmented: int = 0
    documents_given: int = 0
    first: RawText | None = None
    longest: int = 0
    labelled: int = 0
    labels: set[str] = field(default_factory=set)


def ingest(source: str, path: Path, settings: CorpusSettings | None = None) -> IngestReport:
    """Write the texts of `source` as a corpus to `path`; the same input gives the same bytes.

    A text of several sentences becomes several rows `ID#0`, `ID#1`, … that share its document and
    labels. Texts without an id are numbered from `00000000`; a text without a document is its own.

    Raises:
        InputError: the source cannot be used: see `read_rows`, and no text but blank ones, an id
            that occurs twice or is missing for some texts, or too little for three splits.
        BackendError: the hub failed.
        RunError: the corpus cannot be written.
    """
    settings = settings or CorpusSettings()
    rows = read_rows(resolve_source(source), settings.mapping, encoding=settings.encoding)
    counts = _Counts()
    staging = path.with_name(path.name + ".staging")
    _write(_staged(islice(rows, settings.limit), settings, source, counts), staging)
    try:
        return _finish(staging, path, settings, source, counts)
    finally:
        staging.unlink(missing_ok=True)


def _write(
    batches: Iterable[pa.RecordBatch], path: Path, schema: pa.Schema = _STAGING_SCHEMA
) -> None:
    with atomic_path(path) as partial, pq.ParquetWriter(partial, schema) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=ROW_GROUP_SENTENCES)


def _staged(
    rows: Iterable[RawText], settings: CorpusSettings, source: str, counts: _Counts
) -> Iterator[pa.RecordBatch]:
    sentences = _sentences(rows, settings.segment, source, counts)
    while chunk := list(islice(sentences, ROW_GROUP_SENTENCES)):
        yield pa.RecordBatch.from_pylist(chunk, schema=_STAGING_SCHEMA)
    if counts.first is None:
        raise InputError(
            f"{source}: all {counts.texts_read} texts are blank; expected text in field "
            f"{settings.mapping.text!r}"
        )


def _sentences(
    rows: Iterable[RawText], mode: Segment, source: str, counts: _Counts
) -> Iterator[dict[str, object]]:
    for number, row in enumerate(rows):
        counts.texts_read += 1
        sentences = segment(row.text, mode)
        if not sentences:
            counts.blank_skipped += 1
            continue
        counts.first = counts.first or row
        _check_same_kind(row, counts.first, source)
        counts.texts_segmented += len(sentences) > 1
        counts.documents_given += row.document is not None
        counts.labelled += len(sentences) if row.labels else 0
        counts.labels.update(row.labels)
        name = f"{number:08d}" if row.id is None else row.id
        for position, sentence in enumerate(sentences):
            counts.longest = max(counts.longest, len(sentence))
            yield {
                "id": name if len(sentences) == 1 else f"{name}#{position}",
                "text": sentence,
                "labels": row.labels,
                "document": name if row.document is None else row.document,
                "text_id": name,
                "position": position,
                "line": row.line,
                "digest": _digest(sentence),
            }


def _check_same_kind(row: RawText, first: RawText, source: str) -> None:
    if (row.id is None) != (first.id is None):
        with_id, without = (first, row) if row.id is None else (row, first)
        raise InputError(
            f"{source}: the text of line {with_id.line} has an id ({with_id.id!r}), that of line "
            f"{without.line} has none; expected an id for every text, or for none"
        )


def _digest(sentence: str) -> int:
    return int.from_bytes(hashlib.blake2b(sentence.encode(), digest_size=8).digest(), "little")


def _finish(
    staging: Path, path: Path, settings: CorpusSettings, source: str, counts: _Counts
) -> IngestReport:
    texts = pq.read_table(staging, columns=["text_id", "line"], filters=[("position", "=", 0)])
    _check_ids_differ(texts["text_id"], texts["line"], source)
    sentences = pq.read_table(staging, columns=["id", "line"])
    _check_ids_differ(sentences["id"], sentences["line"], source)
    documents = pq.read_table(staging, columns=["document"])["document"]
    encoded = documents.combine_chunks().dictionary_encode()
    document_rows = encoded.indices.to_numpy()
    codes = split_documents(
        encoded.dictionary.to_pylist(),
        np.bincount(document_rows).astype(np.int64),
        settings.fractions,
        settings.seed,
    )[document_rows]
    digests = pq.read_table(staging, columns=["digest"])["digest"].to_numpy()
    _write(_with_split(staging, codes), path, CORPUS_SCHEMA)
    return IngestReport(
        source=source,
        texts_read=counts.texts_read,
        blank_skipped=counts.blank_skipped,
        texts_segmented=counts.texts_segmented,
        sentences=len(codes),
        documents=len(encoded.dictionary),
        documents_given=counts.documents_given > 0,
        ids_given=counts.first is not None and counts.first.id is not None,
        duplicate_sentences=len(digests) - len(np.unique(digests)),
        longest_sentence_characters=counts.longest,
        labelled_sentences=counts.labelled,
        distinct_labels=len(counts.labels),
        split_counts={
            split: int(np.count_nonzero(codes == code)) for code, split in enumerate(SPLIT_ORDER)
        },
    )


def _check_ids_differ(column: pa.ChunkedArray, lines: pa.ChunkedArray, source: str) -> None:
    ids = column.combine_chunks().dictionary_encode()
    if len(ids.dictionary) == len(ids):
        return
    rows = ids.indices.to_numpy()
    is_first = np.zeros(len(rows), dtype=np.bool_)
    is_first[np.unique(rows, return_index=True)[1]] = True
    second = int(np.argmin(is_first))
    first = int(np.argmax(rows == rows[second]))
    raise InputError(
        f"{source}: id {ids[second].as_py()!r} of line {lines[second]} was used on line "
        f"{lines[first]} already; expected every id once. Make the ids differ, or name another "
        "field for the id (sentences of a text get ids ID#0, ID#1, …)"
    )


def _with_split(staging: Path, codes: NDArray[np.int8]) -> Iterator[pa.RecordBatch]:
    names = pa.array([split.value for split in SPLIT_ORDER])
    start = 0
    with pq.ParquetFile(staging) as table:
        for batch in table.iter_batches(
            ROW_GROUP_SENTENCES, columns=[f.name for f in _CORPUS_FIELDS]
        ):
            window = codes[start : start + batch.num_rows]
            start += batch.num_rows
            columns = [*batch.columns, pc.take(names, pa.array(window))]
            yield pa.RecordBatch.from_arrays(columns, schema=CORPUS_SCHEMA)
