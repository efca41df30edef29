"""Blinded sheets: nothing on them tells the answer, and the key knows it."""

import numpy as np
import pytest

from eval.human_page import option_letter, option_of, render_sheet, sheet_rows
from eval.human_sheet import HumanKey, HumanSheet, HumanTask, Subject, draw_sheet
from neurons.records import Tail


def subjects(first: int, n_subjects: int) -> list[Subject]:
    return [
        Subject(
            neuron=f"L0.ffn.{number}",
            tail=Tail.POSITIVE,
            description=f"true {number}",
            exemplars=tuple(f"exemplar {number} {place}" for place in range(5)),
            distractors=tuple(f"false {number} {place}" for place in range(3)),
            intruder=f"foreign {number}",
        )
        for number in range(first, first + n_subjects)
    ]


def drawn(seed: int = 0) -> tuple[HumanSheet, HumanKey]:
    return draw_sheet(subjects(0, 12), subjects(12, 12), "e", seed)


def test_the_key_points_at_the_truth() -> None:
    sheet, key = drawn()
    assert sheet.id == key.sheet
    assert len(sheet.items) == len(key.entries) == 24
    for item, entry in zip(sheet.items, key.entries, strict=True):
        number = entry.neuron.split(".")[-1]
        wanted = f"true {number}" if item.task is HumanTask.DESCRIPTION else f"foreign {number}"
        assert item.options[entry.right] == wanted
        assert (item.id, item.task, len(item.options)) == (entry.id, entry.task, entry.n_options)


def test_a_description_is_asked_with_its_sentences_and_an_intruder_among_them() -> None:
    sheet, _ = drawn()
    for item in sheet.items:
        if item.task is HumanTask.DESCRIPTION:
            assert len(item.sentences) == 5
            assert sorted(option.split()[0] for option in item.options) == ["false"] * 3 + ["true"]
        else:
            assert item.sentences == ()
            assert sorted(option.split()[0] for option in item.options) == [
                *["exemplar"] * 4,
                "foreign",
            ]


def test_right_options_and_tasks_are_in_no_order() -> None:
    rights = [entry.right for seed in range(40) for entry in drawn(seed)[1].entries]
    shares = np.bincount(rights) / len(rights)
    assert shares[:4] == pytest.approx([0.225, 0.225, 0.225, 0.225], abs=0.06)
    tasks = [item.task for item in drawn()[0].items]
    assert len(set(tasks[:12])) == 2


def test_the_seed_decides() -> None:
    assert drawn(3) == drawn(3)
    assert drawn(3)[0].id != drawn(4)[0].id


def test_the_page_escapes_and_holds_no_answer() -> None:
    hostile = Subject(
        neuron="L7.ffn.4321",
        tail=Tail.NEGATIVE,
        description="<script>alert(1)</script>",
        exemplars=('"><img src=x onerror=alert(2)>',) * 5,
        distractors=("a", "b", "c"),
        intruder="x",
    )
    sheet, _ = draw_sheet([hostile], [], "e", 0)
    page = render_sheet(sheet)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "4321" not in page
    assert "Content-Security-Policy" in page
    assert page == render_sheet(sheet)


def test_rows_have_a_column_for_every_option() -> None:
    sheet, _ = drawn()
    rows = sheet_rows(sheet)
    assert {tuple(row) for row in rows} == {
        ("sheet", "question", "task", "sentences", "A", "B", "C", "D", "E", "answer")
    }
    for row, item in zip(rows, sheet.items, strict=True):
        assert tuple(row[letter] for letter in "ABCDE"[: len(item.options)]) == item.options
        assert row["answer"] == ""


@pytest.mark.parametrize(("written", "option"), [("A", 0), (" c ", 2), ("None", -1)])
def test_options_are_read_as_they_are_written(written: str, option: int) -> None:
    assert option_of(written) == option
    assert option_of(option_letter(option)) == option


@pytest.mark.parametrize("written", ["", "AB", "1", "?"])
def test_what_is_no_option_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="no answer"):
        option_of(written)
