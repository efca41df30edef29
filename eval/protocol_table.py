"""All protocols in one table to read on a terminal: what leads, and whether it clears its controls.

The tables of `eval.table` hold label recovery and every single figure.
"""

from __future__ import annotations

from collections.abc import Iterable

from eval.control_verdicts import FigureVerdict, Outcome, judge_protocols
from eval.protocol_words import metric_name, protocol_words
from eval.records import Figure
from eval.recovery import PROTOCOL as LABEL_RECOVERY
from eval.table import TextTable, figure_cells

_HEADER = ("metric", "of", "value", "null", "baseline", "n", "controls")
_MOST_ROWS = 8
_MARKS = {
    Outcome.FAILS: "fails",
    Outcome.CLEARS: "clears",
    Outcome.TOO_FEW: "too few",
}


def protocol_tables(figures: Iterable[Figure]) -> list[TextTable]:
    """The leading figures of each protocol but label recovery, those that fail first."""
    tables = []
    for protocol in judge_protocols(figures):
        if protocol.protocol == LABEL_RECOVERY:
            continue
        words = protocol_words(protocol.protocol)
        shown = [each for outcome in Outcome for each in protocol.of(outcome)]
        refused = [each for each in shown if each.outcome is Outcome.REFUSED]
        judged = [each for each in shown if each.outcome is not Outcome.REFUSED]
        notes = [each.reason for each in refused]
        if len(judged) > _MOST_ROWS:
            cleared = sum(each.outcome is Outcome.CLEARS for each in judged)
            notes.append(f"{len(judged)} figures are judged, {cleared} clear; --all shows them.")
        tables.append(
            TextTable(
                title=f"{words.name}: {words.question}",
                header=_HEADER,
                rows=tuple(_row(each) for each in judged[:_MOST_ROWS]),
                n_left=2,
                note=" ".join(dict.fromkeys(notes)),
            )
        )
    return tables


def _row(verdict: FigureVerdict) -> tuple[str, ...]:
    figure = verdict.figure
    name = metric_name(figure)
    return (name, figure.variant or "-", *figure_cells(figure), _MARKS[verdict.outcome])
