"""Which proposer's predictions were right, on cases that can be counted by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.contributions import PRECISION, SHARE, contribution_figures
from eval.metrics import Ranking
from eval.proposer_shares import proposer_shares
from eval.records import Figure
from eval.recovery import RecoveryInputs, label_recovery
from eval.report_tables import evaluation_tables
from eval.table import full_tables

PROPOSERS = ("keyphrase", "embedded", "keyphrase + embedded", "embedded + keyphrase")
BOTH = "embedded+keyphrase"


def worked_case() -> RecoveryInputs:
    """Five neurons, labels A B; descriptors 0 and 1 mean A, 2 means B, 3 nothing.

    Gold at 0.9: neurons 0 to 2 {A, B}, neuron 3 {B}, neuron 4 nothing.
    """
    return RecoveryInputs(
        test_auroc=np.array([[0.95, 0.97, 0.99, 0.40, 0.5], [0.92, 0.91, 0.99, 0.95, 0.5]]),
        # Neuron 0 gets A twice, neuron 2 abstains.
        ranking=Ranking(
            np.array([[0, 1], [2, 0], [-1, -1], [3, -1], [1, 2]]), np.array([2, 2, 0, 1, 2])
        ),
        meanings=np.array([[1, 0], [1, 0], [0, 1], [0, 0]], dtype=np.bool_),
        contained_meanings=np.zeros((4, 2), dtype=np.bool_),
        descriptor_sizes=np.array([10, 40, 20, 30]),
        shuffled_ranking=Ranking(np.array([[2], [0], [0], [3], [0]]), np.array([1, 0, 0, 1, 1])),
    )


def found(figures: list[Figure], proposer: str, metric: str, k: int) -> Figure:
    variant = f"tau=0.9 proposer={proposer}"
    (figure,) = [f for f in figures if (f.variant, f.metric, f.k) == (variant, metric, k)]
    return figure


@pytest.mark.parametrize(
    ("proposer", "metric", "k", "value", "null", "baseline", "n"),
    [
        # First descriptors of neurons 0, 1, 3: 0 (hit), 2 (hit), 3 (no hit); shuffled: 2, 3.
        ("keyphrase", SHARE, 1, 1 / 3, 0.0, 1 / 4, 3),
        ("embedded", SHARE, 1, 0.0, 0.0, 1 / 4, 3),
        (BOTH, SHARE, 1, 2 / 3, 1.0, 1 / 2, 3),
        ("keyphrase", PRECISION, 1, 1.0, None, None, 1),
        ("embedded", PRECISION, 1, None, None, None, 0),
        (BOTH, PRECISION, 1, 1 / 2, 1 / 2, None, 2),
        # First two of neurons 0 and 1: 0, 1 (A again: no hit), 2, 0.
        ("keyphrase", SHARE, 2, 1 / 2, 0.0, 1 / 4, 4),
        ("embedded", SHARE, 2, 1 / 4, 0.0, 1 / 4, 4),
        ("keyphrase", PRECISION, 2, 1.0, None, None, 2),
        ("embedded", PRECISION, 2, 0.0, None, None, 1),
        (BOTH, PRECISION, 2, 1.0, 1.0, None, 1),
    ],
)
def test_worked_case(
    proposer: str,
    metric: str,
    k: int,
    value: float | None,
    null: float | None,
    baseline: float | None,
    n: int,
) -> None:
    figure = found(contribution_figures(worked_case(), PROPOSERS, seed=0), proposer, metric, k)
    assert (figure.value, figure.null, figure.baseline, figure.n) == (
        None if value is None else pytest.approx(value), null, baseline, n,
    )  # fmt: skip
    assert (figure.protocol, figure.split) == ("label_recovery", "test")


def test_one_line_of_proposers_or_none_leaves_nothing_to_tell() -> None:
    assert contribution_figures(worked_case(), (), seed=0) == []
    assert contribution_figures(worked_case(), ["keyphrase"] * 4, seed=0) == []
    with pytest.raises(ValueError, match="proposers of 3 descriptors, expected 4"):
        contribution_figures(worked_case(), ["a", "b", "c"], seed=0)


def test_where_no_neuron_qualifies_figures_are_undefined() -> None:
    figures = contribution_figures(worked_case(), PROPOSERS, ks=(5,), seed=0)
    assert {(each.value, each.ci_low, each.null, each.n) for each in figures} == {
        (None, None, None, 0)
    }


@given(st.integers(0, 2**32 - 1), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_shares_add_up_to_one_and_hits_to_precision(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    n_descriptors, n_labels, n_neurons = 6, 4, 40
    meanings = np.zeros((n_descriptors, n_labels), dtype=np.bool_)
    meanings[np.arange(n_descriptors), random.integers(0, n_labels, n_descriptors)] = True
    ranked = np.array([random.permutation(n_descriptors)[:4] for _ in range(n_neurons)])
    inputs = RecoveryInputs(
        test_auroc=random.uniform(0.5, 1.0, (n_labels, n_neurons)),
        ranking=Ranking(ranked, random.integers(0, 5, n_neurons)),
        meanings=meanings,
        contained_meanings=meanings,
        descriptor_sizes=np.ones(n_descriptors, dtype=np.int64),
    )
    proposers = random.choice(["a", "b", "a + b", "b + a"], n_descriptors).tolist()
    proposers[:2] = ["a", "b"]
    figures = contribution_figures(inputs, proposers, ks=(k,), taus=(0.7,), seed=1)
    shares = [each for each in figures if each.metric == SHARE]
    own = [each for each in figures if each.metric == PRECISION]
    for each in figures:
        if each.ci_low is not None:
            assert each.value is not None
            assert each.ci_high is not None
            assert 0.0 <= each.ci_low <= each.ci_high <= 1.0
    if shares[0].n:
        assert sum(each.value or 0.0 for each in shares) == pytest.approx(1.0)
    assert sum(each.n for each in own) == shares[0].n
    recovery = label_recovery(inputs, ks=(k,), taus=(0.7,), seed=1)
    (headline,) = [f for f in recovery if (f.variant, f.metric) == ("tau=0.7", "P")]
    hits = sum((each.value or 0.0) * each.n for each in own)
    assert hits == pytest.approx((headline.value or 0.0) * headline.n * k)


def evaluated() -> list[Figure]:
    """What a run writes: headlines and contributions for both tails of a site."""
    inputs = replace(worked_case(), facet="theme")
    figures = [
        *label_recovery(inputs, seed=0),
        *contribution_figures(inputs, PROPOSERS, seed=0),
    ]
    return [
        figure.model_copy(update={"variant": f"{figure.variant} tail={tail} site=ffn"})
        for tail in "+-"
        for figure in figures
    ]


def test_shares_are_read_back_at_the_headline() -> None:
    (item,) = proposer_shares(evaluated())
    assert (item.population.facet, item.population.site, item.n) == ("theme", "ffn", 4)
    assert (item.cutoff.tau, item.cutoff.k) == (0.9, 2)
    shown = {
        own.proposer: (own.share.value, own.precision and own.precision.value)
        for own in item.shares
    }
    assert shown == {
        "embedded": (0.25, 0.0),
        "embedded + keyphrase": (0.25, 1.0),
        "keyphrase": (0.5, 1.0),
    }
    assert proposer_shares(each for each in evaluated() if "proposer" not in each.variant) == ()


def test_a_proposer_without_predictions_has_a_share_of_none() -> None:
    figures = [each for each in evaluated() if each.k == 1 and "tau=0.8" in each.variant]
    (item,) = proposer_shares(figures)
    (embedded,) = [own for own in item.shares if own.proposer == "embedded"]
    assert (embedded.share.value, embedded.precision) == (0.0, None)


def test_tables_name_the_proposers() -> None:
    figures = evaluated()
    cells = [row for table in full_tables(figures) for row in table.rows]
    assert ("embedded + keyphrase", PRECISION) in {row[:2] for row in cells}
    readings = {
        (row.reading, row.name)
        for table in evaluation_tables(figures)
        for group in table.groups
        for row in group.rows
    }
    assert ("proposed by embedded", "share of predictions") in readings
