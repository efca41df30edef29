"""Random directions of a site in place of its units: what any direction of a trained model carries.

The units of a site are one basis of its activations, random orthogonal directions are another. A
direction has the length of a unit and sees the same activations, but no training step has ever
singled it out, unlike a unit, whose activation function acts on it alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import DoubleArray
from neurons.records import LayerSite, Site

if TYPE_CHECKING:
    from torch import Tensor, device

_SITE_NUMBERS = {site: number for number, site in enumerate(Site)}


def random_rotation(layer_site: LayerSite, n_units: int, seed: int) -> DoubleArray:
    """A random orthogonal matrix of a layer site, a direction a column (`n_units, n_units`).

    It is drawn from the Haar distribution (Mezzadri 2007), for each layer site anew.
    """
    from scipy.stats import ortho_group

    entropy = [seed, layer_site.layer, _SITE_NUMBERS[layer_site.site]]
    # The library takes no matrix of one row, of which there are two.
    generator = np.random.default_rng(entropy)
    if n_units == 1:
        return generator.choice([-1.0, 1.0], size=(1, 1))
    drawn = ortho_group.rvs(n_units, random_state=generator)
    return np.asarray(drawn, dtype=np.float64)


@dataclass(frozen=True)
class RandomDirections:
    """Random orthogonal directions of every site; equal seeds give equal directions.

    The matrices are made when they are first needed, and kept on the device they are needed on.
    """

    seed: int
    _rotations: dict[tuple[LayerSite, device], Tensor] = field(
        default_factory=dict, compare=False, repr=False
    )

    def read(self, layer_site: LayerSite, tokens: Tensor) -> Tensor:
        """The directions' activations on each token (`n_sentences, n_tokens, n_units`), float32.

        Args:
            layer_site: where the tokens were captured.
            tokens: the units' activations (`n_sentences, n_tokens, n_units`).
        """
        import torch

        key = (layer_site, tokens.device)
        if key not in self._rotations:
            matrix = random_rotation(layer_site, tokens.shape[-1], self.seed)
            self._rotations[key] = torch.from_numpy(matrix).to(tokens.device, torch.float32)
        return tokens.float() @ self._rotations[key]
