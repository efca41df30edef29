"""What label recovery is told: its settings, and a finished run as it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from eval.metrics import Ranking
from eval.recovery import TAUS
from indexer.arrays import DoubleArray, IntArray
from indexer.records import Record
from neurons.matching import MatchingSettings
from neurons.split_rows import Activations, SplitRows, Watch, unwatched

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.corpus import Labels

_TENTHS = tuple(tenth / 10 for tenth in range(1, 11))


class LabelRecoverySettings(Record):
    """How descriptors are judged by labels that nothing before the evaluation has seen.

    `taus` are the test AUROC from which on a label is gold for a neuron, `ks` how many descriptors
    count, `layer_ks` the same layer by layer. A label with fewer than `minimum_positives` test
    sentences, or fewer others, is not judged: noise alone would give many neurons a high AUROC for
    it. A descriptor names a label by a cosine that at most `naming_share` of the unrelated pairs
    exceed. `concept_units` are the units of a label on the concept side. `coverages` are the shares
    of described neurons, the surest first, whose precision is told, for gold at `coverage_taus`.
    """

    ks: tuple[int, ...] = (1, 2, 5)
    taus: tuple[float, ...] = TAUS
    layer_ks: tuple[int, ...] = (1, 2)
    minimum_positives: int = Field(default=20, ge=2)
    naming_share: float = Field(default=0.05, gt=0.0, lt=1.0)
    concept_units: int = Field(default=50, ge=1)
    coverages: tuple[float, ...] = _TENTHS
    coverage_taus: tuple[float, ...] = (0.8, 0.9)


@dataclass(frozen=True)
class Population:
    """Neurons that are judged together, for example those of one site (`n_judged`)."""

    name: str
    neurons: IntArray


@dataclass(frozen=True)
class LabelRecoveryTask:
    """A finished run as the protocol sees it.

    Attributes:
        activations: the neurons whose explanations are judged.
        membership: kept descriptors by sentences (`n_descriptors, n_sentences`).
        rankings: the run's ranked descriptors of every neuron, one ranking for each of `TAILS`.
        populations: which neurons are judged together.
        labels: all labels of the corpus; facets are judged one by one.
        rows: rows of each split.
        settings: of the run's matcher, used again for null and upper bound.
        seed: of the null and the bootstrap.
        proposers: who proposed each kept descriptor, in order; empty to leave out what the
            proposers contributed.
        layers: the layer of each neuron (`n_neurons`); None to leave out single layers.
        cosines: of each descriptor's text and each label's words, in the order of `labels`
            (`n_descriptors, n_labels`); None to leave out whether descriptors say their labels.
        confidences: how sure the run is of each neuron's descriptors without labels, one array for
            each of `TAILS` (`n_neurons`), see `eval.risk_coverage`; None to leave out risk and
            coverage.
        watch: wraps the blocks of each pass over the activations, for a progress bar.
        handicaps: AUROC by which each descriptor comes after others in matching (`n_descriptors`);
            none if None.
    """

    activations: Activations
    membership: csr_matrix
    rankings: tuple[Ranking, Ranking]
    populations: tuple[Population, ...]
    labels: Labels
    rows: SplitRows
    settings: MatchingSettings
    seed: int
    proposers: tuple[str, ...] = ()
    layers: IntArray | None = None
    cosines: DoubleArray | None = None
    confidences: tuple[IntArray, IntArray] | None = None
    watch: Watch = unwatched
    handicaps: DoubleArray | None = None
