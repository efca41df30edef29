"""Random-weight units judged by others of their kind: what `learned` is worth where none is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eval.lexical import LexicalSample, Reference
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.records import Site, Tail

_SITES, _TAILS = list(Site), list(Tail)


@dataclass(frozen=True)
class HeldOut:
    """Units of a control that came out `learned` when judged by units they are not among.

    Attributes:
        units: by the first candidate of every unit that varies (`n_units`); about 5%.
        matches: by the first match of every unit that has one (`n_described`). Only strong units
            are described, so that these are more than 5% of them.
    """

    units: BoolArray
    matches: BoolArray


def held_out(samples: Sequence[LexicalSample], seed: int) -> HeldOut:
    """Each sample judged by those of the same place and another seed.

    A sample that has no other of its place is judged half by half, units dealt at random. What has
    too few others to be judged by is left out.

    Args:
        samples: of one control.
        seed: of the halves.
    """
    units, matches = [np.zeros(0, dtype=np.bool_)], [np.zeros(0, dtype=np.bool_)]
    for sample in samples:
        others = [
            other.judged
            for other in samples
            if other.place == sample.place and other.seed != sample.seed
        ]
        every = np.arange(len(sample.best))
        parts = [(every, others)] if others else _halves(sample, seed)
        for own, judges in parts:
            reference = Reference.of(judges)
            if reference is not None:
                units.append(reference.learned(_known(sample.best, own)))
                matches.append(reference.learned(_known(sample.first_match, own)))
    return HeldOut(np.concatenate(units), np.concatenate(matches))


def _halves(sample: LexicalSample, seed: int) -> Iterator[tuple[IntArray, list[DoubleArray]]]:
    """Each half of the units, and the values of the other half."""
    where = [sample.layer, _SITES.index(sample.site), _TAILS.index(sample.tail)]
    order = np.random.default_rng([seed, *where]).permutation(len(sample.best))
    first, second = np.array_split(order, 2)
    yield first, [_known(sample.best, second)]
    yield second, [_known(sample.best, first)]


def _known(values: Sequence[float | None], units: Iterable[int]) -> DoubleArray:
    chosen = (values[unit] for unit in units)
    return np.array([value for value in chosen if value is not None], dtype=np.float64)
