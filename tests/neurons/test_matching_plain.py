"""The matching rule against plain loops over other libraries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.stats import false_discovery_control, hypergeom, norm, rankdata
from sklearn.metrics import roc_auc_score

from indexer.arrays import DoubleArray
from neurons.matching import Matcher, Matches, MatchingSettings
from neurons.significance import auroc_bounds

World = Any

LOOSE = MatchingSettings(
    minimum_auroc=0.52,
    null_quantile=0.51,
    standard_errors=1.0,
    false_discovery_rate=0.99,
    candidates=7,
    matches=3,
)


def plain_standard_error(inside: DoubleArray, outside: DoubleArray) -> float:
    """DeLong's standard error from every pair of a member and another sentence."""
    wins = (inside[:, None] > outside) + 0.5 * (inside[:, None] == outside)
    variance = wins.mean(axis=1).var(ddof=1) / len(inside)
    return float(np.sqrt(variance + wins.mean(axis=0).var(ddof=1) / len(outside)))


@dataclass(frozen=True)
class Found:
    """One match as the plain loops below find it."""

    neuron: int
    tail: int
    rank: int
    descriptor: int
    auroc: float
    ci_low: float
    z: float
    exemplar_z: float


class PlainMatcher:
    """The matching rule once more, one tail at a time, from other libraries."""

    def __init__(
        self,
        world: World,
        matches: Matches,
        settings: MatchingSettings,
        handicaps: DoubleArray | None = None,
    ) -> None:
        self.world, self.null, self.settings = world, matches.null, settings
        self.handicaps = np.zeros(len(world.sets)) if handicaps is None else handicaps
        rows = world.rows
        self.splits = (rows.discover, rows.validation, rows.test)
        sizes = np.array([world.sets[:, own].sum(axis=1) for own in self.splits]).T
        others = np.array([len(own) for own in self.splits]) - sizes
        self.usable = [n for n in range(len(sizes)) if min(*sizes[n], *others[n]) >= 5]
        self.rarer = np.minimum(sizes, others)
        # The permutation null is tested by itself.
        matcher = Matcher(world.stored, csr_matrix(world.sets), rows, settings, seed=0)
        self.z_spread = matcher.sets.z_spread

    def bound(self, area: float, n_rarer: int) -> float:
        inside = min(max(area, 0.5 / (n_rarer + 1)), 1 - 0.5 / (n_rarer + 1))
        return area - self.settings.standard_errors * (inside * (1 - inside) / n_rarer) ** 0.5

    def tail(self, neuron: int, tail: int) -> list[Found]:
        values = self.world.activations[:, neuron].astype(np.float64) * (1, -1)[tail]
        areas = {
            number: [
                roc_auc_score(self.world.sets[number, own], values[own]) for own in self.splits
            ]
            for number in self.usable
        }
        taken: list[int] = []
        for number in self.candidates(areas):
            if len(taken) < self.settings.matches and self.qualifies(number, areas[number], taken):
                taken.append(number)
        return [
            self.found(neuron, tail, rank, number, areas[number], values)
            for rank, number in enumerate(taken, start=1)
        ]

    def candidates(self, areas: dict[int, list[float]]) -> list[int]:
        def statistic(number: int) -> float:
            first, second, _ = self.rarer[number]
            bound = self.bound(self.pooled(number, areas[number]), first + second)
            return bound - min(float(self.handicaps[number]), 2.0 * (1.0 - bound))

        return sorted(areas, key=statistic, reverse=True)[: self.settings.candidates]

    def pooled(self, number: int, area: list[float]) -> float:
        first, second, _ = self.rarer[number]
        return float((area[0] * first + area[1] * second) / (first + second))

    def qualifies(self, number: int, area: list[float], taken: list[int]) -> bool:
        members = [set(np.flatnonzero(own[self.splits[0]])) for own in self.world.sets]
        mine = members[number]
        return (
            self.bound(area[0], self.rarer[number][0]) > self.null.discover
            and self.bound(area[1], self.rarer[number][1]) > self.null.validation
            and self.pooled(number, area) >= self.settings.minimum_auroc
            and all(
                len(mine & members[other]) / min(len(mine), len(members[other]))
                < self.settings.maximum_overlap
                for other in taken
            )
        )

    def found(
        self, neuron: int, tail: int, rank: int, number: int, area: list[float], values: DoubleArray
    ) -> Found:
        discover, _, test = self.splits
        inside = self.world.sets[number]
        own = values[test]
        error = plain_standard_error(own[inside[test]], own[~inside[test]])
        low, _ = auroc_bounds(np.array([area[2]]), np.array([error]), int(self.rarer[number][2]))
        members = int(inside[discover].sum())
        n_exemplars = round(self.settings.exemplar_share * len(discover))
        exemplars = discover[np.argsort(-values[discover])[:n_exemplars]]
        law = hypergeom(len(discover), members, n_exemplars)
        return Found(
            neuron=neuron,
            tail=tail,
            rank=rank,
            descriptor=number,
            auroc=area[2],
            ci_low=float(low[0]),
            z=self.z(values[discover], number),
            exemplar_z=(inside[exemplars].sum() - law.mean()) / law.std(),
        )

    def z(self, values: DoubleArray, number: int) -> float:
        inside = self.world.sets[number][self.splits[0]]
        n_members, n_others = inside.sum(), (~inside).sum()
        u = rankdata(values)[inside].sum() - n_members * (n_members + 1) / 2
        spread = (n_members * n_others * (len(values) + 1) / 12.0) ** 0.5
        scattered = spread * self.z_spread[self.usable.index(number)]
        return float((u - n_members * n_others / 2) / scattered)

    def q(self, z: DoubleArray) -> DoubleArray:
        """Exact Benjamini-Hochberg q values of some of all pairs."""
        discover = self.splits[0]
        every = np.array(
            [
                self.z(values[discover], number)
                for values in self.world.activations.T.astype(np.float64)
                for number in self.usable
            ]
        )
        pairs = np.concatenate([every, -every])
        exact = false_discovery_control(norm.sf(pairs))
        return np.array([exact[np.abs(pairs - one).argmin()] for one in z])


@pytest.mark.parametrize("handicapped", [False, True])
def test_agrees_with_plain_loops(planted_world: World, handicapped: bool) -> None:
    world = planted_world
    for unit in range(14):
        world = world.planted(unit, (unit + 3) % 10, 1.0).planted(unit, (unit + 5) % 10, -0.8)
    sets = world.sets.copy()
    place = np.arange(sets.shape[1])
    sets[5], sets[10] = ~sets[5], sets[4] & (place % 3 > 0)
    sets[11] = place < 4
    world = replace(world, activations=world.activations[:, :16], sets=sets)
    handicaps = np.tile([0.0, 0.07, 0.2], len(sets))[: len(sets)] if handicapped else None
    matches = world.match(LOOSE, handicaps=handicaps)
    plain = PlainMatcher(world, matches, LOOSE, handicaps)
    expected = [one for n in range(16) for tail in (0, 1) for one in plain.tail(n, tail)]
    z = np.array([one.z for one in expected])
    q = plain.q(z)
    assert len(expected) > 20
    assert {one.rank for one in expected} == {1, 2, 3}
    for name in ("neuron", "tail", "rank", "descriptor"):
        assert getattr(matches, name).tolist() == [getattr(one, name) for one in expected], name
    for name in ("auroc", "ci_low", "exemplar_z"):
        np.testing.assert_allclose(
            getattr(matches, name), [getattr(one, name) for one in expected], rtol=1e-9, atol=1e-12
        )
    assert (matches.q >= q * (1 - 1e-9)).all()
    assert (matches.q <= q * np.exp((z + 1) / 256)).all()
    assert matches.usable_descriptors == len(plain.usable) == 11
