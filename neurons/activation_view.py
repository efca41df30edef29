"""Sentences compared by what the neurons do on them, for groups that cut across topics.

Activations of some neurons, standardised on `discover`, reduced to their half-whitened principal
components: sentences are near when the same parts of the model respond to them. Only groups are
formed by this; which sentences a descriptor holds for is decided by their text alone, so that what
a neuron does on a test sentence never decides whether that sentence counts for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from indexer.arrays import FloatArray, IntArray
from indexer.whitening import Whitening
from neurons.split_rows import Activations, sampled_units

N_UNITS = 1_500
N_COMPONENTS = 128


def activation_view(
    activations: Activations, fitted_on: IntArray, seed: int
) -> Callable[[IntArray], FloatArray]:
    """From rows to unit vectors of activation components (`n_rows, n_components`).

    Args:
        activations: all neurons; a seeded sample of `N_UNITS` stands for them.
        fitted_on: discover rows on which spreads and components are estimated.
        seed: of the sample.
    """

    def columns(rows: IntArray) -> FloatArray:
        return sampled_units(activations, N_UNITS, seed, rows).astype(np.float32)

    fitted = columns(fitted_on)
    mean, spread = fitted.mean(axis=0), fitted.std(axis=0)
    # A neuron that never changes tells sentences apart in no way.
    spread[spread == 0.0] = np.inf
    standardised = (fitted - mean) / spread
    space = Whitening.fit(standardised, np.arange(len(fitted)), N_COMPONENTS)

    def view(rows: IntArray) -> FloatArray:
        return space.apply((columns(rows) - mean) / spread)

    return view
