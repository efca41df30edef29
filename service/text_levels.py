"""How far a text drives neurons above their usual level over a run's sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from descriptors.records import Split
from indexer.arrays import DoubleArray, FloatArray, IntArray
from neurons.records import LayerSite, NeuronId, Tail

if TYPE_CHECKING:
    from service.finished_run import FinishedRun

_ROWS_AT_A_TIME = 4096


@dataclass(frozen=True, slots=True)
class UsualLevel:
    """Where values lie among reference values, one entry a column (`n_columns`).

    `z` is not a number where the reference does not vary.
    """

    z: DoubleArray
    percentile: DoubleArray


@dataclass(frozen=True, slots=True)
class NeuronLevel:
    """One tail of a neuron on a text; `z` and `percentile` point in the tail's direction."""

    neuron: NeuronId
    tail: Tail
    activation: float
    z: float
    percentile: float


def compare_with_usual(values: FloatArray, reference: Iterable[FloatArray]) -> UsualLevel:
    """Compare `values` (`n_columns`) with the rows of all `reference` blocks, column by column.

    Blocks are `n_rows, n_columns`; only one is held at a time.

    Raises:
        ValueError: there are no reference rows.
    """
    n_rows = 0
    shift = np.zeros(len(values))
    sums, squares, below = np.zeros((3, len(values)))
    for block in reference:
        exact = block.astype(np.float64)
        if n_rows == 0 and len(block):
            # Sums about a value near the mean keep their digits, and are 0 where nothing varies.
            shift = exact[0].copy()
        n_rows += len(block)
        below += (exact < values).sum(axis=0) + (exact == values).sum(axis=0) / 2
        exact -= shift
        sums += exact.sum(axis=0)
        squares += np.square(exact).sum(axis=0)
    if n_rows == 0:
        raise ValueError("there are no reference rows to compare with")
    mean = sums / n_rows
    deviation = np.sqrt(np.maximum(squares / n_rows - np.square(mean), 0))
    z = np.full(len(values), np.nan)
    np.divide(values - shift - mean, deviation, out=z, where=deviation > 0)
    return UsualLevel(z, 100 * below / n_rows)


def levels_of(
    run: FinishedRun, text: str, tails: Collection[tuple[NeuronId, Tail]]
) -> Iterator[NeuronLevel]:
    """The level of each of `tails` on `text`, against the run's discover sentences.

    Tails of neurons that do not vary over these sentences have no level and are left out.
    """
    rows = run.corpus.rows(Split.DISCOVER)
    pooled = _pooled(run, text)
    for layer_site in run.store.layer_sites:
        wanted = {key for key in tails if key[0].layer_site == layer_site}
        units = np.asarray(sorted({neuron.unit for neuron, _ in wanted}), dtype=np.int64)
        if not units.size:
            continue
        values = pooled[layer_site][units]
        usual = compare_with_usual(values, _windows(run, layer_site, units, rows))
        for place, unit in enumerate(units):
            neuron = NeuronId(layer_site.layer, layer_site.site, int(unit))
            for tail in Tail:
                if (neuron, tail) in wanted and not np.isnan(usual.z[place]):
                    yield _directed(neuron, tail, float(values[place]), usual, place)


def _directed(
    neuron: NeuronId, tail: Tail, activation: float, usual: UsualLevel, place: int
) -> NeuronLevel:
    z, percentile = float(usual.z[place]), float(usual.percentile[place])
    if tail is Tail.NEGATIVE:
        z, percentile = -z, 100 - percentile
    return NeuronLevel(neuron, tail, activation, z, percentile)


def _windows(
    run: FinishedRun, layer_site: LayerSite, units: IntArray, rows: IntArray
) -> Iterator[FloatArray]:
    for first in range(0, len(rows), _ROWS_AT_A_TIME):
        window = rows[first : first + _ROWS_AT_A_TIME]
        yield run.store.columns(layer_site, slice(None), window)[:, units]


def _pooled(run: FinishedRun, text: str) -> dict[LayerSite, FloatArray]:
    """Activations of `text` as the run stores them: pooled alike and rounded to float16."""
    from neurons.reading import read, tokenized

    subject, settings = run.subject, run.settings.extraction
    sites = run.store.layer_sites
    reading = read([subject], tokenized(subject, [text], settings), sites, settings)
    limits = np.cumsum([run.store.units(each) for each in sites])[:-1]
    values = np.split(reading.activations[0].astype(np.float32), limits)
    return dict(zip(sites, values, strict=True))
