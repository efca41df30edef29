"""`RUN/catalog_edits.jsonl`: a user's edits in the order they were made, one JSON record a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from descriptors.edit_records import EDIT, Edit
from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import atomic_path, fingerprint

if TYPE_CHECKING:
    from descriptors.corpus import Corpus

EDITS_FILE = "catalog_edits.jsonl"


class EditsKey(Record):
    """Which edits a catalog was built with: how many, and the sha256 of them in their order."""

    count: int
    fingerprint: str

    @classmethod
    def of(cls, edits: Sequence[Edit]) -> EditsKey:
        """The key of `edits`."""
        content = [edit.model_dump(mode="json") for edit in edits]
        return cls(count=len(edits), fingerprint=fingerprint(content))


def read_edits(run: Path) -> list[Edit]:
    """The edits of a run, none if there is no file.

    Raises:
        RunError: the file cannot be read or a line is no edit.
    """
    path = run / EDITS_FILE
    edits: list[Edit] = []
    if not path.exists():
        return edits
    try:
        with path.open(encoding="utf-8") as handle:
            for line in handle:
                edits.append(EDIT.validate_json(line))
    except ValidationError as error:
        raise RunError(
            f"line {len(edits) + 1} of {path} is no edit: {error.errors()[0]['msg']}. "
            "Mend or remove the line"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(
            f"cannot read {path}: {error}. Restore it, or remove it to edit anew"
        ) from error
    return edits


def append_edits(run: Path, edits: Sequence[Edit]) -> None:
    """Add edits to those of a run; all of them or, when writing fails, none.

    Raises:
        RunError: the file cannot be written, or what is there is damaged.
    """
    whole = [*read_edits(run), *edits]
    with atomic_path(run / EDITS_FILE) as partial:
        lines = "".join(edit.model_dump_json() + "\n" for edit in whole)
        partial.write_text(lines, encoding="utf-8")


def discover_rows(corpus: Corpus, sentences: Sequence[str]) -> dict[str, int]:
    """Rows of the discover sentences that have one of these ids."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from descriptors.records import Split

    if not sentences:
        return {}
    rows = pa.array(corpus.rows(Split.DISCOVER))
    ids = corpus.ids.take(rows)
    found = pc.is_in(ids, value_set=pa.array(sentences, pa.string()))
    return dict(zip(ids.filter(found).to_pylist(), rows.filter(found).to_pylist(), strict=True))


def ids_at(corpus: Corpus, rows: Sequence[int]) -> tuple[str, ...]:
    """The ids of the sentences in `rows`."""
    import pyarrow as pa

    return tuple(corpus.ids.take(pa.array(rows, pa.int64())).to_pylist())
