"""Whether units planted in the model are found: their activations matched, and what comes first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.mean_figures import mean_figure
from eval.metrics import Ranking, ranked_hits
from eval.planted_model import FEWEST_UNITS, PROTOCOL, SPLIT, Plan, PlantedGroup, PlantedModelTask
from eval.rankings import commonest_descriptors, rankings_of
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray
from neurons.auroc import auroc, set_sizes
from neurons.matching import match_all
from neurons.split_rows import Activations, Block, Watch, unwatched

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, eq=False)
class PlantedReadings:
    """Pooled activations of a plan's units in the edited and in the natural model.

    Attributes:
        planted: the plan's units once edited (`n_sentences, n_planted`).
        before: the same units of the natural model, the null (`n_sentences, n_planted`).
        natural: other units to be matched with them (`n_sentences, n_natural`).

    Raises:
        ValueError: shapes do not fit.
    """

    planted: Block
    before: Block
    natural: Block

    def __post_init__(self) -> None:
        if self.before.shape != self.planted.shape:
            raise ValueError(f"before is {self.before.shape}, planted {self.planted.shape}")
        if len(self.natural) != len(self.planted):
            raise ValueError(f"natural has {len(self.natural)} rows, planted {len(self.planted)}")

    @property
    def activations(self) -> Activations:
        """All of them, the planted first, then the same places before the edit."""
        parts = (self.planted, self.before, self.natural)

        def blocks(n_units: int) -> Iterator[Block]:
            for part in parts:
                for first in range(0, part.shape[1], n_units):
                    yield part[:, first : first + n_units]

        n_neurons = sum(part.shape[1] for part in parts)
        return Activations(n_neurons, len(self.planted), blocks, "unit {} of those matched".format)


def planted_model_figures(
    task: PlantedModelTask, plan: Plan, readings: PlantedReadings, watch: Watch = unwatched
) -> list[Figure]:
    """The figures of all groups of a plan, and what it had to refuse.

    For each group: `P` at 1, the share of units whose first descriptor is right; `described`; and
    `AUROC`, how well the planted units separate their concepts on test, which tells a unit that was
    missed from one that could not be planted. `null` is the same of the units as they were before
    the edit, `baseline` the commonest descriptor. For labels also `contained` (second reading of
    meaning), `meant` (only units whose label some descriptor means) and `upper_bound` (the labels
    as descriptors). `every_concept` figures say how many concepts there are to plant.

    Args:
        task: the run.
        plan: what was planted in its model.
        readings: the activations.
        watch: wraps the blocks of the pass over all of them, for a progress bar.
    """
    if not plan.neurons:
        return list(plan.refused)
    activations = readings.activations
    memberships = [
        task.membership,
        *(group.concepts.sets for group in plan.groups if group.concepts.are_labels),
    ]
    handicaps = [task.handicaps, *([None] * (len(memberships) - 1))]
    matched = match_all(
        activations,
        memberships,
        task.rows,
        task.matching,
        task.seed,
        watch,
        handicaps=handicaps,
    )
    catalog, *upper = (rankings_of(each, 1)[0] for each in matched)
    sizes = set_sizes(task.membership[:, task.rows.discover])
    commonest = commonest_descriptors(sizes, 1, activations.n_neurons)
    figures: list[Figure] = []
    for group in plan.groups:
        exact = upper.pop(0) if group.concepts.are_labels else None
        judged = _Judged(task, group, catalog, exact, commonest, len(plan.neurons))
        figures += [*group.concepts.figures(PROTOCOL, SPLIT), *judged.figures(readings)]
    return [*figures, *plan.refused]


@dataclass(frozen=True, eq=False)
class _Judged:
    """One group with the first descriptor of every unit; `exact` ranks its labels instead."""

    task: PlantedModelTask
    group: PlantedGroup
    ranking: Ranking
    exact: Ranking | None
    commonest: Ranking
    n_planted: int

    def figures(self, readings: PlantedReadings) -> list[Figure]:
        concepts, every = self.group.concepts, np.ones(len(self.group.units), dtype=np.bool_)
        found = [
            self._precision("", concepts.meanings, every),
            self._figure(
                "described",
                "",
                *(self._own(before).described.astype(np.float64) for before in (False, True)),
            ),
            self._figure(
                "AUROC", "", *(self._areas(part) for part in (readings.planted, readings.before))
            ),
        ]
        if concepts.contained is not None:
            meant = np.asarray(concepts.meanings.any(axis=0))[self.group.gold]
            found.append(self._precision("contained", concepts.contained, every))
            found.append(self._precision("meant", concepts.meanings, meant))
        if self.exact is not None:
            identity = np.eye(concepts.n_concepts, dtype=np.bool_)
            hits = self._hits(self.exact.take(self.group.units), identity)
            found.append(self._figure("P", "upper_bound", hits))
        return found

    def _precision(self, reading: str, meanings: BoolArray, chosen: BoolArray) -> Figure:
        rankings = (self._own(False), self._own(True), self.commonest.take(self.group.units))
        hits = [self._hits(ranking, meanings)[chosen] for ranking in rankings]
        return self._figure("P", reading, *hits)

    def _own(self, before: bool) -> Ranking:
        """The ranking of the group's units, edited or before the edit."""
        return self.ranking.take(self.group.units + (self.n_planted if before else 0))

    def _hits(self, ranking: Ranking, meanings: BoolArray) -> DoubleArray:
        gold = np.zeros((len(self.group.gold), meanings.shape[1]), dtype=np.bool_)
        gold[np.arange(len(gold)), self.group.gold] = True
        hits = ranked_hits(gold, meanings, ranking, 1)
        return np.asarray(hits.any(axis=1), dtype=np.float64)

    def _areas(self, activations: Block) -> DoubleArray:
        """AUROC of each unit for its own concept on test (`n_units`)."""
        test = self.task.rows.test
        sets: csr_matrix = self.group.concepts.sets[:, test]
        areas = auroc(activations[np.ix_(test, self.group.units)], sets)
        return np.asarray(areas[self.group.gold, np.arange(len(self.group.gold))])

    def _figure(
        self,
        metric: str,
        reading: str,
        values: DoubleArray,
        null: DoubleArray | None = None,
        baseline: DoubleArray | None = None,
    ) -> Figure:
        concepts = self.group.concepts
        variant = f"{concepts.variant} {reading}".rstrip()
        k = 1 if metric == "P" else None
        if values.size < FEWEST_UNITS:
            reason = f"found {values.size} units to judge, expected {FEWEST_UNITS}; plant more"
            return Figure.refused(
                PROTOCOL,
                reason,
                metric=metric,
                variant=variant,
                k=k,
                split=SPLIT,
                facet=concepts.facet,
                n=values.size,
            )
        return mean_figure(
            values,
            protocol=PROTOCOL,
            variant=variant,
            metric=metric,
            k=k,
            split=SPLIT,
            facet=concepts.facet,
            null=null,
            baseline=baseline,
            seed=self.task.seed,
        )
