"""A run at a glance, counted from its files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from descriptors.contributions import Contribution, contributions
from descriptors.records import Split
from indexer.records import Record
from neurons.records import AbstentionReason, Explanation, Match, NeuronId, Site, Tail


class DescriptorCounts(Record):
    """How many descriptors were proposed and kept, and why the others were not.

    `contributions` has a line for each proposer.
    """

    proposed: int
    kept: int
    rejections: dict[str, int]
    contributions: tuple[Contribution, ...]


class TailCounts(Record):
    """How many tails of one site's neurons are described, and why the others are not."""

    site: Site
    tail: Tail
    neurons: int
    described: int
    abstentions: dict[AbstentionReason, int]


class BestNeuron(Record):
    """A neuron's tail and its first match."""

    neuron: str
    tail: Tail
    match: Match


class RunOverview(Record):
    """What a run has read, proposed and described; `best` holds the highest AUROC first."""

    sentences: dict[Split, int]
    descriptors: DescriptorCounts
    tails: tuple[TailCounts, ...]
    best: tuple[BestNeuron, ...]


def overview_of(run: Path, n_best: int = 10) -> RunOverview:
    """Count what lies in the folder `run`.

    Raises:
        RunError: a file is missing or damaged.
    """
    from descriptors.corpus import read_corpus
    from neurons.explanation_file import read_explanations

    corpus = read_corpus(run / "corpus.parquet")
    explanations = read_explanations(run / "explanations.parquet")
    return RunOverview(
        sentences={split: len(corpus.rows(split)) for split in Split},
        descriptors=descriptor_counts(run),
        tails=tail_counts(explanations),
        best=best_neurons(explanations, n_best),
    )


def descriptor_counts(run: Path) -> DescriptorCounts:
    """Count the descriptors of the folder `run`, rejections in descending number.

    Raises:
        RunError: the file is missing or damaged.
    """
    from descriptors.catalog import read_descriptors

    descriptors = read_descriptors(run / "descriptors.parquet")
    reasons = Counter(descriptor.reason for descriptor in descriptors if not descriptor.kept)
    return DescriptorCounts(
        proposed=len(descriptors),
        kept=sum(descriptor.kept for descriptor in descriptors),
        rejections=dict(reasons.most_common()),
        contributions=tuple(contributions(descriptors)),
    )


def tail_counts(explanations: list[Explanation]) -> tuple[TailCounts, ...]:
    """Count described tails and abstentions by site and tail."""
    groups: dict[tuple[Site, Tail], list[Explanation]] = {}
    for explanation in explanations:
        site = NeuronId.parse(explanation.neuron).site
        groups.setdefault((site, explanation.tail), []).append(explanation)
    return tuple(
        TailCounts(
            site=site,
            tail=tail,
            neurons=len(group),
            described=sum(bool(explanation.matches) for explanation in group),
            abstentions=dict(
                Counter(each.reason for each in group if each.reason is not None).most_common()
            ),
        )
        for (site, tail), group in sorted(groups.items())
    )


def best_neurons(explanations: list[Explanation], n_best: int) -> tuple[BestNeuron, ...]:
    """The described tails whose first descriptor is surest, one a descriptor."""
    described = [explanation for explanation in explanations if explanation.matches]
    described.sort(key=lambda explanation: explanation.matches[0].evidence)
    first: dict[str, Explanation] = {}
    for explanation in described:
        first.setdefault(explanation.matches[0].descriptor_id, explanation)
    return tuple(
        BestNeuron(neuron=each.neuron, tail=each.tail, match=each.matches[0])
        for each in list(first.values())[:n_best]
    )
