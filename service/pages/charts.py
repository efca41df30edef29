"""What charts are drawn from, as data in the page; tables beside them say the same."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from eval.control_verdicts import Outcome, ProtocolVerdict
from eval.controls import goal
from eval.protocol_words import metric_name, protocol_words
from eval.records import Figure
from eval.report_tables import place_words
from service.views.records import LayerMap

_JUDGED = (Outcome.CLEARS, Outcome.FAILS)
_MOST_FIGURES = 24
_LOWEST, _HIGHEST = -1.0, 1.0

ChartData = dict[str, Any]
"""Goes into the page as JSON; `charts.js` reads it."""


def layer_chart(layer_map: LayerMap) -> ChartData:
    """The layer map: one entry a layer site."""
    return {
        "kind": "layers",
        "cells": [
            {
                "layer": cell.layer,
                "site": cell.site.value,
                "neurons": cell.n_neurons,
                "described": cell.described,
                "learned": cell.learned,
                "score": cell.median_score,
                "commonest": list(cell.commonest[:3]),
            }
            for cell in layer_map.cells
        ],
    }


def judged_chart(protocols: Iterable[ProtocolVerdict]) -> ChartData:
    """Figures that were judged, each with its interval, null and baseline; shares of one only."""
    verdicts = [
        (each.protocol, verdict)
        for each in protocols
        for verdict in each.verdicts
        if verdict.outcome in _JUDGED and _rises(verdict.figure)
    ]
    return {
        "kind": "figures",
        "left_out": max(0, len(verdicts) - _MOST_FIGURES),
        "figures": [
            {
                "protocol": protocol_words(protocol).name,
                "name": _name(verdict.figure),
                "clears": verdict.outcome is Outcome.CLEARS,
                "value": verdict.figure.value,
                "low": verdict.figure.ci_low,
                "high": verdict.figure.ci_high,
                "null": verdict.figure.null,
                "baseline": verdict.figure.baseline,
            }
            for protocol, verdict in verdicts[:_MOST_FIGURES]
        ],
    }


def _rises(figure: Figure) -> bool:
    """Whether more is better, and the figure shares an axis with others; of controls less is."""
    if goal(figure) is not None:
        return False
    return figure.value is not None and _LOWEST <= figure.value <= _HIGHEST


def _name(figure: Figure) -> str:
    place = place_words(figure)
    return f"{metric_name(figure)}, {place}" if place else metric_name(figure)
