"""The lexical baseline: what a model of the same architecture with random weights would give.

Random features still carry words, so this is no null. A match is judged by the distribution, over
the random-weight units of the same layer and site, of the AUROC on test of each unit's first
candidate (`neurons.best_candidates`), whether or not that passes the thresholds of a match. A match
inside the distribution is `lexical`: words alone give as much. One beyond it is `learned`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from indexer.arrays import BoolArray, DoubleArray, IntArray
from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import read_json, write_json
from neurons.records import LayerSite, NeuronId, Site, Tail

LEXICAL_FILE = "lexical.json"
DECIMALS = 6
"""Of the AUROC values that are kept, and of those that are compared with them."""
FEWEST_UNITS = 19
"""Of so many units, one match in twenty can be called learned by chance; of fewer, none."""

Place = tuple[LayerSite, Tail]


class LexicalControl(StrEnum):
    """What is compared with: another model of random weights, or other directions in this one."""

    RANDOM_WEIGHTS = "random_weights"
    RANDOM_DIRECTIONS = "random_directions"


class LexicalSettings(Record):
    """What a run compares its neurons with.

    `seeds` models of random weights are read and matched, each at the cost of an extraction; with 0
    there is no lexical baseline. `directions` reads random directions of the trained model as well.
    """

    seeds: int = Field(default=1, ge=0)
    directions: bool = False


class LexicalSample(Record):
    """One tail of all units of a layer's site in a control (`n_units` entries each).

    `best` is the AUROC on test of a unit's first candidate, None for a constant unit; `first_match`
    that of its first match by the thresholds of the run, None where it has none.
    """

    control: LexicalControl
    seed: int
    layer: int
    site: Site
    tail: Tail
    best: tuple[float | None, ...]
    first_match: tuple[float | None, ...]

    @property
    def place(self) -> Place:
        """The layer, site and tail."""
        return LayerSite(self.layer, self.site), self.tail

    @property
    def judged(self) -> DoubleArray:
        """What is known of `best`, in the order of the units (`n_varying`)."""
        return np.array([value for value in self.best if value is not None], dtype=np.float64)

    @property
    def matched(self) -> DoubleArray:
        """What is known of `first_match`, in the order of the units (`n_described`)."""
        known = [value for value in self.first_match if value is not None]
        return np.array(known, dtype=np.float64)


class LexicalRecord(Record):
    """The content of `lexical.json`; `reason` says why there are no samples."""

    reason: str = ""
    samples: tuple[LexicalSample, ...] = ()


class LexicalLabel(StrEnum):
    """Whether words alone explain how well a descriptor fits."""

    LEARNED = "learned"
    LEXICAL = "lexical"


@dataclass(frozen=True, slots=True)
class LexicalStanding:
    """A match beside the lexical baseline.

    `excess` is its AUROC less the highest that still counts as lexical, near the 95% quantile of
    the random-weight units; `p` the share of these that are at least as strong, (1 + count) /
    (1 + n). It is `learned` where p is at most 0.05, which is where the excess is above 0.
    """

    excess: float
    p: float
    label: LexicalLabel


@dataclass(frozen=True)
class LexicalStandings:
    """Many matches beside the lexical baseline (`n_matches` each).

    Where `judged` is false the baseline has too few units there, and the other entries mean
    nothing.
    """

    judged: BoolArray
    excess: DoubleArray
    p: DoubleArray
    learned: BoolArray


@dataclass(frozen=True)
class Reference:
    """Sorted AUROC values of random-weight units, at least `FEWEST_UNITS` of them.

    Raises:
        ValueError: they are fewer, or not sorted.
    """

    values: DoubleArray

    def __post_init__(self) -> None:
        if len(self.values) < FEWEST_UNITS:
            raise ValueError(f"{len(self.values)} units, expected {FEWEST_UNITS} or more")
        if (np.diff(self.values) < 0.0).any():
            raise ValueError("the values are not sorted")

    @classmethod
    def of(cls, parts: Iterable[DoubleArray]) -> Reference | None:
        """All values of some samples, None where they are too few."""
        values = np.sort(np.concatenate([np.empty(0), *parts]))
        return cls(values) if len(values) >= FEWEST_UNITS else None

    @property
    def highest_lexical(self) -> float:
        """The highest AUROC that counts as lexical: one in twenty units reaches it."""
        return float(self.values[-((len(self.values) + 1) // 20)])

    def n_at_least(self, aurocs: DoubleArray) -> IntArray:
        """How many of the units are as strong or stronger, same shape."""
        first = np.searchsorted(self.values, np.round(aurocs, DECIMALS), side="left")
        return np.asarray(len(self.values) - first, dtype=np.int64)

    def p(self, aurocs: DoubleArray) -> DoubleArray:
        """(1 + `n_at_least`) / (1 + n), same shape."""
        return np.asarray((1 + self.n_at_least(aurocs)) / (1 + len(self.values)))

    def learned(self, aurocs: DoubleArray) -> BoolArray:
        """Where p is at most 0.05, exactly; same shape."""
        return np.asarray(20 * (1 + self.n_at_least(aurocs)) <= 1 + len(self.values))

    def excess(self, aurocs: DoubleArray) -> DoubleArray:
        """The distance above `highest_lexical`, same shape."""
        return np.asarray(np.round(aurocs, DECIMALS) - self.highest_lexical)


@dataclass(frozen=True)
class LexicalBaseline:
    """The distributions that the matches of a run are judged by."""

    record: LexicalRecord
    control: LexicalControl = LexicalControl.RANDOM_WEIGHTS

    @classmethod
    def read(cls, path: Path) -> LexicalBaseline:
        """The baseline in a `lexical.json`; where there could be none it judges nothing.

        Raises:
            RunError: the file is missing or damaged.
        """
        return cls(read_lexical(path))

    @cached_property
    def references(self) -> dict[Place, Reference]:
        """The units of each layer, site and tail that has enough of them, over all seeds."""
        parts: dict[Place, list[DoubleArray]] = {}
        for sample in self.record.samples:
            if sample.control is self.control:
                parts.setdefault(sample.place, []).append(sample.judged)
        found = {place: Reference.of(own) for place, own in parts.items()}
        return {place: each for place, each in found.items() if each is not None}

    def standing(self, neuron: NeuronId, tail: Tail, auroc: float) -> LexicalStanding | None:
        """Where a match stands, None where the baseline has too few units to say."""
        reference = self.references.get((neuron.layer_site, tail))
        if reference is None:
            return None
        own = np.array([auroc])
        label = LexicalLabel.LEARNED if reference.learned(own)[0] else LexicalLabel.LEXICAL
        return LexicalStanding(float(reference.excess(own)[0]), float(reference.p(own)[0]), label)

    def standings(
        self, neurons: Sequence[NeuronId], tails: Sequence[Tail], aurocs: DoubleArray
    ) -> LexicalStandings:
        """Where many matches stand, one entry of each argument a match.

        Raises:
            ValueError: the arguments differ in length.
        """
        n_matches = len(aurocs)
        if not len(neurons) == len(tails) == n_matches:
            raise ValueError(
                f"{len(neurons)} neurons, {len(tails)} tails and {n_matches} AUROC values, "
                "expected as many of each"
            )
        found = LexicalStandings(
            judged=np.zeros(n_matches, dtype=np.bool_),
            excess=np.zeros(n_matches),
            p=np.ones(n_matches),
            learned=np.zeros(n_matches, dtype=np.bool_),
        )
        own: dict[Place, list[int]] = {}
        for entry, (neuron, tail) in enumerate(zip(neurons, tails, strict=True)):
            own.setdefault((neuron.layer_site, tail), []).append(entry)
        for place, entries in own.items():
            reference = self.references.get(place)
            if reference is not None:
                found.judged[entries] = True
                found.excess[entries] = reference.excess(aurocs[entries])
                found.p[entries] = reference.p(aurocs[entries])
                found.learned[entries] = reference.learned(aurocs[entries])
        return found


def rounded(values: DoubleArray, known: BoolArray) -> tuple[float | None, ...]:
    """Values as a `LexicalSample` keeps them, None where they are not known."""
    kept = np.round(values, DECIMALS).tolist()
    return tuple(value if is_known else None for value, is_known in zip(kept, known, strict=True))


def write_lexical(path: Path, record: LexicalRecord) -> None:
    """Write a `lexical.json`.

    Raises:
        RunError: it cannot be written.
    """
    write_json(path, record.model_dump(mode="json"))


def read_lexical(path: Path) -> LexicalRecord:
    """Read a `lexical.json`.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        return LexicalRecord.model_validate(read_json(path))
    except ValidationError as error:
        raise RunError(
            f"{path} is damaged ({error.error_count()} fields do not fit); remove it and run "
            "again with --update"
        ) from error
