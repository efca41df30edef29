"""The record of a measurement and the file that keeps them."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.records import Measurement, read_results, replaced, write_results
from indexer.errors import RunError

KEYS = {"name", "value", "unit", "against", "ratio", "goal", "met"}


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        ("<= 90", 90.0, True),
        ("<= 90", 90.1, False),
        ("< 0.5", 0.5, False),
        (">= 0.65", 0.65, True),
        (">= 0.65", 0.649, False),
        ("> 2", 2.0, False),
        (None, 1.0, None),
    ],
)
def test_met_follows_from_goal_and_value(goal: str | None, value: float, met: bool | None) -> None:
    assert Measurement.of("topic.what", value, "s", goal=goal).met is met


def test_ratio_is_value_over_reference() -> None:
    measured = Measurement.of("topic.what", 6.0, "s", against="the bare model", reference=4.0)
    assert measured.ratio == 1.5


@pytest.mark.parametrize("goal", ["90", "=< 90", "<= fast", "<= -1", ""])
def test_a_goal_that_cannot_be_read_is_refused(goal: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        Measurement.of("topic.what", 1.0, "s", goal=goal)


def test_ratio_and_against_belong_together() -> None:
    with pytest.raises(ValueError, match="belong together"):
        Measurement.of("topic.what", 1.0, "s", against="the bare model")
    with pytest.raises(ValueError, match="belong together"):
        Measurement.of("topic.what", 1.0, "s", reference=2.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_only_numbers_are_measured(value: float) -> None:
    with pytest.raises(ValidationError):
        Measurement.of("topic.what", value, "s")


def test_a_record_that_claims_a_missed_goal_is_refused() -> None:
    claim = Measurement.of("topic.what", 100.0, "s", goal="<= 90").model_dump() | {"met": True}
    with pytest.raises(ValidationError, match="is not True"):
        Measurement.model_validate(claim)


def test_the_file_holds_exactly_the_agreed_keys(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    measured = [
        Measurement.of("demo.seconds", 60.0, "s", goal="<= 90"),
        Measurement.of("matching.ffn", 12.0, "s", against="a loop", reference=24.0),
    ]
    write_results(path, measured)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [set(each) for each in content] == [KEYS, KEYS]
    assert content[0]["met"] is True
    assert content[1]["ratio"] == 0.5
    assert read_results(path) == measured


def test_a_name_is_measured_once(tmp_path: Path) -> None:
    twice = [Measurement.of("demo.seconds", 1.0, "s"), Measurement.of("demo.seconds", 2.0, "s")]
    with pytest.raises(ValueError, match=r"measured twice: demo\.seconds"):
        write_results(tmp_path / "results.json", twice)


def test_a_topic_is_replaced_as_a_whole_and_others_stay() -> None:
    old = [
        Measurement.of("recovery.clinc150.P@1", 0.1, "share"),
        Measurement.of("recovery.clinc150.P@2", 0.2, "share"),
        Measurement.of("recovery.clinc1.P@1", 0.3, "share"),
    ]
    new = [Measurement.of("recovery.clinc150.P@1", 0.9, "share")]
    assert replaced(old, "recovery.clinc150", new) == [old[2], new[0]]


def test_no_file_means_nothing_measured_and_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    assert read_results(path) == []
    path.write_text('[{"name": "demo.seconds", "value": "fast"}]', encoding="utf-8")
    with pytest.raises(RunError, match="does not hold measurements"):
        read_results(path)
