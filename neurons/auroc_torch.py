"""The arithmetic of ranks in torch, for matching on a GPU."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import DoubleArray, IntArray
from neurons.auroc import auroc_from_sums, half_keys, indicator, set_sizes
from neurons.rank_arithmetic import NUMPY_RANKS, RankArithmetic
from neurons.row_checks import check_sentences

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix


logger = logging.getLogger(__name__)

_CHECK_SHAPE = (500, 8)


def ranks_on(device: torch.device) -> RankArithmetic:
    """The fastest arithmetic for a device: torch's on a GPU, after a check, else numpy's.

    Matches must not depend on the machine. A device that does not agree with numpy to the last bit
    on a small example is told of and left alone.
    """
    if device.type == "cpu":
        return NUMPY_RANKS
    found = TorchRanks(str(device))
    if agrees_with_numpy(found):
        return found
    logger.warning("%s computes other ranks than numpy; matching uses the processor", device)
    return NUMPY_RANKS


def agrees_with_numpy(arithmetic: RankArithmetic) -> bool:
    """Whether ranks with many ties, and AUROC from them, are numpy's to the last bit."""
    from scipy.sparse import csr_matrix

    generator = np.random.default_rng(0)
    activations = generator.normal(size=_CHECK_SHAPE).round(1).astype(np.float16)
    activations[:, 0] = 0.0
    members = csr_matrix((generator.random((6, _CHECK_SHAPE[0])) < 0.1).astype(np.float64))
    ranks = [each.average_ranks(activations) for each in (arithmetic, NUMPY_RANKS)]
    areas, variances = zip(
        *(
            (each.auroc(own, members), each.variances(own))
            for each, own in zip((arithmetic, NUMPY_RANKS), ranks, strict=True)
        ),
        strict=True,
    )
    return bool((areas[0] == areas[1]).all() and (variances[0] == variances[1]).all())


class TorchRanks:
    """Ranks as float64 tensors that stay on their device; see `RankArithmetic`.

    Only sums are taken on the device. They are exact, in whatever order it adds; all that needs
    rounding is left to numpy.
    """

    def __init__(self, device: str) -> None:
        self._device = device

    def average_ranks(self, activations: NDArray[np.floating]) -> torch.Tensor:
        """See `RankArithmetic`."""
        import torch

        # A copy always: torch warns of arrays that are read only.
        columns = np.array(activations.T, order="C")
        keys = half_keys(columns) if columns.dtype == np.float16 else columns
        values = torch.from_numpy(keys).to(self._device)
        ordered = torch.sort(values, dim=1).values
        below = torch.searchsorted(ordered, values)
        not_above = torch.searchsorted(ordered, values, right=True)
        return ((below + not_above + 1).T.to(torch.float64) * 0.5).contiguous()

    def reordered(self, ranks: torch.Tensor, order: IntArray) -> torch.Tensor:
        """See `RankArithmetic`."""
        return ranks[self._moved(order)]

    def auroc(self, ranks: torch.Tensor, membership: csr_matrix) -> DoubleArray:
        """See `RankArithmetic`.

        Raises:
            ValueError: the membership covers another number of sentences than the ranks.
        """
        check_sentences(membership, ranks=len(ranks))
        sums = self._member_sums(ranks, membership)
        return auroc_from_sums(sums, set_sizes(membership), len(ranks))

    def variances(self, ranks: torch.Tensor) -> DoubleArray:
        """See `RankArithmetic`."""
        squares = ((ranks - (len(ranks) + 1) / 2.0) ** 2).sum(dim=0)
        return _in_memory(squares) / max(len(ranks), 1)

    def exemplar_hits(
        self, ranks: torch.Tensor, membership: csr_matrix, n_exemplars: int, highest: bool
    ) -> tuple[DoubleArray, DoubleArray]:
        """See `RankArithmetic`."""
        extreme = ranks > len(ranks) - n_exemplars if highest else ranks < n_exemplars + 1
        exemplars = extreme.to(ranks.dtype)
        return self._member_sums(exemplars, membership), _in_memory(exemplars.sum(dim=0))

    def picked(self, ranks: torch.Tensor, sentences: IntArray, units: IntArray) -> DoubleArray:
        """See `RankArithmetic`."""
        return _in_memory(ranks[self._moved(sentences), self._moved(units).reshape(-1, 1)])

    def _member_sums(self, values: torch.Tensor, membership: csr_matrix) -> DoubleArray:
        """Sums of the values of each set's members (`n_sets, n_units`)."""
        import torch

        sets = indicator(membership)
        owners = np.repeat(np.arange(sets.shape[0]), np.diff(sets.indptr))
        on_device = torch.sparse_coo_tensor(
            self._moved(np.stack([owners, sets.indices.astype(np.int64)])),
            torch.from_numpy(sets.data).to(self._device),
            size=sets.shape,
            is_coalesced=True,
            check_invariants=False,
        )
        return _in_memory(torch.sparse.mm(on_device, values))

    def _moved(self, numbers: IntArray) -> torch.Tensor:
        import torch

        return torch.from_numpy(numbers).to(self._device)


def _in_memory(tensor: torch.Tensor) -> DoubleArray:
    return np.asarray(tensor.cpu().numpy(), dtype=np.float64)
