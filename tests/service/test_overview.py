"""Counts and choices of the summary, on explanations that can be counted by hand."""

from neurons.records import AbstentionReason, Explanation, Match, Site, Tail
from service.overview import best_neurons, tail_counts


def described(
    neuron: str,
    descriptor: str,
    exemplar_z: float,
    tail: Tail = Tail.POSITIVE,
    auroc: float = 0.8,
) -> Explanation:
    match = Match(
        rank=1,
        descriptor_id=descriptor,
        descriptor=descriptor,
        auroc=auroc,
        ci_low=auroc,
        ci_high=auroc,
        q=0.0,
        exemplar_z=exemplar_z,
    )
    return Explanation(neuron=neuron, tail=tail, matches=(match,))


def silent(neuron: str, reason: AbstentionReason, tail: Tail = Tail.POSITIVE) -> Explanation:
    return Explanation(neuron=neuron, tail=tail, reason=reason)


EXPLANATIONS = [
    described("L0.ffn.0", "price", 3.0),
    silent("L0.ffn.0", AbstentionReason.WEAK, Tail.NEGATIVE),
    described("L0.ffn.1", "price", 5.0),
    described("L0.hidden.0", "delay", 4.0),
    silent("L0.ffn.2", AbstentionReason.NO_MATCH),
    silent("L0.ffn.3", AbstentionReason.NO_MATCH),
    silent("L0.ffn.4", AbstentionReason.CONSTANT),
]


def test_tails_are_counted_by_site_and_reason() -> None:
    ffn, negative, hidden = tail_counts(EXPLANATIONS)
    assert (ffn.site, ffn.tail, ffn.neurons, ffn.described) == (Site.FFN, Tail.POSITIVE, 5, 2)
    assert ffn.abstentions == {AbstentionReason.NO_MATCH: 2, AbstentionReason.CONSTANT: 1}
    assert (negative.tail, negative.described, negative.neurons) == (Tail.NEGATIVE, 0, 1)
    assert (hidden.site, hidden.described) == (Site.HIDDEN, 1)
    for counts in (ffn, negative, hidden):
        assert counts.described + sum(counts.abstentions.values()) == counts.neurons


def test_best_neurons_name_each_descriptor_once() -> None:
    assert [each.neuron for each in best_neurons(EXPLANATIONS, 5)] == ["L0.ffn.1", "L0.hidden.0"]
    assert [each.neuron for each in best_neurons(EXPLANATIONS, 1)] == ["L0.ffn.1"]


def test_a_lucky_test_split_makes_no_neuron_the_best() -> None:
    lucky = described("L0.ffn.9", "price", 2.0, auroc=1.0)
    assert best_neurons([lucky, *EXPLANATIONS], 1) == best_neurons(EXPLANATIONS, 1)
