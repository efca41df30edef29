"""Neurons block by block, ranked within each split once for everything that is matched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from descriptors.records import Split
from indexer.arrays import BoolArray, DoubleArray, IntArray
from indexer.errors import RunError
from neurons.rank_arithmetic import NUMPY_RANKS, RankArithmetic, Ranks

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
        name: what a neuron, counted over all blocks, is called in messages.
    """

    n_neurons: int
    n_sentences: int
    blocks: Callable[[int], Iterator[Block]]
    name: Callable[[int], str] = "neuron {}".format

    @classmethod
    def of_store(cls, store: ActivationStore) -> Activations:
        """Read from an activation store; only one block is in memory at a time."""

        def blocks(n_units: int) -> Iterator[Block]:
            for layer_site in store.layer_sites:
                array = store.array(layer_site)
                for first in range(0, array.shape[1], n_units):
                    yield np.asarray(array[:, first : first + n_units])

        def name(neuron: int) -> str:
            for layer_site in store.layer_sites:
                if neuron < store.units(layer_site):
                    return f"{layer_site}.{neuron} of {store.folder}"
                neuron -= store.units(layer_site)
            raise IndexError(neuron)

        return cls(store.n_neurons, store.n_sentences, blocks, name)


@dataclass(frozen=True)
class SplitRanks:
    """Ranks of a block of units within each split (`n_rows of the split, n_units`).

    They are arrays unless another `arithmetic` made them.
    """

    discover: Ranks
    validation: Ranks
    test: Ranks
    arithmetic: RankArithmetic = NUMPY_RANKS

    @cached_property
    def discover_variances(self) -> DoubleArray:
        """Of the discover ranks of each unit (`n_units`)."""
        return self.arithmetic.variances(self.discover)

    @property
    def constant(self) -> BoolArray:
        """Which units have one activation for all discover sentences (`n_units`)."""
        return np.asarray(self.discover_variances == 0.0)


def block_units(n_sentences: int) -> int:
    """How many units fit into a block of bounded memory."""
    return int(max(8, min(512, _BLOCK_BYTES // (8 * max(n_sentences, 1)))))


def unwatched(blocks: Iterable[Block], _n_neurons: int) -> Iterable[Block]:
    """Show no progress."""
    return blocks


def ranked_blocks(
    activations: Activations,
    rows: SplitRows,
    watch: Watch = unwatched,
    arithmetic: RankArithmetic = NUMPY_RANKS,
) -> Iterator[SplitRanks]:
    """Rank every block of neurons within the splits.

    Args:
        activations: the neurons.
        rows: rows of each split.
        watch: wraps the blocks, for a progress bar.
        arithmetic: what ranks them.

    Raises:
        RunError: an activation is no finite number.
    """
    for block in finite_blocks(activations, watch):
        yield ranked(block, rows, arithmetic)


def finite_blocks(activations: Activations, watch: Watch = unwatched) -> Iterator[Block]:
    """All neurons block by block; `watch` wraps the blocks, for a progress bar.

    Raises:
        RunError: an activation is no finite number.
    """
    units = block_units(activations.n_sentences)
    first = 0
    for block in watch(activations.blocks(units), activations.n_neurons):
        finite = _finite(block)
        if not finite.all():
            row, unit = np.argwhere(~finite)[0].tolist()
            raise RunError(
                f"{activations.name(first + unit)} is {block[row, unit]} on sentence {row} "
                "(counted from 0), expected a finite number: the activations are damaged; remove "
                "them and run again"
            )
        yield block
        first += block.shape[1]


def ranked(block: Block, rows: SplitRows, arithmetic: RankArithmetic = NUMPY_RANKS) -> SplitRanks:
    """Ranks of the neurons of a block, whose activations are finite, within each split."""
    splits = (rows.discover, rows.validation, rows.test)
    discover, validation, test = (arithmetic.average_ranks(block[own]) for own in splits)
    return SplitRanks(discover, validation, test, arithmetic)


def _finite(values: Block) -> BoolArray:
    """Which values are finite numbers (same shape)."""
    if values.dtype != np.float16:
        return np.isfinite(values)
    # Several times as fast: all exponent bits are set in infinities and NaN, and only there.
    return np.asarray((values.view(np.uint16) & 0x7C00) != 0x7C00)


def sampled_units(
    activations: Activations, n_wanted: int, seed: int, rows: IntArray | None = None
) -> Block:
    """Columns of some neurons drawn from all blocks (`n_rows, n_sampled`), by default all rows."""
    wanted = np.zeros(activations.n_neurons, dtype=np.bool_)
    wanted[np.random.default_rng(seed).permutation(activations.n_neurons)[:n_wanted]] = True
    rows = np.arange(activations.n_sentences) if rows is None else rows
    taken = [values for _, values in wanted_columns(activations, rows, wanted)]
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
