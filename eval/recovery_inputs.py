"""What label recovery judges: the labels of a facet, and what was said of which neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from eval.metrics import Ranking
from indexer.arrays import BoolArray, DoubleArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class RecoveryInputs:
    """What one facet of labels is judged on.

    Attributes:
        test_auroc: AUROC of each label for each neuron on the test split (`n_labels, n_neurons`);
            NaN where it is undefined, and such a label is never gold.
        ranking: the predicted descriptors of each neuron.
        meanings: the label each descriptor means, one at most (`n_descriptors, n_labels`).
        contained_meanings: the second reading of what descriptors mean, of the same shape.
        named_meanings: those of `meanings` whose descriptor says the label in words, of the same
            shape; see `eval.naming`.
        descriptor_sizes: members of each descriptor on `discover` (`n_descriptors`); the largest
            are the frequency baseline, the first in order among equals.
        shuffled_ranking: the ranking the matcher gives for shuffled activations, the null.
        upper_ranking: the ranking of the matcher with the true labels as descriptors, holding
            label positions.
        facet: which labels these are, empty where there is one kind only.
        split: the split that `test_auroc` was measured on.

    Raises:
        ValueError: shapes do not fit, a ranking names an unknown descriptor, or a descriptor means
            several labels in `meanings`, or says one in `named_meanings` that it does not mean.
    """

    test_auroc: DoubleArray
    ranking: Ranking
    meanings: BoolArray
    contained_meanings: BoolArray
    descriptor_sizes: IntArray
    shuffled_ranking: Ranking | None = None
    upper_ranking: Ranking | None = None
    named_meanings: BoolArray | None = None
    facet: str = ""
    split: str = "test"

    def __post_init__(self) -> None:
        if self.test_auroc.ndim != 2:
            raise ValueError(f"test_auroc has shape {self.test_auroc.shape}, expected 2 dimensions")
        n_labels, n_neurons = self.test_auroc.shape
        n_descriptors = self.descriptor_sizes.size
        for name in ("meanings", "contained_meanings", "named_meanings"):
            own = getattr(self, name)
            if own is not None and own.shape != (n_descriptors, n_labels):
                raise ValueError(f"{name} have shape {own.shape}, not {(n_descriptors, n_labels)}")
        if self.named_meanings is not None and (self.named_meanings & ~self.meanings).any():
            raise ValueError("a descriptor says a label that it does not mean")
        if (self.meanings.sum(axis=1) > 1).any():
            raise ValueError("a descriptor means several labels; meanings allow one at most")
        for ranking, n_known in (
            (self.ranking, n_descriptors),
            (self.shuffled_ranking, n_descriptors),
            (self.upper_ranking, n_labels),
        ):
            if ranking is None:
                continue
            if ranking.n_neurons != n_neurons:
                raise ValueError(f"a ranking covers {ranking.n_neurons} neurons, not {n_neurons}")
            if ranking.n_descriptors_needed > n_known:
                raise ValueError(f"a ranking names a position beyond the {n_known} it can have")

    def gold(self, tau: float) -> BoolArray:
        """Which labels each neuron separates with an AUROC of `tau` (`n_neurons, n_labels`)."""
        return np.ascontiguousarray((self.test_auroc >= tau).T)

    def take(self, neurons: IntArray) -> RecoveryInputs:
        """The same for some neurons, in the order given."""

        def taken(ranking: Ranking | None) -> Ranking | None:
            return None if ranking is None else ranking.take(neurons)

        return replace(
            self,
            test_auroc=self.test_auroc[:, neurons],
            ranking=self.ranking.take(neurons),
            shuffled_ranking=taken(self.shuffled_ranking),
            upper_ranking=taken(self.upper_ranking),
        )
