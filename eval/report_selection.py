"""How the content of a report is chosen from the results of a run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from descriptors.contributions import Contribution, contributions
from descriptors.records import Descriptor
from eval.figures import descriptor_map
from eval.highlighting import Scale, highlight, shorten
from eval.lexical import LexicalBaseline, LexicalStanding
from eval.null_distributions import NullDistributions
from eval.plot_histograms import HistogramSet, lexical_histograms
from eval.records import Figure
from eval.report_content import (
    AbstentionCount,
    DescriptorEntry,
    ExplainedNeuron,
    HeatMap,
    HeatRow,
    HighlightedSentence,
    NamedCount,
    ReportContent,
    RunSummary,
    TailCoverage,
)
from indexer.arrays import DoubleArray, FloatArray
from neurons.records import (
    AbstentionReason,
    Exemplar,
    Explanation,
    NeuronExemplars,
    NeuronId,
    Site,
    Tail,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BEST_NEURONS = 40
BEST_PER_DESCRIPTOR = 2
EXEMPLARS_SHOWN = 5
EXAMPLES_SHOWN = 3
HEAT_MAP_DESCRIPTORS = 25
LONGEST_SENTENCE = 280


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInputs:
    """The results of a run that a report is made from.

    Attributes:
        run: what was run on what.
        texts: the sentences, by corpus row.
        descriptors: all proposals, kept and rejected.
        membership: scores of the kept descriptors, in order (`n_kept, n_sentences`).
        vectors: embeddings of the kept descriptors, in order (`n_kept, dim`).
        explanations: one for each neuron and tail.
        exemplars: at least those of `best_explanations`.
        figures: everything the evaluation found.
        nulls: the content of its `controls.json`, if it has one.
        lexical: the baseline of random weights that matches are compared with, if it has one.
    """

    run: RunSummary
    texts: Sequence[str]
    descriptors: Sequence[Descriptor]
    membership: csr_matrix
    vectors: FloatArray
    explanations: Sequence[Explanation]
    exemplars: Sequence[NeuronExemplars]
    figures: Sequence[Figure] = ()
    nulls: NullDistributions | None = None
    lexical: LexicalBaseline | None = None


def build_content(inputs: ReportInputs) -> ReportContent:
    """Choose and count what a report shows; the same inputs give the same content.

    Raises:
        ValueError: membership, vectors and kept descriptors differ in number, membership and
            texts differ in sentences, or an explanation names a layer the run does not have.
    """
    kept = [descriptor for descriptor in inputs.descriptors if descriptor.kept]
    expected = (len(kept), len(inputs.texts))
    if inputs.membership.shape != expected or len(inputs.vectors) != len(kept):
        raise ValueError(
            f"membership is {inputs.membership.shape} with {len(inputs.vectors)} vectors, expected "
            f"{expected} for {len(kept)} kept descriptors"
        )
    rejected = Counter(item.reason for item in inputs.descriptors if not item.kept)
    reasons = Counter(item.reason for item in inputs.explanations if item.reason is not None)
    described = [item for item in inputs.explanations if item.matches]
    return ReportContent(
        run=inputs.run,
        proposed=len(inputs.descriptors),
        rejections=tuple(NamedCount(*pair) for pair in _by_count(rejected)),
        contributions=_contributions(inputs.descriptors),
        descriptors=_entries(kept, inputs),
        neurons_described=len({item.neuron for item in described}),
        coverage=tuple(_coverage(tail, inputs.explanations) for tail in Tail),
        heat_maps=tuple(_heat_map(site, described, inputs.run.layers) for site in inputs.run.sites),
        best=_with_exemplars(best_explanations(described), inputs),
        abstentions=tuple(AbstentionCount(reason, reasons[reason]) for reason in AbstentionReason),
        figures=tuple(inputs.figures),
        nulls=inputs.nulls,
        first_matches=_first_matches(inputs),
    )


def best_explanations(
    explanations: Sequence[Explanation],
    *,
    limit: int = BEST_NEURONS,
    per_descriptor: int = BEST_PER_DESCRIPTOR,
) -> tuple[Explanation, ...]:
    """The explanations whose first match is surest, with few for any one descriptor.

    Ordered by the evidence of the first match; equals by address.
    """
    described = sorted(
        (item for item in explanations if item.matches),
        key=lambda item: (
            item.matches[0].evidence,
            NeuronId.parse(item.neuron),
            item.tail,
        ),
    )
    used: Counter[str] = Counter()
    best: list[Explanation] = []
    for item in described:
        first = item.matches[0].descriptor_id
        if len(best) < limit and used[first] < per_descriptor:
            used[first] += 1
            best.append(item)
    return tuple(best)


def _contributions(descriptors: Sequence[Descriptor]) -> tuple[Contribution, ...]:
    found = contributions(descriptors)
    return tuple(found) if len(found) > 1 else ()


def _by_count(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))


def _entries(kept: list[Descriptor], inputs: ReportInputs) -> tuple[DescriptorEntry, ...]:
    carriers: dict[str, set[str]] = defaultdict(set)
    for item in inputs.explanations:
        for match in item.matches:
            carriers[match.descriptor_id].add(item.neuron)
    places: DoubleArray = descriptor_map(inputs.vectors)
    entries = [
        DescriptorEntry(
            descriptor.text,
            descriptor.proposer,
            int(inputs.membership.indptr[row + 1] - inputs.membership.indptr[row]),
            len(carriers[descriptor.id]),
            _examples(row, inputs),
            float(places[row, 0]),
            float(places[row, 1]),
        )
        for row, descriptor in enumerate(kept)
    ]
    return tuple(sorted(entries, key=lambda entry: (-entry.neurons, -entry.sentences, entry.text)))


def _examples(row: int, inputs: ReportInputs) -> tuple[str, ...]:
    """The member sentences with the highest scores, each text once."""
    members = slice(inputs.membership.indptr[row], inputs.membership.indptr[row + 1])
    sentences = inputs.membership.indices[members]
    order = np.lexsort((sentences, -inputs.membership.data[members]))
    texts: dict[str, None] = {}
    for position in order:
        texts[shorten(inputs.texts[int(sentences[position])], LONGEST_SENTENCE)] = None
        if len(texts) == EXAMPLES_SHOWN:
            break
    return tuple(texts)


def _coverage(tail: Tail, explanations: Sequence[Explanation]) -> TailCoverage:
    on_tail = [item for item in explanations if item.tail is tail]
    return TailCoverage(tail, sum(1 for item in on_tail if item.matches), len(on_tail))


def _heat_map(site: Site, described: Sequence[Explanation], layers: int) -> HeatMap:
    firsts: dict[str, set[NeuronId]] = defaultdict(set)
    neurons: set[NeuronId] = set()
    for item in described:
        neuron = NeuronId.parse(item.neuron)
        if neuron.site is not site:
            continue
        if neuron.layer >= layers:
            raise ValueError(f"{neuron} is beyond the {layers} layers of the run")
        neurons.add(neuron)
        firsts[item.matches[0].descriptor].add(neuron)
    ranked = sorted(firsts.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return HeatMap(
        site,
        _per_layer(neurons, layers),
        tuple(
            HeatRow(text, _per_layer(found, layers))
            for text, found in ranked[:HEAT_MAP_DESCRIPTORS]
        ),
        max(0, len(ranked) - HEAT_MAP_DESCRIPTORS),
    )


def _per_layer(neurons: set[NeuronId], layers: int) -> tuple[int, ...]:
    counts = Counter(neuron.layer for neuron in neurons)
    return tuple(counts[layer] for layer in range(layers))


def _with_exemplars(
    best: Sequence[Explanation], inputs: ReportInputs
) -> tuple[ExplainedNeuron, ...]:
    known = {(item.neuron, item.tail): item.exemplars for item in inputs.exemplars}
    return tuple(
        ExplainedNeuron(
            item,
            _highlighted(item.tail, known.get((item.neuron, item.tail), ()), inputs.texts),
            _standings(item, inputs.lexical),
        )
        for item in best
    )


def _standings(
    item: Explanation, lexical: LexicalBaseline | None
) -> tuple[LexicalStanding | None, ...]:
    if lexical is None:
        return (None,) * len(item.matches)
    neuron = NeuronId.parse(item.neuron)
    return tuple(lexical.standing(neuron, item.tail, match.auroc) for match in item.matches)


def _first_matches(inputs: ReportInputs) -> tuple[HistogramSet, ...]:
    if inputs.lexical is None:
        return ()
    return lexical_histograms(inputs.lexical.record, inputs.explanations)


def _highlighted(
    tail: Tail, exemplars: Sequence[Exemplar], texts: Sequence[str]
) -> tuple[HighlightedSentence, ...]:
    shown = exemplars[:EXEMPLARS_SHOWN]
    scale = Scale.over(tail, (token.activation for item in shown for token in item.tokens))
    return tuple(
        HighlightedSentence(
            item.activation,
            highlight(texts[item.row], item.tokens, scale, max_characters=LONGEST_SENTENCE),
        )
        for item in shown
    )
