"""Described tails of neurons that are judged together, and their activations one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eval.label_recovery import Population
from eval.metrics import Ranking
from eval.records import Figure
from indexer.arrays import BoolArray, FloatArray, IntArray
from neurons.matching import TAILS
from neurons.records import Tail
from neurons.split_rows import Activations, Watch, block_units, unwatched


@dataclass(frozen=True, eq=False)
class DescribedTails:
    """Tails of one sign that have descriptors, one for each neuron (`n_tails`).

    Attributes:
        name: the words of a variant that say which tails these are, `tail=+ site=ffn`.
        tail: the sign.
        neurons: their columns over all blocks of the activations, ascending.
        ranking: their descriptors, none of length 0.
    """

    name: str
    tail: Tail
    neurons: IntArray
    ranking: Ranking

    def __len__(self) -> int:
        """The number of tails."""
        return self.neurons.size

    @property
    def several(self) -> BoolArray:
        """Which tails have two descriptors or more (`n_tails`)."""
        return np.asarray(self.ranking.lengths > 1)

    def take(self, places: IntArray) -> DescribedTails:
        """Some of the tails; `places` ascend."""
        return DescribedTails(self.name, self.tail, self.neurons[places], self.ranking.take(places))

    def restricted(self, allowed: BoolArray, k: int) -> DescribedTails:
        """Tails whose first descriptor is allowed, with what is allowed of their first k.

        Args:
            allowed: the descriptors that may be judged (`n_descriptors`).
            k: how many descriptors of a tail count.
        """
        descriptors = self.ranking.descriptors[:, :k]
        valid = np.arange(descriptors.shape[1]) < self.ranking.lengths[:, np.newaxis]
        kept = valid & allowed[np.where(valid, descriptors, 0)]
        order = np.argsort(~kept, axis=1, kind="stable")
        compact = np.take_along_axis(np.where(kept, descriptors, 0), order, axis=1)
        judged = np.flatnonzero(kept[:, 0])
        ranking = Ranking(compact[judged], kept.sum(axis=1, dtype=np.int64)[judged])
        return DescribedTails(self.name, self.tail, self.neurons[judged], ranking)


def described_tails(
    rankings: tuple[Ranking, Ranking],
    populations: Sequence[Population],
    *,
    limit: int | None = None,
    seed: int = 0,
) -> tuple[DescribedTails, ...]:
    """The described tails of each population and sign, at most `limit` of them drawn by `seed`.

    Args:
        rankings: the descriptors of every neuron, one ranking for each of `TAILS`.
        populations: neurons that are judged together.
        limit: how many tails to draw; all of them if None.
        seed: of the draw.
    """
    found = []
    for population in populations:
        for number, (tail, ranking) in enumerate(zip(TAILS, rankings, strict=True)):
            neurons = np.sort(population.neurons)
            own = neurons[ranking.described[neurons]]
            if limit is not None and own.size > limit:
                generator = np.random.default_rng([seed, number])
                own = np.sort(generator.choice(own, limit, replace=False))
            name = f"tail={tail.value} site={population.name}"
            found.append(DescribedTails(name, tail, own, ranking.take(own)))
    return tuple(found)


def listed(ranking: Ranking, place: int) -> IntArray:
    """The descriptors of one neuron, best first (`n_descriptors`)."""
    return ranking.descriptors[place, : ranking.lengths[place]]


def tail_columns(
    activations: Activations,
    rows: IntArray,
    samples: Sequence[DescribedTails],
    watch: Watch = unwatched,
) -> Iterator[tuple[int, int, FloatArray]]:
    """Each tail once: its sample, its place there, its activations, high where it is active.

    One pass over the activations, of which one block is in memory at a time.

    Args:
        activations: all neurons.
        rows: the sentences that are read, in this order (`n_rows`).
        samples: the tails.
        watch: wraps the blocks, for a progress bar.
    """
    first = 0
    blocks = activations.blocks(block_units(activations.n_sentences))
    for block in watch(blocks, activations.n_neurons):
        for number, sample in enumerate(samples):
            start, end = np.searchsorted(sample.neurons, [first, first + block.shape[1]]).tolist()
            if start == end:
                continue
            values = block[np.ix_(rows, sample.neurons[start:end] - first)].astype(np.float32)
            columns = np.ascontiguousarray(values.T)
            if sample.tail is Tail.NEGATIVE:
                columns = -columns
            for place in range(start, end):
                yield number, place, columns[place - start]
        first += block.shape[1]


def too_few(
    protocol: str, name: str, found: int, minimum: int, what: str, *, split: str = "test"
) -> Figure:
    """The refusal of a protocol on tails that are too few.

    Args:
        protocol: see `Figure`.
        name: the tails' words in the variant.
        found: how many there are.
        minimum: how many were expected.
        what: which tails were counted.
        split: see `Figure`.
    """
    return Figure.refused(
        protocol,
        f"found {found} {what} ({name}), expected {minimum} or more; a larger corpus or catalog "
        "lets more neurons be described",
        variant=name,
        split=split,
        n=found,
    )
