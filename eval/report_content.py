"""What a report shows; `eval.report_selection` chooses it from the results of a run."""

from __future__ import annotations

from dataclasses import dataclass

from descriptors.contributions import Contribution
from descriptors.lm_proposer import GenerationUsage
from eval.highlighting import Segment
from eval.lexical import LexicalStanding
from eval.null_distributions import NullDistributions
from eval.plot_histograms import HistogramSet
from eval.records import Figure
from neurons.records import AbstentionReason, Explanation, Site, Tail


@dataclass(frozen=True, slots=True)
class NamedText:
    """A line of a list: a setting, a version, a seed."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class NamedCount:
    """How many there are of something."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long a stage took."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class LMUsage:
    """What asking a proposer's LM took."""

    proposer: str
    usage: GenerationUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What was run on what.

    `usages` has a line for each LM that was asked. `labelled` tells whether the corpus has labels
    (only the evaluation sees them). `notes` are things the run counted that a reader should know,
    such as skipped duplicates. `manifest` is the excerpt of the manifest to print. Stages, usages,
    versions, notes and manifest may be empty.
    """

    corpus: str
    model: str
    encoder: str
    proposers: tuple[str, ...]
    sentences: int
    documents: int
    splits: tuple[NamedCount, ...]
    layers: int
    sites: tuple[Site, ...]
    neurons: int
    pooling: str
    seed: int
    labelled: bool
    stages: tuple[StageTime, ...] = ()
    usages: tuple[LMUsage, ...] = ()
    versions: tuple[NamedText, ...] = ()
    notes: tuple[str, ...] = ()
    manifest: tuple[NamedText, ...] = ()


@dataclass(frozen=True, slots=True)
class DescriptorEntry:
    """A kept descriptor: its member sentences, the neurons that carry it, its place on the map."""

    text: str
    proposer: str
    sentences: int
    neurons: int
    examples: tuple[str, ...]
    horizontal: float
    vertical: float


@dataclass(frozen=True, slots=True)
class TailCoverage:
    """How many neurons are described on one tail."""

    tail: Tail
    described: int
    total: int


@dataclass(frozen=True, slots=True)
class HeatRow:
    """The neurons of each layer whose first match is one descriptor."""

    descriptor: str
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """The neurons of all layers."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The commonest first matches of one site, layer by layer.

    `described` counts the described neurons of each layer, whether or not their descriptor is
    among the rows; `left_out` counts descriptors that are some neuron's first match but no row.
    """

    site: Site
    described: tuple[int, ...]
    rows: tuple[HeatRow, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class HighlightedSentence:
    """An exemplar as it is shown: its activation and its pieces."""

    activation: float
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class ExplainedNeuron:
    """A described tail of a neuron with its evidence.

    `standings` has one entry for each match: how it stands beside random weights, None where that
    is not known.
    """

    explanation: Explanation
    exemplars: tuple[HighlightedSentence, ...]
    standings: tuple[LexicalStanding | None, ...]


@dataclass(frozen=True, slots=True)
class AbstentionCount:
    """How many tails of neurons are left undescribed for one reason."""

    reason: AbstentionReason
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """Everything the report shows, in the order it is shown.

    `contributions` is empty where there is one proposer only. `neurons_described` counts neurons
    with a description on either tail. `nulls` and `first_matches` are what plots show beside the
    figures.
    """

    run: RunSummary
    proposed: int
    rejections: tuple[NamedCount, ...]
    contributions: tuple[Contribution, ...]
    descriptors: tuple[DescriptorEntry, ...]
    neurons_described: int
    coverage: tuple[TailCoverage, ...]
    heat_maps: tuple[HeatMap, ...]
    best: tuple[ExplainedNeuron, ...]
    abstentions: tuple[AbstentionCount, ...]
    figures: tuple[Figure, ...]
    nulls: NullDistributions | None = None
    first_matches: tuple[HistogramSet, ...] = ()
