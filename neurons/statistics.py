"""What every neuron does over a corpus: moments, quantiles and the strongest sentences of a tail.

Neurons are read in blocks of columns, so that each has all its activations in memory and every
figure is exact. Half-precision numbers order like 16-bit keys, and sorting such keys takes time in
proportion to the sentences. Row windows would need a count of all 65,536 values for every neuron
and took eight times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import DoubleArray, IntArray
from indexer.errors import RunError
from neurons.split_rows import Activations, Block, Watch, unwatched
from neurons.statistics_records import FIGURES, QUANTILES, StoreStatistics, StrongestRows

if TYPE_CHECKING:
    from neurons.store import ActivationStore, HalfArray

    Keys = NDArray[np.uint16]

_BLOCK_BYTES = 1 << 26
_TILE_SENTENCES = 1024
_SIGN = np.uint16(0x8000)
# Keys, see `_keys`, of the least finite value, of both zeros and of the greatest finite value.
_LEAST, _GREATEST = np.uint16(0x0400), np.uint16(0xFBFF)
_NEGATIVE_ZERO, _ZERO = np.uint16(0x7FFF), np.uint16(0x8000)


def neuron_statistics(
    store: ActivationStore, kept: int = 20, watch: Watch = unwatched
) -> StoreStatistics:
    """Read every neuron of a store once; memory is bounded by a block of neurons and the result.

    Args:
        store: the activations.
        kept: how many of the strongest sentences to keep per tail; all where there are fewer.
        watch: wraps the blocks for a progress bar.

    Raises:
        RunError: an activation is infinite or not a number.
        ValueError: `kept` is below 0.
    """
    if kept < 0:
        raise ValueError(f"kept is {kept}, expected 0 or more")
    activations = Activations.of_store(store)
    found = _allocated(store, min(kept, store.n_sentences))
    number = 0
    blocks = activations.blocks(_block_units(store.n_sentences))
    for block in watch(blocks, activations.n_neurons):
        for column in _transposed(block):
            ordered = np.sort(_keys(column), kind="stable")
            if ordered[0] < _LEAST or ordered[-1] > _GREATEST:
                raise _not_finite(store, number, column)
            _enter(found, number, column, ordered)
            number += 1
    return found


def strongest(values: NDArray[np.floating[Any]], limit: int) -> IntArray:
    """Positions of the largest of finite `values` (`n_values`), largest first, ties in order."""
    place = len(values) - min(limit, len(values))
    if place == len(values):
        return np.empty(0, dtype=np.int64)
    return _strongest(values, float(np.partition(values, place)[place]), limit)


def _strongest(values: NDArray[np.floating[Any]], threshold: float, limit: int) -> IntArray:
    """The strongest, given the smallest of them; quick even where nearly all values tie with it."""
    above = np.flatnonzero(values > threshold)
    level = np.flatnonzero(values == threshold)[: limit - len(above)]
    ordered = above[np.argsort(-values[above], kind="stable")]
    return np.concatenate([ordered, level]).astype(np.int64)


def _enter(found: StoreStatistics, number: int, column: HalfArray, ordered: Keys) -> None:
    """Enter the figures of one neuron, given its activations and their keys in order."""
    n_sentences, kept = len(column), found.positive.rows.shape[1]
    # Adding zero turns -0.0 into 0.0.
    values = column.astype(np.float64) + 0.0
    found.minimum[number], found.maximum[number] = _values(ordered[[0, -1]])
    found.quantiles[number] = _quantiles(ordered)
    first_zero = np.searchsorted(ordered, _NEGATIVE_ZERO)
    first_positive = np.searchsorted(ordered, _ZERO, side="right")
    found.zero_share[number] = (first_positive - first_zero) / n_sentences
    found.positive_share[number] = (n_sentences - first_positive) / n_sentences
    _enter_moments(found, number, values)
    if kept:
        lowest, highest = _values(ordered[[kept - 1, n_sentences - kept]])
        for tail, rows in (
            (found.positive, _strongest(values, highest, kept)),
            (found.negative, _strongest(-values, -lowest, kept)),
        ):
            tail.rows[number] = rows
            tail.activations[number] = values[rows]


def _enter_moments(found: StoreStatistics, number: int, values: DoubleArray) -> None:
    if found.minimum[number] == found.maximum[number]:
        found.mean[number], found.deviation[number] = values[0], 0.0
        found.skewness[number] = found.excess_kurtosis[number] = np.nan
        return
    mean = values.mean()
    differences = values - mean
    squares = np.square(differences)
    variance = squares.mean()
    found.mean[number] = mean
    found.deviation[number] = np.sqrt(variance)
    found.skewness[number] = (squares * differences).mean() / variance**1.5
    found.excess_kurtosis[number] = np.square(squares).mean() / variance**2 - 3.0


def _quantiles(ordered: Keys) -> DoubleArray:
    """Between the two nearest values in proportion, `linear` in numpy (`n_quantiles`)."""
    places = np.asarray(QUANTILES) * (len(ordered) - 1)
    lower = np.floor(places).astype(np.int64)
    upper = np.minimum(lower + 1, len(ordered) - 1)
    low, high = _values(ordered[lower]), _values(ordered[upper])
    quantiles: DoubleArray = low + (high - low) * (places - lower)
    return quantiles


def _keys(values: HalfArray) -> Keys:
    """Whole numbers that order like the values; -0.0 comes just before 0.0."""
    bits = values.view(np.uint16)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _values(keys: Keys) -> DoubleArray:
    """The values of keys, -0.0 as 0.0."""
    bits = np.where(keys & _SIGN, keys ^ _SIGN, ~keys)
    return bits.view(np.float16).astype(np.float64) + 0.0


def _block_units(n_sentences: int) -> int:
    """How many neurons fit into a block of half-precision columns of bounded memory."""
    return int(max(8, min(512, _BLOCK_BYTES // (2 * n_sentences))))


def _transposed(block: Block) -> HalfArray:
    """The columns of a mapped block, each contiguous (`n_units, n_sentences`).

    Copied a few sentences at a time: both sides then stay in the processor's cache.
    """
    columns = np.empty(block.shape[::-1], dtype=np.float16)
    for first in range(0, len(block), _TILE_SENTENCES):
        tile = slice(first, first + _TILE_SENTENCES)
        columns[:, tile] = block[tile].T
    return columns


def _allocated(store: ActivationStore, kept: int) -> StoreStatistics:
    """Arrays for every neuron of the store, to be filled."""
    shape = store.n_neurons, kept
    positive, negative = (
        StrongestRows(np.empty(shape, np.int64), np.empty(shape, np.float32)) for _ in range(2)
    )
    return StoreStatistics(
        sites=store.manifest.layout.sites,
        n_sentences=store.n_sentences,
        **{name: np.empty(store.n_neurons) for name in FIGURES},
        quantiles=np.empty((store.n_neurons, len(QUANTILES))),
        positive=positive,
        negative=negative,
    )


def _not_finite(store: ActivationStore, number: int, column: HalfArray) -> RunError:
    neuron = tuple(_allocated(store, 0).neurons)[number]
    row = int(np.argmin(np.isfinite(column)))
    return RunError(
        f"{neuron} is {column[row]} on sentence row {row} of {store.folder}; expected finite "
        "activations. Remove the folder and run again to extract them anew."
    )
