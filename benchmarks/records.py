"""What a benchmark leaves: one record a figure, kept in `benchmarks/results.json`."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import read_json, write_json

_GOAL = re.compile(r"(<=|>=|<|>) (\d+(?:\.\d+)?)")
_COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}

Finite = Annotated[float, Field(allow_inf_nan=False)]


class Measurement(Record):
    """One measured figure.

    `name` is `topic.what`. `ratio` is the value divided by the same quantity for `against`, in the
    same run where times are compared. `goal` reads like `<= 90`, in `unit`; `met` says whether the
    value reaches it and is missing where there is no goal.
    """

    name: str = Field(min_length=1)
    value: Finite
    unit: str
    against: str | None
    ratio: Finite | None
    goal: str | None
    met: bool | None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.against is None) != (self.ratio is None):
            raise ValueError(f"{self.name}: `against` and `ratio` belong together")
        if self.met != _reaches(self.value, self.goal):
            raise ValueError(f"{self.name}: {self.value} against {self.goal!r} is not {self.met}")
        return self

    @classmethod
    def of(
        cls,
        name: str,
        value: float,
        unit: str,
        *,
        goal: str | None = None,
        against: str | None = None,
        reference: float | None = None,
    ) -> Self:
        """A measurement; `reference` is the value of `against`, and `met` follows from the goal.

        Raises:
            ValueError: the goal cannot be read, or only one of `against` and `reference` is given.
        """
        return cls(
            name=name,
            value=value,
            unit=unit,
            against=against,
            ratio=None if reference is None else value / reference,
            goal=goal,
            met=_reaches(value, goal),
        )


_MEASUREMENTS = TypeAdapter(list[Measurement])


def read_results(path: Path) -> list[Measurement]:
    """What `write_results` wrote; nothing where there is no file yet.

    Raises:
        RunError: the file does not hold measurements.
    """
    if not path.exists():
        return []
    try:
        return _MEASUREMENTS.validate_python(read_json(path))
    except ValidationError as error:
        raise RunError(f"{path} does not hold measurements: {error}. Remove it.") from error


def write_results(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write all measurements in one atomic step.

    Raises:
        RunError: the file cannot be written.
        ValueError: a name occurs twice.
    """
    names = [each.name for each in measurements]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"measured twice: {', '.join(twice)}")
    write_json(path, [each.model_dump() for each in measurements])


def replaced(
    existing: Sequence[Measurement], topic: str, new: Sequence[Measurement]
) -> list[Measurement]:
    """All measurements after `topic` was measured anew; other topics keep theirs."""
    kept = [each for each in existing if not each.name.startswith(f"{topic}.")]
    return [*kept, *new]


def _reaches(value: float, goal: str | None) -> bool | None:
    if goal is None:
        return None
    read = _GOAL.fullmatch(goal)
    if read is None:
        raise ValueError(f"goal {goal!r} cannot be read; expected for example '<= 90'")
    return bool(_COMPARISONS[read[1]](value, float(read[2])))
