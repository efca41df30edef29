import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.measures import NAMES, Cutoff, Measure
from eval.metrics import average_precision, ndcg_at_k, precision_at_k, recall_at_k, success_at_k
from eval.score_metrics import auprc, auroc, f1, jaccard, mad, pearson, spearman

CUT = ("P", "R", "Success", "nDCG")
UNCUT = ("F1", "Jaccard", "AUROC", "AUPRC", "MAD", "Pearson", "Spearman")


@given(
    st.one_of(
        st.builds(Measure, st.sampled_from((*CUT, "MAP")), st.integers(1, 10**6)),
        st.builds(Measure, st.sampled_from((*UNCUT, "MAP"))),
    )
)
def test_what_is_written_reads_back(measure: Measure) -> None:
    again = Measure.parse(str(measure))
    assert (again, hash(again)) == (measure, hash(measure))


def test_measures_are_values() -> None:
    assert {Measure("P", 2), Measure.parse("P@2"), Measure("P", 3)} == {
        Measure("P", 3),
        Measure("P", 2),
    }
    assert [str(each) for each in (Measure("nDCG", 5), Measure("MAP"), Measure("AUROC"))] == [
        "nDCG@5",
        "MAP",
        "AUROC",
    ]
    assert set(NAMES) == {*CUT, *UNCUT, "MAP"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("P", "needs a cutoff"),
        ("P@0", "no measure"),
        ("P@02", "no measure"),
        ("P@-1", "no measure"),
        ("P@2 ", "no measure"),
        ("p@2", "unknown measure"),
        ("AUROC@2", "has no cutoff"),
        ("", "no measure"),
        ("P@2@3", "no measure"),
    ],
)
def test_what_is_no_measure_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Measure.parse(text)


def test_a_cutoff_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="is 0, expected 1 or more"):
        Measure("R", 0)


@pytest.mark.parametrize("name", NAMES)
def test_every_measure_states_its_convention_and_a_rival(name: str) -> None:
    possible = Measure(name, 2) if name in CUT else Measure(name)
    assert "Rival" in possible.definition
    assert possible.cutoff is (
        Cutoff.REQUIRED if name in CUT else Cutoff.POSSIBLE if name == "MAP" else Cutoff.NONE
    )


def test_measures_compute_what_their_functions_do() -> None:
    generator = np.random.default_rng(0)
    n_gold = generator.integers(2, 6, size=20)
    hits = generator.random((20, 5)) < 0.3
    hits &= np.cumsum(hits, axis=1) <= n_gold[:, None]
    first = hits[:, :3].sum(axis=1)
    for text, expected in (
        ("P@3", precision_at_k(first, 3)),
        ("R@3", recall_at_k(first, n_gold)),
        ("Success@3", success_at_k(hits, 3)),
        ("nDCG@3", ndcg_at_k(hits, n_gold, 3)),
        ("MAP@3", average_precision(hits, n_gold, 3)),
        ("MAP", average_precision(hits, n_gold)),
    ):
        measure = Measure.parse(text)
        assert measure.per_neuron(hits, n_gold).tolist() == expected.tolist()
        with pytest.raises(ValueError, match="use `per_neuron`"):
            measure.of(first, first)
    scores, members = generator.normal(size=20), generator.random(20) < 0.4
    others = generator.random(20) < 0.4
    for text, given_pair, function in (
        ("F1", (members, others), f1),
        ("Jaccard", (members, others), jaccard),
        ("AUROC", (scores, members), auroc),
        ("AUPRC", (scores, members), auprc),
        ("MAD", (scores, members), mad),
        ("Pearson", (scores, scores**2), pearson),
        ("Spearman", (scores, scores**2), spearman),
    ):
        measure = Measure.parse(text)
        assert measure.of(*given_pair) == function(*given_pair)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="use `of`"):
            measure.per_neuron(hits, n_gold)
