from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from descriptors.records import Descriptor
from eval.report_content import AbstentionCount, NamedCount, RunSummary, TailCoverage
from eval.report_selection import ReportInputs, best_explanations, build_content
from neurons.records import (
    AbstentionReason,
    Exemplar,
    Explanation,
    Match,
    NeuronExemplars,
    Site,
    Tail,
    TokenActivation,
)


def descriptor(identifier: str, reason: str = "") -> Descriptor:
    return Descriptor(
        id=identifier, text=f"about {identifier}", proposer="keyphrase", group="g", support=(),
        kept=not reason, reason=reason,
    )  # fmt: skip


def explanation(neuron: str, tail: Tail, *found: str, ci_low: float = 0.8) -> Explanation:
    return Explanation(
        neuron=neuron,
        tail=tail,
        matches=tuple(
            Match(
                rank=rank + 1, descriptor_id=name, descriptor=f"about {name}", auroc=0.9,
                ci_low=ci_low, ci_high=0.95, q=1.0 - ci_low, exemplar_z=4.0,
            )
            for rank, name in enumerate(found)
        ),
        reason=None if found else AbstentionReason.WEAK,
    )  # fmt: skip


@pytest.fixture
def inputs() -> ReportInputs:
    """Three kept descriptors (a, b, c), two rejected, six sentences, four neurons, both tails."""
    membership = csr_matrix(
        np.array(
            [
                [0.5, 0.9, 0.0, 0.9, 0.7, 0.0],
                [0.0, 0.0, 0.6, 0.0, 0.0, 0.0],
                [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            ]
        )
    )
    return ReportInputs(
        run=RunSummary(
            corpus="sample", model="bundled", encoder="bundled", proposers=("keyphrase",),
            sentences=6, documents=3, splits=(), layers=2, sites=(Site.FFN, Site.HIDDEN),
            neurons=4, pooling="max", seed=0, labelled=False,
        ),
        texts=["zero", "one", "two", "one", "four", "five"],
        descriptors=[
            descriptor("a"), descriptor("x", "too_long"), descriptor("b"), descriptor("c"),
            descriptor("y", "near_duplicate"), descriptor("z", "near_duplicate"),
        ],
        membership=membership,
        vectors=np.eye(3, dtype=np.float32),
        explanations=[
            explanation("L0.ffn.0", Tail.POSITIVE, "a", "b"),
            explanation("L0.ffn.0", Tail.NEGATIVE, "a"),
            explanation("L1.ffn.5", Tail.POSITIVE, "b", "a", ci_low=0.85),
            explanation("L1.ffn.5", Tail.NEGATIVE),
            explanation("L1.hidden.2", Tail.POSITIVE, "a"),
            explanation("L1.hidden.2", Tail.NEGATIVE),
            explanation("L0.hidden.2", Tail.POSITIVE),
        ],
        exemplars=[
            NeuronExemplars(
                neuron="L1.ffn.5",
                tail=Tail.POSITIVE,
                exemplars=tuple(
                    Exemplar(
                        row=row,
                        activation=level,
                        tokens=(TokenActivation(start=0, end=3, activation=level),),
                    )
                    for row, level in ((2, 4.0), (1, 1.0))
                ),
            )
        ],
    )  # fmt: skip


def test_descriptors_count_members_and_distinct_neurons(inputs: ReportInputs) -> None:
    entries = build_content(inputs).descriptors
    assert [(entry.text, entry.sentences, entry.neurons) for entry in entries] == [
        ("about a", 4, 3),
        ("about b", 1, 2),
        ("about c", 0, 0),
    ]


def test_examples_are_the_surest_members_each_text_once(inputs: ReportInputs) -> None:
    entries = build_content(inputs).descriptors
    assert [entry.examples for entry in entries] == [("one", "four", "zero"), ("two",), ()]


def test_counts_of_proposals_tails_and_reasons(inputs: ReportInputs) -> None:
    content = build_content(inputs)
    assert content.proposed == 6
    assert content.rejections == (NamedCount("near_duplicate", 2), NamedCount("too_long", 1))
    assert content.neurons_described == 3
    assert content.coverage == (
        TailCoverage(Tail.POSITIVE, 3, 4),
        TailCoverage(Tail.NEGATIVE, 1, 3),
    )
    assert [item for item in content.abstentions if item.count] == [
        AbstentionCount(AbstentionReason.WEAK, 3)
    ]


def test_heat_maps_count_a_neuron_once_for_a_descriptor(inputs: ReportInputs) -> None:
    ffn, hidden = build_content(inputs).heat_maps
    assert [(row.descriptor, row.counts) for row in ffn.rows] == [
        ("about a", (1, 0)),
        ("about b", (0, 1)),
    ]
    assert ffn.described == (1, 1)
    assert [(row.descriptor, row.counts, row.total) for row in hidden.rows] == [
        ("about a", (0, 1), 1)
    ]
    assert hidden.left_out == 0


def test_heat_map_says_how_many_descriptors_it_leaves_out(inputs: ReportInputs) -> None:
    many = [explanation(f"L0.ffn.{unit}", Tail.POSITIVE, f"d{unit:02}") for unit in range(43)]
    (ffn, _) = build_content(replace(inputs, explanations=many)).heat_maps
    assert (len(ffn.rows), ffn.left_out) == (25, 18)


def test_best_neurons_come_surest_first_and_few_for_one_descriptor(inputs: ReportInputs) -> None:
    best = best_explanations(inputs.explanations)
    assert [(item.neuron, item.tail) for item in best] == [
        ("L1.ffn.5", Tail.POSITIVE),
        ("L0.ffn.0", Tail.POSITIVE),
        ("L0.ffn.0", Tail.NEGATIVE),
    ]
    assert len(best_explanations(inputs.explanations, limit=1)) == 1
    assert len(best_explanations(inputs.explanations, per_descriptor=3)) == 4


def test_exemplars_share_one_scale_and_missing_ones_are_empty(inputs: ReportInputs) -> None:
    first, second, *_ = build_content(inputs).best
    assert [item.segments[0].strength for item in first.exemplars] == [1.0, 0.0]
    assert [item.segments[0].text for item in first.exemplars] == ["two", "one"]
    assert second.exemplars == ()


def test_order_of_explanations_does_not_matter(inputs: ReportInputs) -> None:
    turned = replace(inputs, explanations=list(reversed(inputs.explanations)))
    assert build_content(turned) == build_content(inputs)


def test_inputs_that_do_not_fit_are_refused(inputs: ReportInputs) -> None:
    with pytest.raises(ValueError, match=r"expected \(3, 5\)"):
        build_content(replace(inputs, texts=inputs.texts[:5]))
    with pytest.raises(ValueError, match="2 vectors"):
        build_content(replace(inputs, vectors=inputs.vectors[:2]))
    beyond = [explanation("L2.ffn.0", Tail.POSITIVE, "a")]
    with pytest.raises(ValueError, match=r"L2\.ffn\.0 is beyond the 2 layers"):
        build_content(replace(inputs, explanations=beyond))
