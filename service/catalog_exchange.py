"""Catalogs and edits as files that people keep, read in a spreadsheet and carry to other runs."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from descriptors.edit_file import ids_at
from descriptors.edit_records import EDIT, Ban, Edit, Seed, checked_phrase
from descriptors.records import Descriptor
from indexer.errors import InputError
from indexer.records import Record
from indexer.storage import atomic_path
from service.catalog_editing import EditableCatalog
from service.csv_cells import GUARD, guarded

JSON_LINES, CSV = ".jsonl", ".csv"
_EXAMPLES = 5
_LONGEST_CELL = 2**31 - 1


class ExportedDescriptor(Record):
    """A descriptor in an exported file, with the ids of some of its sentences."""

    id: str
    text: str
    proposer: str
    group: str
    kept: bool
    reason: str
    locked: bool
    renamed_from: str
    handicap: float
    sentences: int
    example_sentences: tuple[str, ...]


class ExchangeLine(Record):
    """One line of an exported file: a descriptor, or an edit of the user."""

    descriptor: ExportedDescriptor | None = None
    edit: Edit | None = None


_EXAMPLE_IDS = TypeAdapter(tuple[str, ...])
_COLUMNS = (*ExportedDescriptor.model_fields, "edit")


class ExportReport(Record):
    """What was written to a file."""

    file: str
    descriptors: int
    edits: int


def export_catalog(catalog: EditableCatalog, path: Path) -> ExportReport:
    """Write all descriptors with their reasons, and all edits, as `.jsonl` or `.csv`.

    Raises:
        InputError: the name of the file ends otherwise.
        RunError: it cannot be written.
    """
    descriptors = [_exported(catalog, descriptor) for descriptor in catalog.descriptors]
    if path.suffix == JSON_LINES:
        lines = [
            *(ExchangeLine(descriptor=descriptor) for descriptor in descriptors),
            *(ExchangeLine(edit=edit) for edit in catalog.edits),
        ]
        with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as handle:
            handle.writelines(line.model_dump_json(exclude_none=True) + "\n" for line in lines)
    elif path.suffix == CSV:
        with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, _COLUMNS)
            writer.writeheader()
            writer.writerows(_cells(descriptor) for descriptor in descriptors)
            writer.writerows({"edit": edit.model_dump_json()} for edit in catalog.edits)
    else:
        raise InputError(f"cannot export to {path}; expected a name that ends in .jsonl or .csv")
    return ExportReport(file=str(path), descriptors=len(descriptors), edits=len(catalog.edits))


def read_edits_from(path: Path, *, as_seeds: bool = False) -> list[Edit]:
    """The edits in an exported file, or seeds from a plain list of phrases, one a line.

    `as_seeds` makes seeds of the kept descriptors of an exported file instead.

    Raises:
        InputError: the file cannot be read, or a line is neither; nothing is taken from it then.
    """
    try:
        if path.suffix == JSON_LINES:
            lines = list(_json_lines(path))
        elif path.suffix == CSV:
            with _long_cells():
                lines = list(_csv_lines(path))
        else:
            return list(_seeds(path, path.read_text(encoding="utf-8-sig").splitlines()))
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}; expected a file that `neuroscribe catalog "
            "export` has written, or a list of phrases"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}; save it as UTF-8") from error
    if as_seeds:
        kept = [line.descriptor.text for line in lines if line.descriptor and line.descriptor.kept]
        return list(_seeds(path, kept))
    return [line.edit for line in lines if line.edit is not None]


def not_yet_there(catalog: EditableCatalog, edits: Sequence[Edit]) -> list[Edit]:
    """The edits that follow those the run begins with too, and no seed of what is there.

    Others that come twice are kept twice: a ban, a seed and the same ban again is a ban.
    """
    there = {descriptor.text for descriptor in catalog.descriptors if descriptor.kept}
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(edits, catalog.edits, strict=False))
    wanted: list[Edit] = []
    for edit in edits[len(list(shared)) :]:
        if isinstance(edit, Seed):
            if edit.text in there:
                continue
            there.add(edit.text)
        elif isinstance(edit, Ban):
            there.discard(edit.text)
        wanted.append(edit)
    return wanted


def _exported(catalog: EditableCatalog, descriptor: Descriptor) -> ExportedDescriptor:
    rows = descriptor.support
    return ExportedDescriptor(
        **descriptor.model_dump(exclude={"support"}),
        sentences=len(rows),
        example_sentences=ids_at(catalog.corpus, rows[:_EXAMPLES]) if rows else (),
    )


def _cells(descriptor: ExportedDescriptor) -> dict[str, str]:
    content = descriptor.model_dump(mode="json")
    content["example_sentences"] = json.dumps(content["example_sentences"], ensure_ascii=False)
    return {name: guarded(str(value)) for name, value in content.items()}


def _json_lines(path: Path) -> Iterator[ExchangeLine]:
    with path.open(encoding="utf-8") as handle:
        for number, line in enumerate(handle, 1):
            try:
                yield ExchangeLine.model_validate_json(line)
            except ValidationError as error:
                raise _no_line(path, number, error) from error


@contextmanager
def _long_cells() -> Iterator[None]:
    """Allow cells as long as a lock of many sentences."""
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _csv_lines(path: Path) -> Iterator[ExchangeLine]:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        if tuple(reader.fieldnames or ()) != _COLUMNS:
            raise InputError(
                f"{path} has the columns {', '.join(reader.fieldnames or ('none',))}; expected "
                f"those that `neuroscribe catalog export` writes: {', '.join(_COLUMNS)}"
            )
        for row in reader:
            try:
                yield _csv_line(row)
            except ValidationError as error:
                raise _no_line(path, reader.line_num, error) from error


def _csv_line(row: dict[str, Any]) -> ExchangeLine:
    if row["edit"]:
        return ExchangeLine(edit=EDIT.validate_json(row["edit"]))
    cells: dict[str, Any] = {
        name: value.removeprefix(GUARD) if isinstance(value, str) else value
        for name, value in row.items()
        if name != "edit"
    }
    examples = _EXAMPLE_IDS.validate_json(cells["example_sentences"] or "")
    descriptor = ExportedDescriptor.model_validate({**cells, "example_sentences": examples})
    return ExchangeLine(descriptor=descriptor)


def _seeds(path: Path, phrases: Sequence[str]) -> Iterator[Seed]:
    for number, phrase in enumerate(phrases, 1):
        if phrase.strip():
            try:
                yield Seed(text=checked_phrase(phrase))
            except InputError as error:
                raise InputError(f"line {number} of {path}: {error}") from error


def _no_line(path: Path, number: int, error: ValidationError) -> InputError:
    return InputError(
        f"line {number} of {path} is neither a descriptor nor an edit: "
        f"{error.errors()[0]['msg']}; expected what `neuroscribe catalog export` writes"
    )
