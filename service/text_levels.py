"""How far a text drives neurons above their usual level over a run's sentences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from descriptors.records import Split
from indexer.arrays import DoubleArray, FloatArray, IntArray
from indexer.errors import RunError
from neurons.matching import TAILS
from neurons.records import LayerSite, Match, NeuronId, Site, Tail
from neurons.store import HalfArray

if TYPE_CHECKING:
    from neurons.store import ActivationStore
    from neurons.tokens import TokenActivations
    from service.explanation_table import ExplanationTable
    from service.finished_run import FinishedRun

_SITES = tuple(Site)
_ROWS_AT_A_TIME = 4096
_ORDERED_BYTES = 1 << 26
"""Of sorted activations that are kept: those of the neurons that were last answered with."""


@dataclass(frozen=True, slots=True)
class UsualLevel:
    """Mean and standard deviation over reference rows, one entry a column (`n_columns`).

    The mean is the sum of a reference value and of the mean distance from it.
    """

    origin: DoubleArray
    mean_distance: DoubleArray
    deviation: DoubleArray

    @classmethod
    def over(cls, reference: Iterable[FloatArray]) -> UsualLevel:
        """The level over the rows of all blocks (`n_rows, n_columns`); only one is held at a time.

        Raises:
            ValueError: there are no rows.
        """
        n_rows = 0
        origin = sums = squares = np.zeros(0)
        for block in reference:
            if not len(block):
                continue
            exact = block.astype(np.float64)
            if n_rows == 0:
                # Sums about a value near the mean keep their digits, and are 0 where nothing
                # varies.
                origin = exact[0].copy()
                sums, squares = np.zeros((2, len(origin)))
            n_rows += len(block)
            exact -= origin
            sums += exact.sum(axis=0)
            squares += np.square(exact).sum(axis=0)
        if n_rows == 0:
            raise ValueError("there are no reference rows to compare with")
        mean = sums / n_rows
        deviation = np.sqrt(np.maximum(squares / n_rows - np.square(mean), 0))
        return cls(origin, mean, deviation)

    def z(self, values: FloatArray) -> DoubleArray:
        """Standard deviations above the mean (`n_columns`), NaN where nothing varies."""
        z = np.full(len(values), np.nan)
        above = values - self.origin - self.mean_distance
        np.divide(above, self.deviation, out=z, where=self.deviation > 0)
        return z


def percentile(value: float, ordered: HalfArray) -> float:
    """The share of sorted values below a float16 value, in percent; ties count half."""
    first, last = (np.searchsorted(ordered, np.float16(value), side) for side in ("left", "right"))
    return float(100 * ((first + last) / 2) / len(ordered))


@dataclass(frozen=True, slots=True)
class TailLevel:
    """A described tail on a text; `z` and `percentile` point in the tail's direction."""

    neuron: NeuronId
    tail: Tail
    match: Match
    activation: float
    z: float
    percentile: float


@dataclass(frozen=True)
class FiringTails:
    """The tails that a text drives above their usual level, and what its tokens do to each."""

    levels: tuple[TailLevel, ...]
    tokens: TokenActivations
    n_described: int


@dataclass(frozen=True, eq=False)
class _SiteTails:
    """The described tails of one layer site.

    Attributes:
        places: of these tails among all described ones (`n_tails`).
        units: that have them, ascending (`n_units`).
        column: of each tail in `units` (`n_tails`).
        usual: level of each unit.
    """

    places: IntArray
    units: IntArray
    column: IntArray
    usual: UsualLevel


class TextLevels:
    """Compares texts with the usual level of every described neuron of a run.

    Mean and deviation of all described neurons are computed once, when this is made. A percentile
    is exact: it is counted among the discover activations of the neuron, which are read from the
    store when they are first needed, and of which as many are kept as fit `_ORDERED_BYTES`.

    Args:
        run: with a model.
        table: the explanations of the run.
        model_lock: held while the model reads a text.

    Raises:
        InputError: the model cannot be loaded, or the run has none.
        RunError: the run is damaged, or its model has changed.
    """

    def __init__(
        self, run: FinishedRun, table: ExplanationTable, model_lock: AbstractContextManager[Any]
    ) -> None:
        self._subject = run.subject
        self._settings = run.settings.extraction
        self._store = run.store
        self._table = table
        self._model_lock = model_lock
        self._rows = run.corpus.rows(Split.DISCOVER)
        described = np.flatnonzero(table.described)
        keys = (table.tail, table.unit, table.site, table.layer)
        self._tails = described[np.lexsort([key[described] for key in keys])]
        self._signs = np.where(table.tail[self._tails] == TAILS.index(Tail.POSITIVE), 1.0, -1.0)
        self._sites = {
            layer_site: found
            for layer_site in self._store.layer_sites
            if (found := self._site_tails(layer_site)) is not None
        }
        n_kept = max(1, _ORDERED_BYTES // (2 * max(1, len(self._rows))))
        # Not a method: what is kept would hold this, and with it the store, until it is collected.
        self._ordered = lru_cache(n_kept)(partial(_read_ordered, self._store, self._rows))

    def strongest(self, text: str, n_tails: int) -> FiringTails:
        """The described tails furthest above their usual level, at most `n_tails`, furthest first.

        Tails of neurons that do not vary over the discover sentences have no level.

        Raises:
            InputError: `text` is not valid Unicode.
            BackendError: the model computes what is no finite number, or runs out of memory.
        """
        from neurons.text_reading import read_text

        with self._model_lock:
            reading = read_text(self._subject, text, self._store.layer_sites, self._settings)
        activations, z = np.full((2, len(self._tails)), np.nan)
        for layer_site, own in self._sites.items():
            values = reading.pooled[layer_site][own.units]
            activations[own.places] = values[own.column]
            z[own.places] = own.usual.z(values)[own.column]
        z *= self._signs
        levels = tuple(
            self._level(place, float(activations[place]), float(z[place]))
            for place in _largest(z, n_tails).tolist()
        )
        tokens = reading.token_activations([level.neuron for level in levels])
        return FiringTails(levels, tokens, len(self._tails))

    def _site_tails(self, layer_site: LayerSite) -> _SiteTails | None:
        """The described tails of a layer site, None where there are none."""
        table, tails = self._table, self._tails
        is_layer = table.layer[tails] == layer_site.layer
        places = np.flatnonzero(is_layer & (table.site[tails] == _SITES.index(layer_site.site)))
        if not len(places):
            return None
        units, column = np.unique(table.unit[tails[places]], return_inverse=True)
        if units[-1] >= self._store.units(layer_site):
            raise RunError(
                f"{layer_site}.{units[-1]} is explained, but {self._store.folder} has only "
                f"{self._store.units(layer_site)} units of {layer_site}; run again with --update"
            )
        return _SiteTails(places, units, column, UsualLevel.over(self._windows(layer_site, units)))

    def _windows(self, layer_site: LayerSite, units: IntArray) -> Iterator[FloatArray]:
        for first in range(0, len(self._rows), _ROWS_AT_A_TIME):
            window = self._rows[first : first + _ROWS_AT_A_TIME]
            yield self._store.columns(layer_site, slice(None), window)[:, units]

    def _level(self, place: int, activation: float, z: float) -> TailLevel:
        number = int(self._tails[place])
        neuron, tail = self._table.key(number)
        below = percentile(activation, self._ordered(neuron))
        return TailLevel(
            neuron=neuron,
            tail=tail,
            match=self._table.match(int(self._table.first[number])),
            activation=activation,
            z=z,
            percentile=below if tail is Tail.POSITIVE else 100 - below,
        )


def _read_ordered(store: ActivationStore, rows: IntArray, neuron: NeuronId) -> HalfArray:
    """The activations of a neuron on some rows, ascending."""
    return np.sort(np.asarray(store.array(neuron.layer_site)[rows, neuron.unit]))


def _largest(values: DoubleArray, count: int) -> IntArray:
    """Places of the largest values above 0, largest first, ties in their order."""
    places = np.flatnonzero(values > 0)
    if 0 < count < len(places):
        least = np.partition(values[places], len(places) - count)[len(places) - count]
        places = places[values[places] >= least]
    return places[np.argsort(-values[places], kind="stable")][:count]
