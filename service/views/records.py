"""The answers of the API about a run; pages show the same.

Activations are in the shape that tools of the field read: `tokens` and `activations` side by side;
explanations name how they were made in `type_name`.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from descriptors.records import Split
from eval.lexical import LexicalStanding
from indexer.records import Record
from neurons.group_records import ExplainedGroup
from neurons.records import AbstentionReason, Site, Tail
from neurons.statistics_records import NeuronStatistics
from neurons.token_exemplars import TopWord
from service.explained import CarriedTogether, ExemplarVariety

EXPLANATION_TYPE = "neuroscribe_descriptor"


class RunState(StrEnum):
    """Whether a run can be read.

    An updating run is being written by another process. It is read as it was before where it is
    held open; elsewhere it can be read again when that is done.
    """

    UNFINISHED = "unfinished"
    FINISHED = "finished"
    UPDATING = "updating"
    DAMAGED = "damaged"


class RunCard(Record):
    """A run at a glance; counts are None while it cannot be read.

    `n_described` counts tails, of which every neuron has two. `problem` says why a damaged run
    cannot be read.
    """

    name: str
    state: RunState
    corpus: str
    model: str
    encoder: str
    proposers: tuple[str, ...]
    changed_at: datetime
    n_sentences: int | None = None
    n_descriptors: int | None = None
    n_neurons: int | None = None
    n_described: int | None = None
    problem: str = ""


class ExplanationAnswer(Record):
    """A descriptor that a tail responds to; `score` is the AUROC on test, 0.5 is chance.

    `standing` is its place beside the lexical baseline, None where there is none.
    """

    type_name: str = EXPLANATION_TYPE
    description: str
    descriptor_id: str
    rank: int
    score: float
    ci_low: float
    ci_high: float
    q: float
    exemplar_z: float
    standing: LexicalStanding | None = None


class ActivationRecord(Record):
    """A sentence with the activation of each of its tokens.

    `starts` are the tokens' places in `text`, in characters; `activation` is the pooled one, and
    `quantile` the share of the run's sentences below it in the direction of the tail.
    """

    sentence_id: str
    text: str
    split: Split
    activation: float
    quantile: float | None = None
    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    starts: tuple[int, ...]


class ExemplarSet(Record):
    """Sentences that show a tail: the strongest, some at quantiles, and some at random."""

    top: tuple[ActivationRecord, ...]
    quantiles: tuple[ActivationRecord, ...]
    random: tuple[ActivationRecord, ...]


class TailAnswer(Record):
    """One tail of a neuron: explanations, or `reason` for having none, with what they rest on."""

    tail: Tail
    explanations: tuple[ExplanationAnswer, ...]
    reason: AbstentionReason | None
    together: CarriedTogether
    variety: ExemplarVariety
    words: tuple[TopWord, ...]
    exemplars: ExemplarSet


class NeuronAnswer(Record):
    """What a neuron of a run responds to.

    `group` is None where no other neuron moves with it; `groups_sought` is false where the run has
    too few sentences to tell.
    """

    run: str
    neuron: str
    layer: int
    site: Site
    unit: int
    tails: tuple[TailAnswer, ...]
    statistics: NeuronStatistics | None = None
    group: ExplainedGroup | None = None
    groups_sought: bool = True


class NeuronOrder(StrEnum):
    """How neurons are listed: as they are stored, or the surest explanation first.

    The surest is that of the lowest q on discover, then of the highest exemplar z there. To order
    by the AUROC on test would put the luckiest first, whose AUROC is then too high. Tails without
    an explanation come last.
    """

    ADDRESS = "address"
    SCORE = "score"


class NeuronFilter(Record):
    """Which tails are listed; all of them where nothing is given.

    `descriptor` is an identifier that must be among the matches; what is asked of the score, and
    the order, are then about that match, else about the first.
    """

    layer: int | None = Field(default=None, ge=0)
    site: Site | None = None
    tail: Tail | None = None
    descriptor: str | None = None
    minimum_score: float | None = Field(default=None, ge=0.0, le=1.0)
    described: bool | None = None
    reason: AbstentionReason | None = None
    order: NeuronOrder = NeuronOrder.ADDRESS


class TailCard(Record):
    """One tail in a list: its first explanation, or the reason for having none.

    In a list of the tails that carry a descriptor the explanation is that descriptor.
    """

    neuron: str
    tail: Tail
    explanation: ExplanationAnswer | None
    reason: AbstentionReason | None


class TailList(Record):
    """A page of tails; `total` counts all that pass the filter."""

    items: tuple[TailCard, ...]
    total: int


class TextNeuron(Record):
    """A described tail that a text drives above its usual level; see `service.explained`."""

    neuron: str
    tail: Tail
    explanation: ExplanationAnswer
    activation: float
    z: float
    percentile: float
    activations: tuple[float, ...]


class TextAnswer(Record):
    """What fires on a text; the `activations` of each neuron are those of `tokens`."""

    run: str
    text: str
    tokens: tuple[str, ...]
    starts: tuple[int, ...]
    truncated_tokens: int
    n_described: int
    neurons: tuple[TextNeuron, ...]


class DescriptorCard(Record):
    """A descriptor in a list; `n_sentences` and `n_tails` are None where it is not kept."""

    id: str
    text: str
    proposer: str
    kept: bool
    reason: str
    locked: bool
    renamed_from: str
    n_sentences: int | None = None
    n_tails: int | None = None


class DescriptorList(Record):
    """A page of descriptors; `pending_edits` wait for the catalog to be rebuilt."""

    items: tuple[DescriptorCard, ...]
    total: int
    pending_edits: int


class MemberSentence(Record):
    """A sentence that a descriptor holds for, with its membership score."""

    id: str
    text: str
    split: Split
    score: float


class SentenceList(Record):
    """A page of a descriptor's sentences, the highest score first."""

    items: tuple[MemberSentence, ...]
    total: int


class DescriptorAnswer(Record):
    """A descriptor, the tails that carry it (surest first), and others on the same sentences."""

    run: str
    descriptor: DescriptorCard
    tails: tuple[TailCard, ...]
    near: tuple[DescriptorCard, ...]


class LayerCell(Record):
    """A layer site at a glance.

    `described` is a share of the tails of its neurons, `learned` a share of those described tails
    that the lexical baseline has enough units to judge. `median_score` and `commonest`, the
    descriptors that come first most often, are of the first explanations. None where there is none.
    """

    layer: int
    site: Site
    n_neurons: int
    described: float
    learned: float | None
    median_score: float | None
    commonest: tuple[str, ...]


class LayerMap(Record):
    """Every layer site of a run."""

    cells: tuple[LayerCell, ...]
