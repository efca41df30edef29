"""From figures of label recovery to rows of the table."""

from typing import Any

import pytest

from eval.benchmark_rows import RunPlace, failed_rows, own_rows, rival_rows
from eval.matchers import OURS, TRUE_LABELS
from eval.records import Figure

PLACE = RunPlace("clinc150", "bundled", "keyphrase", taus=(0.8, 0.9), ks=(1, 2))


def figure(variant: str, metric: str, value: float | None, **more: Any) -> Figure:
    told: dict[str, Any] = {
        "protocol": "label_recovery",
        "variant": variant,
        "metric": metric,
        "k": 2,
        "split": "test",
        "facet": "intent",
        "value": value,
        "n": 70,
    }
    return Figure(**(told | more))


EVALUATION = [
    figure("tau=0.9 tail=+ site=ffn", "P", 0.6, ci_low=0.5, ci_high=0.7, null=0.01, baseline=0.1),
    figure("tau=0.9 tail=+ site=ffn", "R", 0.4, ci_low=0.3, ci_high=0.5, null=0.0, baseline=0.05),
    figure("tau=0.9 tail=+ site=ffn", "R_ceiling", 0.9),
    figure("tau=0.9 tail=+ site=ffn", "nDCG", 0.7),
    figure("tau=0.9 upper_bound tail=+ site=ffn", "P", 0.8, ci_low=0.75, ci_high=0.85),
    figure("tau=0.9 upper_bound tail=+ site=ffn", "R", 0.5, ci_low=0.45, ci_high=0.55),
    # Not for the table: other readings, one layer, other cutoffs, other protocols, all neurons.
    figure("tau=0.9 contained tail=+ site=ffn", "P", 0.9),
    figure("tau=0.9 tail=+ site=ffn layer=3", "P", 0.2, n=9),
    figure("tau=0.95 tail=+ site=ffn", "P", 0.3),
    figure("tau=0.9 tail=+ site=ffn", "P", 0.1, k=5),
    figure("tau=0.9 tail=+ site=ffn", "P", 0.1, protocol="planted"),
    figure("every_neuron tail=+ site=ffn", "described", 0.4, k=None),
    figure("tau=0.9 coverage=0.1 tail=+ site=ffn", "P", 0.99),
]


def test_our_own_rows() -> None:
    ours, upper = own_rows(PLACE, EVALUATION, (OURS, "frequency", TRUE_LABELS), 12.5)
    assert (ours.corpus, ours.facet, ours.site, ours.tail) == ("clinc150", "intent", "ffn", "+")
    assert (ours.matcher, ours.tau, ours.k, ours.n, ours.seconds) == (OURS, 0.9, 2, 70, 12.5)
    assert (ours.precision, ours.precision_low, ours.precision_high) == (0.6, 0.5, 0.7)
    assert (ours.precision_null, ours.precision_baseline) == (0.01, 0.1)
    assert (ours.precision_upper, ours.recall_upper) == (0.8, 0.5)
    assert ours.precision_ratio == pytest.approx(0.75)
    assert ours.recall_ratio == pytest.approx(0.8)
    assert ours.recall_ceiling == 0.9
    assert (upper.matcher, upper.precision, upper.recall) == (TRUE_LABELS, 0.8, 0.5)
    assert (upper.precision_ratio, upper.recall_ceiling) == (1.0, 0.9)
    # The same neurons have the same null and baseline.
    assert (upper.precision_null, upper.recall_baseline) == (0.01, 0.05)
    assert upper.seconds is None


def test_only_wanted_matchers_get_rows() -> None:
    assert [each.matcher for each in own_rows(PLACE, EVALUATION, (TRUE_LABELS,), 1.0)] == [
        TRUE_LABELS
    ]
    assert own_rows(PLACE, EVALUATION, ("frequency",), 1.0) == []


def test_rows_of_a_rival() -> None:
    found = [
        figure("tau=0.9 tail=+ site=ffn", "P", 0.2, ci_low=0.1, ci_high=0.3, null=0.05),
        figure("tau=0.9 tail=+ site=ffn", "R", 0.1),
    ]
    (row,) = rival_rows(PLACE, "softwpmi", found, EVALUATION, 3.0)
    assert (row.matcher, row.precision, row.recall, row.seconds) == ("softwpmi", 0.2, 0.1, 3.0)
    assert row.precision_ratio == pytest.approx(0.25)
    assert (row.precision_null, row.recall_ceiling, row.n) == (0.05, 0.9, 70)


def test_where_no_neuron_qualifies_the_row_is_there() -> None:
    silent = [
        figure("tau=0.8 tail=- site=hidden", "P", None, n=0),
        figure("tau=0.8 tail=- site=hidden", "R", None, n=0),
    ]
    (row,) = own_rows(PLACE, silent, (OURS,), None)
    assert (row.n, row.precision, row.precision_ratio, row.recall_upper) == (0, None, None, None)


def test_an_upper_bound_of_zero_gives_no_ratio() -> None:
    figures = [
        *EVALUATION[:2],
        figure("tau=0.9 upper_bound tail=+ site=ffn", "P", 0.0),
        figure("tau=0.9 upper_bound tail=+ site=ffn", "R", 0.0),
    ]
    (row,) = own_rows(PLACE, figures, (OURS,), None)
    assert (row.precision_upper, row.precision_ratio) == (0.0, None)


def test_a_matcher_that_failed_is_in_the_table() -> None:
    (row,) = failed_rows(PLACE, "softwpmi", EVALUATION, "activations are damaged")
    assert (row.matcher, row.reason, row.n) == ("softwpmi", "activations are damaged", 70)
    assert row.precision is None
