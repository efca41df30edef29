"""The statistics of neurons as they are handed on: arrays over all neurons, a record for one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from indexer.errors import InputError, RunError
from indexer.records import Record
from neurons.records import LayerSite, NeuronId
from neurons.store import StoredSite

FIGURES = (
    "mean",
    "deviation",
    "skewness",
    "excess_kurtosis",
    "minimum",
    "maximum",
    "zero_share",
    "positive_share",
)
"""The plain numbers of a neuron, all finite but for skewness and kurtosis."""
QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)


class StrongSentence(Record):
    """A sentence by its corpus row, and a neuron's activation on it."""

    row: int
    activation: float


class NeuronStatistics(Record):
    """What one neuron does over all sentences.

    Moments are of the population, divided by the number of sentences; a neuron that never changes
    has no skewness and no kurtosis. Shares are of sentences on which it is exactly 0, or above.
    `quantiles` are those at `QUANTILES`, interpolated linearly as `numpy.quantile` does. The
    strongest sentences come strongest first, ties in row order.
    """

    neuron: str
    n_sentences: int
    mean: float
    deviation: float
    skewness: float | None
    excess_kurtosis: float | None
    minimum: float
    maximum: float
    zero_share: float
    positive_share: float
    quantiles: tuple[float, ...]
    constant: bool
    top_positive: tuple[StrongSentence, ...]
    top_negative: tuple[StrongSentence, ...]

    @property
    def median(self) -> float:
        """Half of the sentences are below."""
        return self.quantiles[QUANTILES.index(0.5)]


@dataclass(frozen=True)
class StrongestRows:
    """The strongest sentences of one tail of every neuron (each `n_neurons, n_kept`).

    Strongest first, ties in row order: the order of `neurons.exemplars.top_rows`.
    """

    rows: IntArray
    activations: FloatArray

    def of(self, number: int) -> tuple[StrongSentence, ...]:
        """The sentences of one neuron, counted over all sites."""
        pairs = zip(self.rows[number].tolist(), self.activations[number].tolist(), strict=True)
        return tuple(StrongSentence(row=row, activation=value) for row, value in pairs)


@dataclass(frozen=True)
class StoreStatistics:
    """The statistics of every neuron of a store, in the order of its sites (each `n_neurons`).

    `quantiles` are `n_neurons, n_quantiles`. `skewness` and `excess_kurtosis` are not a number for
    neurons that never change. See `NeuronStatistics`.
    """

    sites: tuple[StoredSite, ...]
    n_sentences: int
    mean: DoubleArray
    deviation: DoubleArray
    skewness: DoubleArray
    excess_kurtosis: DoubleArray
    minimum: DoubleArray
    maximum: DoubleArray
    zero_share: DoubleArray
    positive_share: DoubleArray
    quantiles: DoubleArray
    positive: StrongestRows
    negative: StrongestRows

    @property
    def constant(self) -> BoolArray:
        """Which neurons have one activation for all sentences (`n_neurons`)."""
        return np.asarray(self.minimum == self.maximum)

    @property
    def neurons(self) -> Iterator[NeuronId]:
        """The address of each neuron in order."""
        for stored in self.sites:
            for unit in range(stored.units):
                yield NeuronId(stored.layer, stored.site, unit)

    def number(self, neuron: NeuronId) -> int:
        """The position of a neuron in the arrays.

        Raises:
            InputError: the layer site has fewer units.
            RunError: the layer site is not among these statistics.
        """
        if neuron.layer_site not in self._places:
            known = ", ".join(str(layer_site) for layer_site in self._places)
            raise RunError(f"there are no statistics of {neuron.layer_site}; there are of {known}")
        first, units = self._places[neuron.layer_site]
        if not 0 <= neuron.unit < units:
            raise InputError(
                f"{neuron} does not exist: {neuron.layer_site} has {units} units, 0 to {units - 1}"
            )
        return first + neuron.unit

    def of(self, neuron: NeuronId) -> NeuronStatistics:
        """The statistics of one neuron.

        Raises:
            InputError: the layer site has fewer units.
            RunError: the layer site is not among these statistics.
        """
        number = self.number(neuron)
        constant = bool(self.minimum[number] == self.maximum[number])
        return NeuronStatistics(
            neuron=str(neuron),
            n_sentences=self.n_sentences,
            mean=float(self.mean[number]),
            deviation=float(self.deviation[number]),
            skewness=None if constant else float(self.skewness[number]),
            excess_kurtosis=None if constant else float(self.excess_kurtosis[number]),
            minimum=float(self.minimum[number]),
            maximum=float(self.maximum[number]),
            zero_share=float(self.zero_share[number]),
            positive_share=float(self.positive_share[number]),
            quantiles=tuple(self.quantiles[number].tolist()),
            constant=constant,
            top_positive=self.positive.of(number),
            top_negative=self.negative.of(number),
        )

    @cached_property
    def _places(self) -> dict[LayerSite, tuple[int, int]]:
        """The first position and the number of units of each layer site."""
        ends = np.cumsum([stored.units for stored in self.sites]).tolist()
        return {
            stored.layer_site: (end - stored.units, stored.units)
            for stored, end in zip(self.sites, ends, strict=True)
        }
