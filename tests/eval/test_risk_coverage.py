from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import Ranking
from eval.records import Figure
from eval.recovery import RecoveryInputs
from eval.risk_coverage import match_confidences, risk_area, risk_coverage
from eval.variants import Variant
from neurons.records import AbstentionReason, Explanation, Match, Tail


def inputs(right: list[bool], gold: list[bool], described: list[bool]) -> RecoveryInputs:
    """One label, descriptor 0 means it and is the commonest, descriptor 1 means nothing."""
    first = np.where(right, 0, 1).reshape(-1, 1)
    return RecoveryInputs(
        test_auroc=np.where(gold, 0.95, 0.5).reshape(1, -1),
        ranking=Ranking(first, np.array(described, dtype=np.int64)),
        meanings=np.array([[True], [False]]),
        contained_meanings=np.array([[True], [False]]),
        descriptor_sizes=np.array([9, 5]),
        facet="theme",
    )


def only(figures: list[Figure], metric: str, variant: str) -> Figure:
    found = [each for each in figures if (each.metric, each.variant) == (metric, variant)]
    assert len(found) == 1, (metric, variant)
    return found[0]


def judged(case: RecoveryInputs, confidence: np.ndarray, **changed: Any) -> list[Figure]:
    options: dict[str, Any] = {"taus": (0.9,), "coverages": (0.5, 1.0), "seed": 0}
    return risk_coverage(case, confidence, **(options | changed))


def test_a_curve_by_hand() -> None:
    """Of 44 described carriers the surest 22 are right, the others are not; all else is ignored."""
    n = 44
    right = [place < 22 for place in range(n)] + [True, False, False]
    gold = [True] * n + [True, False, True]
    described = [True] * n + [False, True, False]
    confidence = np.array([*range(n, 0, -1), 99, 99, 0])
    figures = judged(inputs(right, gold, described), confidence)
    half = only(figures, "P", "tau=0.9 risk_coverage coverage=0.5")
    assert (half.value, half.null, half.baseline, half.n) == (1.0, 0.5, 1.0, 22)
    every = only(figures, "P", "tau=0.9 risk_coverage coverage=1")
    assert (every.value, every.null, every.n, every.k) == (0.5, 0.5, 44, 1)
    area = only(figures, "AURC", "tau=0.9 risk_coverage")
    # The first wrong one comes at place 23, where 1 of 23 is wrong.
    expected = sum((place - 22) / place for place in range(23, 45)) / 44
    assert area.value == pytest.approx(expected)
    assert (area.null, area.n, area.facet, area.split) == (0.5, 44, "theme", "test")
    assert only(figures, "AURC_perfect", "tau=0.9 risk_coverage").value == area.value
    # With them the described neuron that carries no label, surest of all and wrong.
    reading = "tau=0.9 risk_coverage every_neuron"
    wider = only(figures, "P", f"{reading} coverage=0.5")
    assert (wider.value, wider.n) == (pytest.approx(22 / 23), 23)
    assert wider.baseline == pytest.approx(22 / 23)
    assert only(figures, "P", f"{reading} coverage=1").null == pytest.approx(22 / 45)
    wide = only(figures, "AURC", reading)
    assert wide.n == 45
    assert wide.value is not None
    assert area.value is not None
    assert wide.value > area.value


def test_the_wrong_way_round_is_worse_than_chance() -> None:
    right = [place >= 22 for place in range(44)]
    figures = judged(inputs(right, [True] * 44, [True] * 44), np.arange(44, 0, -1))
    area = only(figures, "AURC", "tau=0.9 risk_coverage")
    perfect = only(figures, "AURC_perfect", "tau=0.9 risk_coverage")
    assert area.value is not None
    assert area.null is not None
    assert area.ci_low is not None
    assert perfect.value is not None
    assert area.ci_low > area.null > perfect.value
    assert (perfect.null, perfect.ci_low, perfect.ci_high) == (None, None, None)


def test_without_any_order_every_coverage_is_chance() -> None:
    right = [place % 4 == 0 for place in range(80)]
    figures = judged(inputs(right, [True] * 80, [True] * 80), np.zeros(80, dtype=np.int64))
    for figure in figures:
        if figure.metric == "P":
            assert figure.value == pytest.approx(0.25)
    area = only(figures, "AURC", "tau=0.9 risk_coverage")
    assert area.value == pytest.approx(0.75)
    assert area.null == pytest.approx(0.75)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_ties_are_the_mean_over_their_orders(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n = 30
    right = generator.random(n) < 0.6
    confidence = generator.integers(0, 6, size=n)
    figures = judged(
        inputs(list(right), [True] * n, [True] * n), confidence, coverages=(0.7, 0.8, 1.0)
    )
    areas, precisions = [], {21: [], 24: [], 30: []}
    for _ in range(2000):
        order = np.lexsort((generator.random(n), -confidence))
        areas.append(risk_area(right[order].astype(np.float64)))
        for n_covered, found in precisions.items():
            found.append(right[order][:n_covered].mean())
    area = only(figures, "AURC", "tau=0.9 risk_coverage")
    assert area.value == pytest.approx(np.mean(areas), abs=0.01)
    for figure in figures:
        if figure.metric == "P" and "every_neuron" not in figure.variant:
            assert figure.value == pytest.approx(np.mean(precisions[figure.n]), abs=0.02)
    perfect = only(figures, "AURC_perfect", "tau=0.9 risk_coverage")
    assert perfect.value is not None
    assert perfect.value <= min(areas) + 1e-12


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_the_order_of_neurons_does_not_matter(seed: int) -> None:
    generator = np.random.default_rng(seed)
    right, gold, described = (generator.random((3, 60)) < 0.8).tolist()
    confidence = generator.integers(0, 9, size=60)
    order = generator.permutation(60)
    case = inputs(right, gold, described)
    for one, other in zip(
        judged(case, confidence), judged(case.take(order), confidence[order]), strict=True
    ):
        assert one.value == pytest.approx(other.value)
        assert one.null == pytest.approx(other.null)
        assert one.n == other.n


def test_too_few_neurons_are_no_curve() -> None:
    nineteen = [place < 19 for place in range(60)]
    (refused,) = judged(inputs([True] * 60, nineteen, [True] * 60), np.arange(60))
    assert (refused.metric, refused.value, refused.n) == ("AURC", None, 19)
    assert "found 19 described neurons" in refused.reason
    (nothing,) = judged(inputs([True] * 60, [False] * 60, [True] * 60), np.arange(60))
    assert (nothing.value, nothing.n, nothing.reason) == (None, 0, "")
    some = judged(
        inputs([True] * 60, [True] * 60, [True] * 60), np.arange(60), coverages=(0.3, 0.34, 1.0)
    )
    shares = [Variant.parse(each.variant).coverage for each in some if each.metric == "P"]
    assert shares == [0.34, 1.0, 0.34, 1.0]


def test_bad_arguments() -> None:
    case = inputs([True] * 30, [True] * 30, [True] * 30)
    with pytest.raises(ValueError, match="confidences have shape"):
        judged(case, np.arange(29))
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        judged(case, np.arange(30), coverages=(0.0, 0.5))


def explanation(neuron: int, tail: Tail, q: float | None, z: float = 0.0) -> Explanation:
    if q is None:
        return Explanation(neuron=f"L0.ffn.{neuron}", tail=tail, reason=AbstentionReason.NO_MATCH)
    # The second match would be surer: only the first one counts.
    matches = tuple(
        Match(
            rank=rank, descriptor_id="d", descriptor="d", auroc=0.9, ci_low=0.8, ci_high=1.0,
            q=own, exemplar_z=z,
        )
        for rank, own in ((1, q), (2, 0.0))
    )  # fmt: skip
    return Explanation(neuron=f"L0.ffn.{neuron}", tail=tail, matches=matches)


def test_confidence_orders_by_q_then_by_exemplars() -> None:
    positive = [(0.01, 3.0), (0.001, 1.0), (None, 0.0), (0.01, 5.0), (0.001, 1.0)]
    negative = [(None, 0.0), (0.04, 2.0), (0.0005, 0.0), (None, 0.0), (0.01, 3.0)]
    found = match_confidences(
        [
            *(explanation(n, Tail.POSITIVE, *each) for n, each in enumerate(positive)),
            *(explanation(n, Tail.NEGATIVE, *each) for n, each in enumerate(negative)),
        ]
    )
    assert [each.tolist() for each in found] == [[2, 4, 0, 3, 4], [0, 1, 5, 0, 2]]
