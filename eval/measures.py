"""Metrics as values: a name and a cutoff that can be compared, written and read back.

`Measure("P", 2)` is written `P@2`. Names and formulas:

* of a ranking, one number a neuron: P@k, R@k, Success@k, nDCG@k and MAP (average precision, whose
  mean over neurons is MAP), which may have a cutoff: MAP@k. See `eval.metrics`.
* of two sets: F1, Jaccard; of scores against a set: AUROC, AUPRC, MAD; of two series: Pearson,
  Spearman. One number or None, where it is undefined. See `eval.score_metrics`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import numpy as np

from eval import metrics, score_metrics
from eval.score_metrics import Numbers
from indexer.arrays import BoolArray, DoubleArray, IntArray

_WRITTEN = re.compile(r"([A-Za-z0-9]+)(?:@([1-9][0-9]*))?")


class Cutoff(Enum):
    """Whether a metric is cut off at a rank."""

    REQUIRED = "required"
    POSSIBLE = "possible"
    NONE = "none"


_RANKED: dict[str, tuple[Cutoff, Callable[..., DoubleArray]]] = {
    "P": (Cutoff.REQUIRED, metrics.precision_at_k),
    "R": (Cutoff.REQUIRED, metrics.recall_at_k),
    "Success": (Cutoff.REQUIRED, metrics.success_at_k),
    "nDCG": (Cutoff.REQUIRED, metrics.ndcg_at_k),
    "MAP": (Cutoff.POSSIBLE, metrics.average_precision),
}
_COMPARED: dict[str, Callable[[Any, Any], float | None]] = {
    "F1": score_metrics.f1,
    "Jaccard": score_metrics.jaccard,
    "AUROC": score_metrics.auroc,
    "AUPRC": score_metrics.auprc,
    "MAD": score_metrics.mad,
    "Pearson": score_metrics.pearson,
    "Spearman": score_metrics.spearman,
}
NAMES = (*_RANKED, *_COMPARED)


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric with its cutoff, such as P@2, MAP or AUROC.

    Raises:
        ValueError: the name is unknown, a cutoff is missing, below 1 or given where there is none.
    """

    name: str
    k: int | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"unknown measure {self.name!r}, expected one of {', '.join(NAMES)}")
        if self.k is None and self.cutoff is Cutoff.REQUIRED:
            raise ValueError(f"{self.name} needs a cutoff, such as {self.name}@2")
        if self.k is not None and self.cutoff is Cutoff.NONE:
            raise ValueError(f"{self.name} has no cutoff, found {self.name}@{self.k}")
        if self.k is not None and self.k < 1:
            raise ValueError(f"the cutoff of {self.name} is {self.k}, expected 1 or more")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` writes, such as `P@2`.

        Raises:
            ValueError: it is no measure.
        """
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no measure, expected a name and a cutoff such as P@2")
        return cls(found[1], None if found[2] is None else int(found[2]))

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}@{self.k}"

    @property
    def cutoff(self) -> Cutoff:
        """Whether this metric has a cutoff."""
        return _RANKED[self.name][0] if self.name in _RANKED else Cutoff.NONE

    @property
    def ranks(self) -> bool:
        """Whether it is of a ranking, and so has a number for each neuron."""
        return self.name in _RANKED

    @property
    def definition(self) -> str:
        """Denominator, convention, rival conventions, and what empty and tied input gives."""
        function: Callable[..., Any]
        function = _RANKED[self.name][1] if self.ranks else _COMPARED[self.name]
        return inspect.getdoc(function) or ""

    def per_neuron(self, hits: BoolArray, n_gold: IntArray) -> DoubleArray:
        """The measure of a ranking for each neuron (`n_neurons`).

        Args:
            hits: which ranks are hits, at most one for each gold label, see
                `eval.metrics.ranked_hits` (`n_neurons, n_ranks`).
            n_gold: number of gold labels (`n_neurons`).

        Raises:
            ValueError: it is not of a ranking, shapes do not fit, there are more hits than gold
                labels, or a neuron has no gold labels and the measure is undefined for it.
        """
        if not self.ranks:
            raise ValueError(f"{self} is not of a ranking; use `of`")
        counts = hits[:, : self.k].sum(axis=1, dtype=np.int64)
        match self.name, self.k:
            case "P", int(k):
                return metrics.precision_at_k(counts, k)
            case "R", _:
                return metrics.recall_at_k(counts, n_gold)
            case "Success", int(k):
                return metrics.success_at_k(hits, k)
            case "nDCG", int(k):
                return metrics.ndcg_at_k(hits, n_gold, k)
            case _:
                return metrics.average_precision(hits, n_gold, self.k)

    def of(self, first: Numbers | BoolArray, second: Numbers | BoolArray) -> float | None:
        """The measure of two arrays (`n_units`), None where it is undefined.

        Args:
            first: a set (F1, Jaccard: what is predicted), scores (AUROC, AUPRC, MAD) or a series.
            second: a set (F1, Jaccard, AUROC, AUPRC, MAD: what is relevant) or a series.

        Raises:
            ValueError: it is of a ranking, shapes differ, or the arrays are not what it compares.
        """
        if self.ranks:
            raise ValueError(f"{self} is of a ranking; use `per_neuron`")
        return _COMPARED[self.name](first, second)
