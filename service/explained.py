"""What `explain` answers with, for the terminal, as JSON and for an API."""

from __future__ import annotations

from descriptors.records import Split
from eval.lexical import LexicalStanding
from indexer.records import Record
from neurons.group_records import ExplainedGroup, GroupMember
from neurons.records import AbstentionReason, Match, Tail, TokenActivation
from neurons.statistics_records import NeuronStatistics
from neurons.token_exemplars import TopWord


class ExplainedSentence(Record):
    """A sentence of the corpus on which a neuron is most active, with its tokens' activations."""

    id: str
    text: str
    split: Split
    activation: float
    tokens: tuple[TokenActivation, ...]


class DescriptorPart(Record):
    """A descriptor's part in a sum; `weight` in standard deviations of the activation."""

    descriptor_id: str
    descriptor: str
    weight: float


class CarriedTogether(Record):
    """The fewest descriptors that together explain a tail, the one that explains most first.

    `explained_variance` is a share of the activation's variance on test, None where the activation
    is constant there; `null` holds what the same procedure reaches with shuffled documents.
    """

    parts: tuple[DescriptorPart, ...]
    explained_variance: float | None
    null: tuple[float, ...]


class ExemplarGroup(Record):
    """A descriptor and how many exemplars belong to it and to none before it."""

    descriptor_id: str
    descriptor: str
    exemplars: int


class ExemplarVariety(Record):
    """The distinct groups among the strongest sentences of a tail; several of them: polysemantic.

    `covered` is the share of the `exemplars` in a group; `null` that for random documents.
    """

    exemplars: int
    groups: tuple[ExemplarGroup, ...]
    covered: float
    null: tuple[float, ...]


class ExplainedTail(Record):
    """One tail of a neuron: ranked descriptors or the reason for having none, and exemplars.

    `words` are counted among the strongest of the exemplars, most frequent first. `standings` has
    an entry for each match; None where there is no lexical baseline to compare it with.
    """

    tail: Tail
    matches: tuple[Match, ...]
    standings: tuple[LexicalStanding | None, ...] = ()
    reason: AbstentionReason | None
    together: CarriedTogether
    variety: ExemplarVariety
    words: tuple[TopWord, ...] = ()
    exemplars: tuple[ExplainedSentence, ...]


class ExplainedNeuron(Record):
    """What a neuron responds to, the positive tail first, and the neurons that move with it.

    `statistics` are of all sentences, and missing in runs of older versions. `group` is None where
    no other neuron moves with it; `groups_sought` is false where the run has too few sentences to
    tell.
    """

    neuron: str
    tails: tuple[ExplainedTail, ...]
    statistics: NeuronStatistics | None = None
    group: ExplainedGroup | None = None
    groups_sought: bool = True


class CarryingNeuron(Record):
    """A neuron's tail that has a descriptor among its matches."""

    neuron: str
    tail: Tail
    match: Match
    standing: LexicalStanding | None = None


class SetMember(Record):
    """A neuron's tail in the neuron set of a descriptor."""

    neuron: str
    tail: Tail


class NeuronSet(Record):
    """The neurons of a descriptor that tell it most surely, the surest first.

    `combined_auroc` is the AUROC on test of the mean of all `members`, `single_auroc` that of the
    first alone; 0.5 is chance. `n_neurons` counts the neurons they were taken from.
    """

    n_neurons: int
    members: tuple[SetMember, ...]
    combined_auroc: float
    single_auroc: float


class CarryingGroup(Record):
    """A neuron group one tail of whose mean has a descriptor among its matches.

    `coherence` and `null_coherence` are those of `neurons.group_records.ExplainedGroup`.
    """

    group: str
    tail: Tail
    match: Match
    members: tuple[GroupMember, ...]
    coherence: float
    null_coherence: float


class NearDescriptor(Record):
    """A descriptor near a concept, and the neurons and groups that carry it, the surest first.

    `similarity` is the cosine of the two embeddings; `n_neurons` counts all that carry it.
    `neuron_set` is None where no neuron does; `n_groups` counts all groups that carry it.
    """

    descriptor_id: str
    descriptor: str
    similarity: float
    n_neurons: int
    neurons: tuple[CarryingNeuron, ...]
    neuron_set: NeuronSet | None = None
    n_groups: int = 0
    groups: tuple[CarryingGroup, ...] = ()


class ExplainedConcept(Record):
    """The descriptors nearest to a concept in words, nearest first."""

    concept: str
    descriptors: tuple[NearDescriptor, ...]


class FiringNeuron(Record):
    """A described neuron's tail and how far a text drives it above its usual level.

    `z` counts standard deviations above the mean over the run's discover sentences, in the
    direction of the tail; `percentile` is the share of those sentences below, ties counted half.
    """

    neuron: str
    tail: Tail
    match: Match
    standing: LexicalStanding | None = None
    activation: float
    z: float
    percentile: float
    tokens: tuple[TokenActivation, ...]


class ExplainedText(Record):
    """The described neurons that a text drives furthest above their usual level, furthest first.

    `n_described` is the number of neuron tails compared; `truncated_tokens` did not fit the model.
    """

    text: str
    n_described: int
    truncated_tokens: int
    firing: tuple[FiringNeuron, ...]
