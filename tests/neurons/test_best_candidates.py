"""The first candidate of every tail, match or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from neurons import split_rows
from neurons.best_candidates import BestCandidates, match_with_best
from neurons.matching import Matches, MatchingSettings

World = Any
SETTINGS = MatchingSettings(minimum_auroc=0.5, null_quantile=0.6, candidates=3)


def both(world: World, settings: MatchingSettings = SETTINGS) -> tuple[Matches, BestCandidates]:
    return match_with_best(world.stored, csr_matrix(world.sets * 0.5), world.rows, settings, seed=0)


def test_it_is_the_highest_lower_bound_of_discover_and_validation(planted_world: World) -> None:
    world, rows = planted_world, planted_world.rows
    _, best = both(world)

    def statistic(sign: float, unit: int, own: np.ndarray) -> float:
        """AUROC over both splits, weighted by the rarer class, less two standard errors."""
        found, weights = [], []
        for split in (rows.discover, rows.validation):
            values = sign * world.activations[split, unit].astype(np.float64)
            found.append(roc_auc_score(own[split], values))
            weights.append(min(own[split].sum(), (~own[split]).sum()))
        area, n_rarer = np.average(found, weights=weights), sum(weights)
        edge = 0.5 / (n_rarer + 1)
        inside = np.clip(area, edge, 1.0 - edge)
        return float(area - 2.0 * np.sqrt(inside * (1.0 - inside) / n_rarer))

    for unit in (0, 1, 5, 20, 39):
        for column, sign in enumerate((1.0, -1.0)):
            expected = [statistic(sign, unit, own) for own in world.sets]
            first = int(np.argmax(expected))
            assert best.descriptor[unit, column] == first
            assert best.statistic[unit, column] == pytest.approx(expected[first], abs=1e-9)
            on_test = sign * world.activations[rows.test, unit].astype(np.float64)
            area = roc_auc_score(world.sets[first][rows.test], on_test)
            assert best.test_auroc[unit, column] == pytest.approx(area, abs=1e-12)


def test_planted_units_have_their_set_and_others_have_one_too(planted_world: World) -> None:
    matches, best = both(planted_world)
    assert best.descriptor.shape == best.statistic.shape == best.test_auroc.shape == (40, 2)
    for unit in range(12):
        assert best.descriptor[unit, unit % 2] == unit
        assert best.test_auroc[unit, unit % 2] > 0.75
    assert np.median(best.test_auroc[12:]) < 0.6
    assert (best.test_auroc[matches.neuron, matches.tail] > 0.0).all()


def test_matches_are_those_of_the_matcher(planted_world: World) -> None:
    matches, _ = both(planted_world)
    plain = planted_world.match(SETTINGS)
    assert len(plain.neuron) > 12
    for field in fields(Matches):
        expected = getattr(plain, field.name)
        np.testing.assert_array_equal(getattr(matches, field.name), expected, err_msg=field.name)


def test_the_size_of_blocks_does_not_matter(
    planted_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole = both(planted_world)
    monkeypatch.setattr(split_rows, "_BLOCK_BYTES", 1)
    _, parts = both(planted_world)
    for field in fields(BestCandidates):
        np.testing.assert_array_equal(getattr(whole, field.name), getattr(parts, field.name))


def test_numbers_are_rows_of_the_membership_with_sets_too_small_left_out(
    unrelated_world: Callable[..., World],
) -> None:
    world = unrelated_world()
    sets = world.sets.copy()
    sets[:3] = False
    _, best = both(replace(world, sets=sets).planted(0, 7, 4.0))
    assert best.descriptor.min() >= 3
    assert best.descriptor[0, 0] == 7


def test_without_sets_there_is_no_candidate(unrelated_world: Callable[..., World]) -> None:
    world = unrelated_world()
    with pytest.raises(ValueError, match="no descriptor can be judged"):
        both(replace(world, sets=np.zeros_like(world.sets)))
