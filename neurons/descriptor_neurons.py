"""What the neurons of a descriptor tell together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from indexer.arrays import BoolArray
from neurons.auroc import auroc
from neurons.split_rows import Block, SplitRows


@dataclass(frozen=True)
class CombinedNeurons:
    """AUROC on test of several neurons together, and of the first of them alone."""

    combined_auroc: float
    single_auroc: float


def combine_neurons(directed: Block, holds: BoolArray, rows: SplitRows) -> CombinedNeurons:
    """How well neurons tell a descriptor together: by the mean of what each is on its own scale.

    The scale is that of discover; test is only told.

    Args:
        directed: activations, those of a negative tail times -1 (`n_sentences, n_neurons`).
        holds: the sentences the descriptor holds for (`n_sentences`).
        rows: rows of each split.

    Raises:
        ValueError: there is no neuron; or `holds` is about other sentences, or tells none of test
            apart.
    """
    from scipy.sparse import csr_matrix

    _check(directed, holds, rows)
    values = directed[np.concatenate([rows.discover, rows.test])].astype(np.float64)
    # Less its first value a constant is exactly 0; other shifts change no AUROC.
    discover, test = np.split(values - values[:1], [len(rows.discover)])
    spread = discover.std(axis=0)
    # A neuron that discover never moved has no scale on which to join the others.
    spread[spread == 0.0] = np.inf
    members = csr_matrix(holds[rows.test].astype(np.float64)[np.newaxis])
    areas = auroc(np.column_stack([(test / spread).mean(axis=1), test[:, 0]]), members)[0]
    return CombinedNeurons(*areas.tolist())


def _check(directed: Block, holds: BoolArray, rows: SplitRows) -> None:
    n_sentences, n_neurons = directed.shape
    if n_neurons == 0:
        raise ValueError("found no neuron, expected 1 or more")
    if holds.shape != (n_sentences,):
        raise ValueError(f"found sentences of shape {holds.shape}, expected ({n_sentences},)")
    n_members, n_test = int(np.count_nonzero(holds[rows.test])), len(rows.test)
    if not 0 < n_members < n_test:
        raise ValueError(
            f"the descriptor holds for {n_members} of {n_test} test sentences, expected some and "
            "not all"
        )
