from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import pytest

from indexer.engine import Engine, LocalEngine
from indexer.errors import InputError


class Factor:
    """A number, and how often it was loaded."""

    key = "factor"

    def __init__(self) -> None:
        self.loads = 0

    def load(self) -> int:
        self.loads += 1
        return 3


def times(factor: int, portion: int) -> int:
    if portion < 0:
        raise InputError(f"found {portion}, expected 0 or more")
    return factor * portion


def test_answers_come_in_the_order_of_the_portions_from_one_load() -> None:
    engine: Engine = LocalEngine()
    factor = Factor()
    assert list(engine.map(times, factor, [3, 1, 2])) == [9, 3, 6]
    assert factor.loads == 1


def test_no_portion_is_taken_before_it_is_needed() -> None:
    taken: list[int] = []

    def portions() -> Iterator[int]:
        for number in count():
            taken.append(number)
            yield number

    answers = LocalEngine().map(times, Factor(), portions())
    assert taken == []
    assert list(islice(answers, 2)) == [0, 3]
    assert taken == [0, 1]


def test_no_portions_have_no_answers() -> None:
    assert list(LocalEngine().map(times, Factor(), [])) == []


def test_an_error_arrives_after_the_answers_before_it() -> None:
    answers = LocalEngine().map(times, Factor(), [1, -1, 2])
    assert next(answers) == 3
    with pytest.raises(InputError, match="found -1, expected 0 or more"):
        next(answers)
