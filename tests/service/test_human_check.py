"""Questions about a run, written and read back."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from eval.human_page import option_letter
from eval.human_sheet import HumanKey, HumanSettings, HumanSheet, HumanTask
from indexer.errors import InputError
from indexer.storage import read_json
from neurons.records import NeuronId, Tail
from service.finished_run import FinishedRun
from service.human_check import HumanFiles, answered_figures, write_human_check

SETTINGS = HumanSettings(items=4, exemplars=4, distractors=2)


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> FinishedRun:
    """A run that may be written to."""
    shutil.copytree(small_run, tmp_path / "run")
    return FinishedRun(tmp_path / "run", "cpu")


def written(run: FinishedRun) -> tuple[HumanFiles, HumanSheet, HumanKey]:
    files = write_human_check(run, SETTINGS, seed=1)
    folder = run.path / "human"
    sheet = HumanSheet.model_validate(read_json(folder / "sheet.json"))
    return files, sheet, HumanKey.model_validate(read_json(folder / "key.json"))


def test_questions_are_about_held_out_sentences_on_which_the_neuron_is_active(
    run: FinishedRun,
) -> None:
    files, sheet, key = written(run)
    assert files.questions == len(sheet.items) == 8
    texts = [run.corpus.text(row) for row in range(len(run.corpus))]
    test = run.split_rows.test
    for item, entry in zip(sheet.items, key.entries, strict=True):
        neuron = NeuronId.parse(entry.neuron)
        column = run.store.array(neuron.layer_site)[:, neuron.unit].astype(float)
        sign = -1 if entry.tail is Tail.NEGATIVE else 1
        median = np.median(sign * column[test])
        if item.task is HumanTask.DESCRIPTION:
            own = run.explanations[(neuron, entry.tail)].matches[0].descriptor
            assert item.options[entry.right] == own == entry.description
            shown = [row for row in test if texts[row] in item.sentences]
            assert set(item.sentences) <= {texts[row] for row in test}
            assert all(sign * column[row] >= median for row in shown)
        else:
            rows = [row for row in test if texts[row] == item.options[entry.right]]
            assert min(sign * column[row] for row in rows) <= median


def test_distractors_hold_for_no_shown_sentence(run: FinishedRun) -> None:
    _, sheet, key = written(run)
    names = [descriptor.text for descriptor in run.catalog]
    for item, entry in zip(sheet.items, key.entries, strict=True):
        if item.task is HumanTask.DESCRIPTION:
            shown = [
                row for row in run.split_rows.test if run.corpus.text(int(row)) in item.sentences
            ]
            for place, option in enumerate(item.options):
                if place != entry.right:
                    assert run.membership[names.index(option), shown].nnz == 0


def test_a_filled_in_table_and_a_saved_page_are_read_back(run: FinishedRun, tmp_path: Path) -> None:
    files, sheet, key = written(run)
    rights = {entry.id: option_letter(entry.right) for entry in key.entries}
    page = tmp_path / "ann.json"
    page.write_text(json.dumps({"rater": "ann", "sheet": sheet.id, "answers": rights}))
    with Path(files.table).open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    table = tmp_path / "bob.csv"
    with table.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"answer": "none"} for row in rows)
    figures = answered_figures(run.path, [page, table], seed=0)
    # Four questions of a task are too few for a number.
    assert {figure.n for figure in figures} == {4}
    assert all("4 of 4 questions" in figure.reason for figure in figures)


def test_cells_that_look_like_formulas_are_guarded(run: FinishedRun) -> None:
    files, _, _ = written(run)
    with Path(files.table).open(newline="") as handle:
        cells = [cell for row in csv.DictReader(handle) for cell in row.values()]
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def test_too_few_described_neurons_are_said(run: FinishedRun) -> None:
    with pytest.raises(InputError, match=r"expected 2000; ask with a smaller --items"):
        write_human_check(run, SETTINGS.model_copy(update={"items": 1000}), seed=0)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{}", "holds no answers"),
        ("a.csv", "sheet,question\n", "holds no answers"),
        ("a.json", '{"rater": "a", "sheet": "s", "answers": {}}', "no question answered"),
        ("a.json", '{"rater": "a", "sheet": "s", "answers": {"q001": "7"}}', "no answer"),
        ("a.json", '{"rater": "a", "sheet": "s", "answers": {"q001": "A"}}', "do not fit"),
    ],
)
def test_files_without_answers_are_refused(
    run: FinishedRun, tmp_path: Path, name: str, content: str, message: str
) -> None:
    written(run)
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        answered_figures(run.path, [path], seed=0)


def test_answers_need_questions(run: FinishedRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no questions yet"):
        answered_figures(run.path, [tmp_path / "a.json"], seed=0)


def test_answers_about_other_explanations_are_refused(run: FinishedRun, tmp_path: Path) -> None:
    written(run)
    path = run.path / "explanations.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(InputError, match="have changed since"):
        answered_figures(run.path, [tmp_path / "a.json"], seed=0)
