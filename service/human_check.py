"""Asking people about a run: a blinded sheet out, their answers back."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from eval.human_agreement import RaterAnswers, human_figures
from eval.human_page import option_of, render_sheet, sheet_rows
from eval.human_sheet import HumanKey, HumanSettings, HumanSheet, Subject, draw_sheet
from eval.records import Figure
from indexer.arrays import IntArray
from indexer.errors import InputError, RunError
from indexer.records import Record
from indexer.storage import atomic_path, file_fingerprint, read_json, write_json
from neurons.records import Explanation, NeuronId, Tail
from service.csv_cells import GUARD, guarded

if TYPE_CHECKING:
    from service.run_files import RunFiles

FOLDER = "human"
_EXPLANATIONS = "explanations.parquet"
PAGE, TABLE, SHEET, KEY = "sheet.html", "sheet.csv", "sheet.json", "key.json"
_STRONGEST = 20
_LIKE = 0.5
_OF_LIKE_SIZE = 20


class HumanFiles(Record):
    """What was written for raters, and the key that they must not see."""

    page: str
    table: str
    key: str
    questions: int


def write_human_check(run: RunFiles, settings: HumanSettings, seed: int) -> HumanFiles:
    """Draw the sheet and write it below the run, as a page and as a table.

    Raises:
        InputError: the run describes too few neurons, or its test split is too small.
    """
    subjects = list(_subjects(run, settings, seed, 2 * settings.items))
    if len(subjects) < 2 * settings.items:
        raise InputError(
            f"{run.path} has {len(subjects)} described neurons to ask about with enough sentences "
            f"and other descriptors, expected {2 * settings.items}; ask with a smaller --items"
        )
    explained = file_fingerprint(run.path / _EXPLANATIONS)
    halves = subjects[: settings.items], subjects[settings.items :]
    sheet, key = draw_sheet(*halves, explained, seed)
    folder = run.path / FOLDER
    write_json(folder / SHEET, sheet.model_dump(mode="json"))
    write_json(folder / KEY, key.model_dump(mode="json"))
    with atomic_path(folder / PAGE) as partial:
        partial.write_text(render_sheet(sheet), encoding="utf-8")
    _write_table(folder / TABLE, sheet)
    return HumanFiles(
        page=str(folder / PAGE),
        table=str(folder / TABLE),
        key=str(folder / KEY),
        questions=len(sheet.items),
    )


def answered_figures(run: Path, files: Sequence[Path], seed: int) -> list[Figure]:
    """Figures of all answers, one file a rater: as saved by the page, or the filled-in table.

    Raises:
        InputError: no sheet was drawn for the run, or a file holds no answers to it.
    """
    path = run / FOLDER / KEY
    if not path.is_file():
        raise InputError(f"{run} has no questions yet; write them with evaluate {run} --human")
    try:
        key = HumanKey.model_validate(read_json(path))
    except ValidationError as error:
        raise RunError(f"{path} is damaged; draw the questions again with --human") from error
    if key.explanations != file_fingerprint(run / _EXPLANATIONS):
        raise InputError(
            f"the explanations of {run} have changed since its questions were drawn; draw them "
            "again with --human and ask again"
        )
    try:
        return human_figures(key, [_answers(file) for file in files], seed)
    except ValueError as error:
        raise InputError(f"answers do not fit: {error}") from error


def _subjects(run: RunFiles, settings: HumanSettings, seed: int, wanted: int) -> Iterator[Subject]:
    """Described tails in random order that can be asked about, descriptors spread evenly."""
    generator = np.random.default_rng(seed)
    described = [each for each in run.explanations.values() if each.matches]
    order = [described[place] for place in generator.permutation(len(described))]
    vectors = run.whitening.apply(run.encoder.encode([each.text for each in run.catalog]))
    likeness = np.asarray(vectors @ vectors.T)
    found = 0
    for explanation in _spread(order):
        if found == wanted:
            return
        subject = _subject(run, explanation, likeness, settings, generator)
        if subject is not None:
            found += 1
            yield subject


def _spread(explanations: Iterable[Explanation]) -> list[Explanation]:
    """The first neuron of every descriptor, then the second of each, and so on."""
    seen: dict[str, int] = {}
    placed = []
    for number, each in enumerate(explanations):
        turn = seen.get(each.matches[0].descriptor_id, 0)
        seen[each.matches[0].descriptor_id] = turn + 1
        placed.append((turn, number, each))
    return [each for _, _, each in sorted(placed, key=lambda entry: entry[:2])]


def _subject(
    run: RunFiles,
    explanation: Explanation,
    likeness: Any,
    settings: HumanSettings,
    generator: np.random.Generator,
) -> Subject | None:
    neuron = NeuronId.parse(explanation.neuron)
    test = run.split_rows.test
    column = run.store.array(neuron.layer_site)[test, neuron.unit].astype(np.float64)
    order = np.argsort(column if explanation.tail is Tail.NEGATIVE else -column, kind="stable")
    strongest = order[: max(_STRONGEST, settings.exemplars)]
    quiet = order[len(order) // 2 :]
    if len(quiet) <= len(strongest):
        return None
    shown = test[strongest[np.sort(generator.permutation(len(strongest))[: settings.exemplars])]]
    distractors = _distractors(run, explanation, shown, likeness, settings, generator)
    if len(distractors) < settings.distractors:
        return None
    return Subject(
        neuron=explanation.neuron,
        tail=explanation.tail,
        description=explanation.matches[0].descriptor,
        exemplars=tuple(run.corpus.texts_at(shown)),
        distractors=tuple(run.catalog[place].text for place in distractors),
        intruder=run.corpus.text(int(test[generator.choice(quiet)])),
    )


def _distractors(
    run: RunFiles,
    explanation: Explanation,
    shown: IntArray,
    likeness: Any,
    settings: HumanSettings,
    generator: np.random.Generator,
) -> list[int]:
    """Descriptors of like size that no shown sentence belongs to and that mean something else."""
    place = {descriptor.id: number for number, descriptor in enumerate(run.catalog)}
    own = [place[match.descriptor_id] for match in explanation.matches]
    holds = np.asarray(run.membership[:, shown].sum(axis=1)).ravel() > 0
    holds[own] = True
    others = np.flatnonzero(~holds & (likeness[own[0]] < _LIKE))
    sizes = np.diff(run.membership.indptr).astype(np.float64)
    near = others[np.argsort(np.abs(np.log(sizes[others] / sizes[own[0]])), kind="stable")]
    like = near[:_OF_LIKE_SIZE]
    chosen = generator.permutation(len(like))[: settings.distractors]
    return [int(like[number]) for number in chosen]


def _write_table(path: Path, sheet: HumanSheet) -> None:
    rows = sheet_rows(sheet)
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({name: guarded(cell) for name, cell in row.items()} for row in rows)


def _answers(path: Path) -> RaterAnswers:
    """The answers in one file.

    Raises:
        InputError: it cannot be read, or holds none.
    """
    try:
        found = _from_table(path) if path.suffix == ".csv" else _from_page(path)
    except (OSError, RunError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no answers: {error}; expected the file that the page saves, or "
            f"{TABLE} with the column `answer` filled in"
        ) from error
    if not found.answers:
        raise InputError(f"{path} has no question answered")
    return found


def _from_page(path: Path) -> RaterAnswers:
    told = read_json(path)
    answers = {name: option_of(letter) for name, letter in told["answers"].items()}
    return RaterAnswers(rater=told["rater"], sheet=told["sheet"], answers=answers)


def _from_table(path: Path) -> RaterAnswers:
    with path.open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    answers = {row["question"]: option_of(row["answer"]) for row in rows if row["answer"].strip()}
    sheets = {row["sheet"].removeprefix(GUARD) for row in rows}
    if len(sheets) != 1:
        raise ValueError(f"found {len(sheets)} sheets in it, expected one")
    return RaterAnswers(rater=path.stem, sheet=sheets.pop(), answers=answers)
