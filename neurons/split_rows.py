"""Neurons block by block, ranked within each split once for everything that is matched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descriptors.records import Split
from indexer.arrays import BoolArray, DoubleArray, IntArray
from neurons.auroc import average_ranks

if TYPE_CHECKING:
    from descriptors.corpus import Corpus
    from neurons.store import ActivationStore

Block = NDArray[np.floating[Any]]
Watch = Callable[[Iterable[Block], int], Iterable[Block]]
"""Passes blocks on, knowing how many neurons they hold together; shows progress."""

_BLOCK_BYTES = 1 << 25


@dataclass(frozen=True)
class SplitRows:
    """Rows of each split, and the document of every sentence as a number (`n_sentences`)."""

    discover: IntArray
    validation: IntArray
    test: IntArray
    documents: IntArray

    @classmethod
    def of_corpus(cls, corpus: Corpus) -> SplitRows:
        """The splits that a corpus was dealt into."""
        return cls(
            discover=corpus.rows(Split.DISCOVER),
            validation=corpus.rows(Split.VALIDATION),
            test=corpus.rows(Split.TEST),
            documents=corpus.document_numbers(),
        )


@dataclass(frozen=True)
class Activations:
    """How to read the neurons of a run block by block, any number of times.

    Attributes:
        n_neurons: columns over all blocks.
        n_sentences: rows of each block.
        blocks: yields arrays (`n_sentences, n_units`), of at most the asked number of units, that
            make up all neurons in order.
    """

    n_neurons: int
    n_sentences: int
    blocks: Callable[[int], Iterator[Block]]

    @classmethod
    def of_store(cls, store: ActivationStore) -> Activations:
        """Read from an activation store; only one block is in memory at a time."""

        def blocks(n_units: int) -> Iterator[Block]:
            for layer_site in store.layer_sites:
                array = store.array(layer_site)
                for first in range(0, array.shape[1], n_units):
                    yield np.asarray(array[:, first : first + n_units])

        return cls(store.n_neurons, store.n_sentences, blocks)


@dataclass(frozen=True)
class SplitRanks:
    """Ranks of a block of units within each split (`n_rows of the split, n_units`)."""

    discover: DoubleArray
    validation: DoubleArray
    test: DoubleArray

    @property
    def constant(self) -> NDArray[np.bool_]:
        """Which units have one activation for all discover sentences (`n_units`)."""
        return np.asarray((self.discover == self.discover[:1]).all(axis=0))


def block_units(n_sentences: int) -> int:
    """How many units fit into a block of bounded memory."""
    return int(max(8, min(512, _BLOCK_BYTES // (8 * max(n_sentences, 1)))))


def unwatched(blocks: Iterable[Block], _n_neurons: int) -> Iterable[Block]:
    """Show no progress."""
    return blocks


def ranked_blocks(
    activations: Activations, rows: SplitRows, watch: Watch = unwatched
) -> Iterator[SplitRanks]:
    """Rank every block of neurons within the splits; `watch` wraps them for a progress bar."""
    units = block_units(activations.n_sentences)
    for block in watch(activations.blocks(units), activations.n_neurons):
        yield SplitRanks(
            average_ranks(block[rows.discover]),
            average_ranks(block[rows.validation]),
            average_ranks(block[rows.test]),
        )


def sampled_units(activations: Activations, n_wanted: int, seed: int) -> Block:
    """Columns of some neurons drawn from all blocks (`n_sentences, n_sampled`)."""
    wanted = np.zeros(activations.n_neurons, dtype=np.bool_)
    wanted[np.random.default_rng(seed).permutation(activations.n_neurons)[:n_wanted]] = True
    every = np.arange(activations.n_sentences)
    taken = [values for _, values in wanted_columns(activations, every, wanted)]
    return np.concatenate(taken, axis=1)


def wanted_columns(
    activations: Activations, rows: IntArray, wanted: BoolArray
) -> Iterator[tuple[IntArray, Block]]:
    """The wanted neurons of each block and their activations, as stored (`n_rows, n_units`)."""
    first = 0
    for block in activations.blocks(block_units(activations.n_sentences)):
        inside = np.flatnonzero(wanted[first : first + block.shape[1]])
        if len(inside):
            yield first + inside, block[np.ix_(rows, inside)]
        first += block.shape[1]
