"""What a finished run found, as files for other programs: tables, and activations for NeuroX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from indexer.errors import InputError
from indexer.records import Record
from indexer.storage import atomic_path
from neurons.neurox_words import Aggregation, WordReader, WordReport
from neurons.records import LayerSite, NeuronId, Site
from service.exported_rows import (
    DescriptorRow,
    ExplanationRow,
    NeuronRow,
    descriptor_rows,
    explanation_rows,
    neuron_rows,
)
from service.table_files import TableFormat, write_table

if TYPE_CHECKING:
    from neurons.neurox import NeuroxSentence
    from service.finished_run import FinishedRun

SENTENCES_SUFFIX = ".sentences.txt"

_Row = TypeVar("_Row")


class Table(StrEnum):
    """Tables that can be exported."""

    EXPLANATIONS = "explanations"
    DESCRIPTORS = "descriptors"
    EVALUATION = "evaluation"
    NEURONS = "neurons"


class NeuroxFormat(StrEnum):
    """Kinds of activation files that NeuroX reads, by what their names end in."""

    HDF5 = ".hdf5"
    JSON = ".json"


class Selection(Record):
    """Which neurons are exported; all of the run where nothing is given."""

    site: Site | None = None
    layers: tuple[int, ...] = ()

    def holds(self, neuron: NeuronId) -> bool:
        """Whether a neuron is among them."""
        at_site = self.site is None or neuron.site is self.site
        return at_site and (not self.layers or neuron.layer in self.layers)


class TableExport(Record):
    """A table that was written."""

    path: str
    what: Table
    format: TableFormat
    rows: int


class NeuroxExport(Record):
    """An activation file that was written, and the file of its sentences.

    `layers` names what layer 0, 1 and so on of the file are; `counts` says what was left out.
    """

    path: str
    sentences_path: str
    layers: tuple[str, ...]
    units: int
    aggregation: Aggregation
    counts: WordReport


def export_table(
    run: FinishedRun,
    path: Path,
    what: Table,
    table_format: TableFormat,
    selection: Selection | None = None,
    *,
    force: bool = False,
    progress: bool = False,
) -> TableExport:
    """Write a table of a run.

    Args:
        run: the run.
        path: of the file.
        what: the table.
        table_format: how it is written.
        selection: neurons, for tables of neurons.
        force: whether to replace a file that is there.
        progress: whether to show a progress bar on stderr.

    Raises:
        InputError: `path` may not be written; the run has no such neurons; or the table has none.
        RunError: the run is damaged or the file cannot be written.
    """
    check_free(run, path, force=force)
    kind, rows = _rows(run, what, selection or Selection())
    written = write_table(path, table_format, kind, _watched(rows, "export", "row", progress))
    return TableExport(path=str(path), what=what, format=table_format, rows=written)


def export_neurox(
    run: FinishedRun,
    path: Path,
    selection: Selection | None = None,
    aggregation: Aggregation = Aggregation.LAST,
    *,
    force: bool = False,
    progress: bool = False,
) -> NeuroxExport:
    """Write the word activations of a run's sentences as NeuroX reads them, from the run's model.

    The sentences go to a second file, one a line, because NeuroX asks for both.
    Without a site it is `hidden`, which NeuroX calls the layers of a model, or what the run has.

    Args:
        run: the run.
        path: of the file; ends in .hdf5 or .json, by which NeuroX tells them apart.
        selection: layers of one site.
        aggregation: how sub-words become a word.
        force: whether to replace files that are there.
        progress: whether to show a progress bar on stderr.

    Raises:
        InputError: a file may not be written, the name ends otherwise, the run has no such layers,
            h5py is missing, or the model cannot be loaded.
        RunError: the run is damaged, its model has changed, or a file cannot be written.
    """
    from neurons.neurox_hdf5 import write_neurox_hdf5
    from neurons.neurox_json import write_neurox_json

    _check_neurox_name(path)
    # A name of its own: --force must not replace a corpus that lies beside.
    sentences_path = path.with_name(path.stem + SENTENCES_SUFFIX)
    for each in (path, sentences_path):
        check_free(run, each, force=force)
    layers = neurox_layers(run.store.layer_sites, selection or Selection())
    reader = WordReader(run.subject, run.corpus, layers, aggregation)
    write = write_neurox_hdf5 if path.suffix == NeuroxFormat.HDF5 else write_neurox_json
    with atomic_path(sentences_path) as partial, partial.open("w", encoding="utf-8") as handle:
        write(path, _noted(_read(reader, len(run.corpus), progress), handle))
    return NeuroxExport(
        path=str(path),
        sentences_path=str(sentences_path),
        layers=tuple(map(str, layers)),
        units=reader.units,
        aggregation=aggregation,
        counts=reader.report,
    )


def check_free(run: FinishedRun, path: Path, *, force: bool) -> None:
    """Refuse a path where an export would do harm.

    Raises:
        InputError: it is a folder, lies in the run, or is a file and `force` is false.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; expected the name of a file")
    if path.resolve().is_relative_to(run.path.resolve()):
        raise InputError(f"{path} lies in the run {run.path}; choose a place outside of it")
    if path.exists() and not force:
        raise InputError(f"{path} is there already; choose another name, or --force to replace it")


def neurox_layers(stored: Sequence[LayerSite], selection: Selection) -> list[LayerSite]:
    """The layer sites of one site that are asked for, in the order of the layers.

    Raises:
        InputError: the run lacks one of them.
    """
    sites = {place.site for place in stored}
    site = selection.site or (Site.HIDDEN if Site.HIDDEN in sites else min(sites))
    known = sorted(place for place in stored if place.site is site)
    _check_layers(stored, Selection(site=site, layers=selection.layers))
    return [place for place in known if not selection.layers or place.layer in selection.layers]


def _check_layers(stored: Sequence[LayerSite], selection: Selection) -> None:
    """Refuse layers and sites that the run has not read."""
    there = [place for place in stored if selection.site in (None, place.site)]
    missing = sorted(set(selection.layers) - {place.layer for place in there})
    if missing or not there:
        asked = ", ".join(f"layer {layer}" for layer in missing) or f"site {selection.site}"
        raise InputError(f"the run has no {asked}; it has {', '.join(map(str, stored))}")


def _check_neurox_name(path: Path) -> None:
    endings = [str(each) for each in NeuroxFormat]
    if path.suffix not in endings:
        raise InputError(
            f"{path.name} does not end in {' or '.join(endings)}, by which NeuroX tells formats "
            "apart"
        )
    if path.suffix == NeuroxFormat.HDF5 and find_spec("h5py") is None:
        raise InputError(
            "HDF5 files need h5py, which is not installed; install the extra `hdf5` (pip install "
            "'neuroscribe[hdf5]'), or export neurox-json"
        )


def _rows(
    run: FinishedRun, what: Table, selection: Selection
) -> tuple[type[Record], Iterable[Record]]:
    from eval.evaluation_file import read_evaluation
    from eval.records import Figure

    if what in (Table.DESCRIPTORS, Table.EVALUATION):
        if selection != Selection():
            raise InputError(f"{what} are not of single neurons; leave out --layer and --site")
        if what is Table.DESCRIPTORS:
            return DescriptorRow, descriptor_rows(run)
        return Figure, read_evaluation(run.path)
    _check_layers(run.store.layer_sites, selection)
    if what is Table.NEURONS:
        return NeuronRow, neuron_rows(run, selection.holds)
    return ExplanationRow, explanation_rows(run, selection.holds)


def _read(reader: WordReader, n_sentences: int, progress: bool) -> Iterator[NeuroxSentence]:
    from indexer.progress_bar import ProgressBar

    with ProgressBar(
        total=n_sentences, desc="export", unit="sentence", disable=not progress
    ) as bar:
        for window in reader.windows():
            yield from window
            counts = reader.report
            bar.update(counts.sentences + counts.sentences_left_out - bar.n)


def _noted(sentences: Iterable[NeuroxSentence], handle: TextIO) -> Iterator[NeuroxSentence]:
    for sentence in sentences:
        handle.write(f"{sentence.text}\n")
        yield sentence


def _watched(rows: Iterable[_Row], name: str, unit: str, progress: bool) -> Iterator[_Row]:
    from indexer.progress_bar import counted

    yield from counted(rows, desc=name, unit=unit, disable=not progress)
