"""The figures of a run on disk: `RUN/evaluation.json`, a list of `eval.records.Figure`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from eval.records import Figure
from indexer.errors import RunError
from indexer.storage import read_json, write_json

EVALUATION_FILE = "evaluation.json"

_FIGURES = TypeAdapter(list[Figure])
_NUMBERS = ("value", "ci_low", "ci_high", "null", "baseline")


def write_evaluation(run: Path, figures: Iterable[Figure]) -> Path:
    """Write all figures of the run directory `run` in one atomic step; returns the file's path.

    Raises:
        RunError: the file cannot be written.
        ValueError: a figure holds NaN or infinity; an undefined value is None.
    """
    path = run / EVALUATION_FILE
    write_figures(path, figures)
    return path


def read_evaluation(run: Path) -> list[Figure]:
    """Read the figures of the run directory `run`, in file order.

    Raises:
        RunError: the file is missing or does not hold figures.
    """
    return read_figures(run / EVALUATION_FILE)


def write_figures(path: Path, figures: Iterable[Figure]) -> None:
    """Write figures to a JSON file in one atomic step.

    Raises:
        RunError: the file cannot be written.
        ValueError: a figure holds NaN or infinity; an undefined value is None.
    """
    kept = list(figures)
    for figure in kept:
        if (name := _not_finite(figure)) is not None:
            raise ValueError(
                f"{name} of {figure.protocol} {figure.variant} {figure.metric} is not finite; "
                "use None"
            )
    write_json(path, [figure.model_dump() for figure in kept])


def read_figures(path: Path) -> list[Figure]:
    """Read figures from a JSON file, in file order.

    Raises:
        RunError: the file is missing or does not hold figures.
    """
    try:
        figures = _FIGURES.validate_python(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise RunError(
            f"{path} does not hold evaluation figures: {first['msg']} at {where} "
            f"({error.error_count()} problems). Evaluate the run again to rewrite it."
        ) from error
    for place, figure in enumerate(figures):
        if (name := _not_finite(figure)) is not None:
            raise RunError(
                f"{path} holds a number that is not finite at {place}.{name}, expected a number "
                "or null. Evaluate the run again to rewrite it."
            )
    return figures


def _not_finite(figure: Figure) -> str | None:
    for name in _NUMBERS:
        number = getattr(figure, name)
        if number is not None and not math.isfinite(number):
            return name
    return None
