from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eval.causal import (
    RANDOM_DIRECTION,
    CausalSettings,
    CausalShifts,
    causal_figures,
    cosine_shifts,
    member_targets,
)
from eval.label_recovery import Population
from eval.records import Figure
from indexer.arrays import DoubleArray

N_CONTROLS = 3
N_DIRECTIONS = 4


def shifts_of(
    cosines: DoubleArray, own: Sequence[int], sign: int = 1, n_controls: int = N_CONTROLS
) -> CausalShifts:
    return CausalShifts(
        variant="ablate" if sign < 0 else "steer strength=4",
        sign=sign,
        cosines=cosines,
        own=np.asarray(own),
        n_controls=n_controls,
    )


def drawn(
    n_neurons: int, n_targets: int, seed: int, effect: float = 0.0, sign: int = 1
) -> CausalShifts:
    """Random shifts, to which the neurons add an effect of so many deviations on their targets."""
    generator = np.random.default_rng(seed)
    cosines = generator.normal(0, 0.01, size=(n_neurons, 1 + N_CONTROLS + N_DIRECTIONS, n_targets))
    own = generator.integers(0, n_targets, size=n_neurons)
    own[:2] = [0, 1]
    cosines[np.arange(n_neurons), 0, own] += sign * effect * 0.01
    return shifts_of(cosines, own.tolist(), sign)


def everyone(shifts: CausalShifts) -> list[Population]:
    return [Population("site=ffn", np.arange(len(shifts.own)))]


def figure(figures: list[Figure], metric: str, word: str = "") -> Figure:
    found = [
        each
        for each in figures
        if each.metric == metric and (RANDOM_DIRECTION in each.variant) == bool(word)
    ]
    assert len(found) == 1
    return found[0]


def test_hand_worked() -> None:
    # Two kinds of neurons with targets 0 and 1; one control, two directions of variance 2 and 0,
    # so that the spread is the root of their mean, 1.
    first = [[4.0, 1.0], [1.0, 2.0], [-1.0, 0.0], [1.0, 0.0]]
    second = [[0.0, 2.0], [2.0, 3.0], [3.0, 5.0], [3.0, 7.0]]
    shifts = shifts_of(
        np.asarray([first, second, first, second, first]), [0, 1, 0, 1, 0], n_controls=1
    )
    np.testing.assert_allclose(shifts.spread, 1.0)
    figures = causal_figures(shifts, everyone(shifts), seed=0)

    shift = figure(figures, "shift")
    assert shift.value == pytest.approx((4 + 2 + 4 + 2 + 4) / 5)
    assert shift.null == pytest.approx((1 + 0 + 1 + 0 + 1) / 5)
    assert shift.baseline == pytest.approx((1 + 3 + 1 + 3 + 1) / 5)
    cosine = figure(figures, "cosine")
    assert (cosine.value, cosine.null, cosine.baseline) == (
        shift.value,
        shift.null,
        shift.baseline,
    )
    excess = figure(figures, "excess")
    assert excess.value == pytest.approx((3 - 1 + 3 - 1 + 3) / 5)
    assert excess.null == pytest.approx((-1 - 2 - 1 - 2 - 1) / 5)
    assert excess.baseline == 0.0
    beats = figure(figures, "beats_controls")
    assert beats.value == pytest.approx(3 / 5)
    assert beats.null == 0.0
    assert beats.baseline == pytest.approx(1 / 2)
    specific = figure(figures, "specific")
    assert specific.value == pytest.approx((3 + 2 + 3 + 2 + 3) / 5)
    assert specific.null == 0.0
    assert specific.baseline == pytest.approx((-1 + 1 - 1 + 1 - 1) / 5)
    directions = figure(figures, "shift", RANDOM_DIRECTION)
    assert directions.value == pytest.approx((0 + 6 + 0 + 6 + 0) / 5)
    assert directions.null == pytest.approx((0 + 3 + 0 + 3 + 0) / 5)
    assert directions.variant == "steer random_direction strength=4 site=ffn"
    assert all(each.n == 5 and each.split == "test" for each in figures)


def test_ablation_counts_moving_away() -> None:
    towards, away = drawn(40, 8, 1, effect=3.0), drawn(40, 8, 1, effect=3.0, sign=-1)
    mirrored = shifts_of(-towards.cosines, towards.own.tolist(), sign=-1)
    one = causal_figures(towards, everyone(towards), seed=0)
    other = causal_figures(mirrored, everyone(mirrored), seed=0)
    for metric in ("beats_controls", "excess", "specific"):
        assert figure(one, metric).value == pytest.approx(figure(other, metric).value)
    shift = figure(causal_figures(away, everyone(away), seed=0), "shift").value
    assert shift is not None
    assert shift < -2.0


def test_a_planted_effect_is_found_and_nothing_where_there_is_none() -> None:
    planted = drawn(200, 20, 2, effect=2.0)
    found = causal_figures(planted, everyone(planted), seed=0)
    for metric in ("shift", "excess", "specific"):
        value = figure(found, metric)
        assert value.value == pytest.approx(2.0, abs=0.3)
        assert value.ci_low is not None
        assert value.ci_low > 1.5
        assert value.null == pytest.approx(0.0, abs=0.15)
        assert value.baseline == pytest.approx(0.0, abs=0.15)
    beats = figure(found, "beats_controls")
    assert beats.value is not None
    assert beats.value > 0.7
    assert beats.null == pytest.approx(1 / (N_CONTROLS + 1), abs=0.08)
    assert beats.baseline == 1 / (N_CONTROLS + 1)

    nothing = drawn(200, 20, 3)
    for metric in ("shift", "excess", "specific"):
        value = figure(causal_figures(nothing, everyone(nothing), seed=0), metric)
        assert value.ci_low is not None
        assert value.ci_high is not None
        assert value.ci_low < 0.0 < value.ci_high


@given(scale=st.floats(1e-6, 10.0), seed=st.integers(0, 100))
def test_standardised_figures_do_not_depend_on_the_size_of_cosines(scale: float, seed: int) -> None:
    shifts = drawn(12, 4, seed, effect=1.0)
    scaled = shifts_of(shifts.cosines * scale, shifts.own.tolist())
    one = causal_figures(shifts, everyone(shifts), seed=0)
    other = causal_figures(scaled, everyone(scaled), seed=0)
    for metric in ("shift", "excess", "specific", "beats_controls"):
        assert figure(one, metric).value == pytest.approx(figure(other, metric).value, rel=1e-6)


def test_parts_are_judged_by_the_targets_of_all() -> None:
    shifts = drawn(12, 4, 5, effect=1.0)
    shifts.own[:6] = 0
    groups = [
        Population("layer=0 site=ffn", np.arange(6)),
        Population("layer=1 site=ffn", np.arange(6, 8)),
    ]
    figures = causal_figures(shifts, groups, seed=0)
    assert figure(figures[:-1], "specific").value is not None
    refused = figures[-1]
    assert refused.metric == "refused"
    assert refused.variant == "steer strength=4 layer=1 site=ffn"
    assert refused.n == 2
    assert refused.reason.startswith("2 described neurons were drawn, expected 5 or more")


def test_cosine_shifts() -> None:
    generator = np.random.default_rng(0)

    def unit(*shape: int) -> DoubleArray:
        vectors = generator.normal(size=shape)
        return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)

    clean, changed, targets = unit(5, 7), unit(3, 5, 7), unit(4, 7)
    found = cosine_shifts(clean, changed, targets)
    for condition in range(3):
        for target in range(4):
            expected = np.mean(
                [
                    changed[condition, sentence] @ targets[target]
                    - clean[sentence] @ targets[target]
                    for sentence in range(5)
                ]
            )
            assert found[condition, target] == pytest.approx(expected)


def test_member_targets() -> None:
    outputs = np.asarray([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = member_targets(
        outputs, [np.asarray([0]), np.asarray([1])], [np.asarray([1, 2]), np.asarray([2])]
    )
    np.testing.assert_allclose(found, [[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(ValueError, match="no members or no others"):
        member_targets(outputs, [np.asarray([0])], [np.asarray([], dtype=np.int64)])
    with pytest.raises(ValueError, match="the mean output of the others"):
        member_targets(outputs, [np.asarray([0])], [np.asarray([0])])


def test_what_does_not_fit_is_refused() -> None:
    cosines = np.random.default_rng(0).normal(size=(4, 6, 3))
    with pytest.raises(ValueError, match="cosines have shape"):
        shifts_of(cosines[0], [0, 1, 2, 0])
    with pytest.raises(ValueError, match="sign is 2"):
        shifts_of(cosines, [0, 1, 2, 0], sign=2)
    with pytest.raises(ValueError, match="4 matched neurons and 1 directions"):
        shifts_of(cosines, [0, 1, 2, 0], n_controls=4)
    with pytest.raises(ValueError, match="NaN or infinity"):
        shifts_of(np.full_like(cosines, np.nan), [0, 1, 2, 0])
    with pytest.raises(ValueError, match="not within the 3"):
        shifts_of(cosines, [0, 1, 3, 0])
    with pytest.raises(ValueError, match="all neurons have one target"):
        shifts_of(cosines, [1, 1, 1, 1])
    with pytest.raises(ValueError, match="move an output nowhere"):
        shifts_of(np.zeros_like(cosines), [0, 1, 2, 0])
    for wrong in ({"strengths": (0.0,)}, {"neurons": 9}, {"sentences": 19}, {"directions": 2}):
        with pytest.raises(ValidationError):
            CausalSettings.model_validate(wrong)
