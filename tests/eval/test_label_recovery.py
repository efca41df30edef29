"""The whole protocol on planted neurons, where every figure can be worked out by hand."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.metrics import f1_score, roc_auc_score

from descriptors.corpus import Labels
from eval.label_recovery import (
    LabelRecoverySettings,
    LabelRecoveryTask,
    Population,
    explained_rankings,
    judged_labels,
    rankings_of,
    recover_labels,
    shuffled_documents,
)
from eval.metrics import Ranking
from eval.records import Figure
from eval.variants import Variant
from indexer.arrays import DoubleArray
from neurons.explanation_file import read_explanations, write_explanations
from neurons.matching import Matches, MatchingSettings, match
from neurons.records import NeuronId, Site
from neurons.split_rows import Activations, SplitRows

N_SENTENCES = 480
N_TOPICS = 8
N_NEURONS = 8
FFN = Population("ffn", np.arange(4))
HIDDEN = Population("hidden", np.arange(4, 8))
TOPIC = np.arange(N_SENTENCES) // 2 % N_TOPICS
"""Two sentences a document, all documents of a kind in turn."""

HAPPY = np.arange(N_SENTENCES) // 96 % 2 == 0
SETTINGS = MatchingSettings(null_neurons=8, null_repeats=8)

# What each neuron responds to: topics, and happiness for the last; neurons 3 and 5 to nothing.
PLANTED = {0: {0}, 1: {1}, 2: {0, 5}, 4: {2, 3}, 6: {4}}
NEGATED = 6
HAPPY_NEURON = 7


def rows() -> SplitRows:
    """Half, a sixth and a third of the documents; every split holds all topics equally often."""
    block = np.arange(N_SENTENCES) // 16 % 6
    return SplitRows(
        discover=np.flatnonzero(block < 3),
        validation=np.flatnonzero(block == 3),
        test=np.flatnonzero(block > 3),
        documents=np.arange(N_SENTENCES) // 2,
    )


def planted_activations() -> DoubleArray:
    activations = np.random.default_rng(3).uniform(size=(N_SENTENCES, N_NEURONS))
    for neuron, topics in PLANTED.items():
        activations[:, neuron] += 5.0 * np.isin(TOPIC, list(topics))
    activations[:, NEGATED] *= -1.0
    activations[:, HAPPY_NEURON] += 5.0 * HAPPY
    return activations


def indicator(sets: list[NDArray[np.bool_]]) -> csr_matrix:
    return csr_matrix(np.array(sets, dtype=np.float64))


def topics() -> csr_matrix:
    return indicator([topic == TOPIC for topic in range(N_TOPICS)])


def labels() -> Labels:
    """Eight topics, a ninth with one sentence a split, and two tones: sorted by name."""
    rare = np.zeros(N_SENTENCES, dtype=bool)
    rare[[own[5] for own in (rows().discover, rows().validation, rows().test)]] = True
    names = ("tone:angry", "tone:happy", *(f"topic:{topic}" for topic in range(8)), "topic:rare")
    sets = [~HAPPY, HAPPY, *(topic == TOPIC for topic in range(8)), rare]
    return Labels(names, indicator(sets).astype(np.bool_))


def as_read(activations: DoubleArray) -> Activations:
    def blocks(n_units: int) -> Iterator[DoubleArray]:
        for first in range(0, activations.shape[1], n_units):
            yield activations[:, first : first + n_units]

    return Activations(activations.shape[1], len(activations), blocks)


def matched(activations: DoubleArray, membership: csr_matrix) -> Matches:
    return match(as_read(activations), membership, rows(), SETTINGS, seed=0)


def task(activations: DoubleArray, membership: csr_matrix) -> LabelRecoveryTask:
    return LabelRecoveryTask(
        activations=as_read(activations),
        membership=membership,
        rankings=rankings_of(matched(activations, membership)),
        populations=(FFN, HIDDEN),
        labels=labels(),
        rows=rows(),
        settings=SETTINGS,
        seed=0,
    )


def abstaining() -> Ranking:
    return Ranking(np.zeros((N_NEURONS, 5), np.int64), np.zeros(N_NEURONS, np.int64))


def ranking(chosen: dict[int, list[int]]) -> Ranking:
    """Descriptors by neuron, best first; all others abstain."""
    empty = abstaining()
    for neuron, own in chosen.items():
        empty.descriptors[neuron, : len(own)] = own
        empty.lengths[neuron] = len(own)
    return Ranking(empty.descriptors, empty.lengths)


@pytest.fixture(scope="module")
def perfect() -> list[Figure]:
    """The topics themselves as descriptors, matched for real."""
    return recover_labels(task(planted_activations(), topics()))


def only(figures: list[Figure], variant: str, metric: str, k: int | None, facet: str) -> Figure:
    asked = (variant, metric, k, facet)
    found = [each for each in figures if (each.variant, each.metric, each.k, each.facet) == asked]
    assert len(found) == 1, asked
    return found[0]


@pytest.mark.parametrize(
    ("where", "metric", "k", "value", "n"),
    [
        # Gold at 0.9 by the positive tail: {0}, {1}, {0, 5} and none of the FFN neurons.
        ("tail=+ site=ffn", "P", 1, 1.0, 3),
        ("tail=+ site=ffn", "R", 1, (1 + 1 + 1 / 2) / 3, 3),
        ("tail=+ site=ffn", "R_ceiling", 1, (1 + 1 + 1 / 2) / 3, 3),
        ("tail=+ site=ffn", "gold_labels", 1, (1 + 1 + 2) / 3, 3),
        ("tail=+ site=ffn", "P", 2, 1.0, 1),
        ("tail=+ site=ffn", "R", 2, 1.0, 1),
        # Of the hidden neurons only the one for two topics, and by the other tail the negated one.
        ("tail=+ site=hidden", "P", 1, 1.0, 1),
        ("tail=+ site=hidden", "P", 2, 1.0, 1),
        ("tail=+ site=hidden", "R", 2, 1.0, 1),
        ("tail=- site=hidden", "P", 1, 1.0, 1),
        ("tail=- site=hidden", "R", 1, 1.0, 1),
        ("tail=- site=ffn", "P", 1, None, 0),
        ("tail=- site=hidden", "P", 2, None, 0),
    ],
)
def test_the_labels_as_descriptors_find_every_planted_label(
    perfect: list[Figure], where: str, metric: str, k: int, value: float | None, n: int
) -> None:
    found = only(perfect, f"tau=0.9 {where}", metric, k, "topic")
    assert (found.value, found.n) == (pytest.approx(value), n)
    assert (found.protocol, found.split) == ("label_recovery", "test")
    if metric in {"P", "R"}:
        upper = only(perfect, f"tau=0.9 upper_bound {where}", metric, k, "topic")
        assert (upper.value, upper.n) == (found.value, n)
        if n:
            assert found.null == 0.0
            assert found.baseline is not None
            assert found.baseline < 0.7


def test_the_commonest_descriptors_are_the_baseline(perfect: list[Figure]) -> None:
    """All topics are equally common, so the first is predicted: right for neurons 0 and 2."""
    found = only(perfect, "tau=0.9 tail=+ site=ffn", "P", 1, "topic")
    assert found.baseline == pytest.approx(2 / 3)


def test_described_tails_are_counted_for_each_population(perfect: list[Figure]) -> None:
    shares = {
        where: only(perfect, f"every_neuron {where}", "described", None, "topic")
        for where in ("tail=+ site=ffn", "tail=+ site=hidden", "tail=- site=hidden")
    }
    assert [each.value for each in shares.values()] == [3 / 4, 1 / 4, 1 / 4]
    assert [each.n for each in shares.values()] == [4, 4, 4]
    assert all(each.null == 0.0 for each in shares.values())


def test_facets_are_judged_separately(perfect: list[Figure]) -> None:
    """No topic means a tone, so the neuron for happiness is a miss that the upper bound is not."""
    where = "tail=+ site=hidden"
    for metric in ("P", "R"):
        found = only(perfect, f"tau=0.9 {where}", metric, 1, "tone")
        assert (found.value, found.null, found.baseline, found.n) == (0.0, 0.0, 0.0, 1)
        upper = only(perfect, f"tau=0.9 upper_bound {where}", metric, 1, "tone")
        assert (upper.value, upper.n) == (1.0, 1)
    assert only(perfect, "tau=0.9 tail=+ site=ffn", "P", 1, "tone").n == 0
    # The tones are each other's opposite.
    angry = only(perfect, "tau=0.9 upper_bound tail=- site=hidden", "P", 1, "tone")
    assert (angry.value, angry.n) == (1.0, 1)


def test_labels_too_rare_are_counted_as_not_judged(perfect: list[Figure]) -> None:
    topic = only(perfect, "every_label", "judged_labels", None, "topic")
    tone = only(perfect, "every_label", "judged_labels", None, "tone")
    assert (topic.value, topic.n) == (8.0, 9)
    assert (tone.value, tone.n) == (2.0, 2)
    np.testing.assert_array_equal(judged_labels(labels(), rows(), SETTINGS), [True] * 10 + [False])


def test_hits_of_a_given_ranking_by_hand() -> None:
    """Right, wrong, the same meaning twice, right at rank 2 only, and an abstention."""
    membership = indicator([*(topic == TOPIC for topic in range(8)), TOPIC == 0, TOPIC < 6])
    twice, vague = 8, 9
    told = ranking({0: [0], 1: [vague, 1], 2: [0, twice, 5], 4: [5]})
    given_task = replace(
        task(planted_activations(), membership), rankings=(told, ranking({6: [0, 4]}))
    )
    figures = recover_labels(given_task)
    for where, k, precision, recall, n in (
        ("tail=+ site=ffn", 1, (1 + 0 + 1) / 3, (1 + 0 + 1 / 2) / 3, 3),
        ("tail=+ site=ffn", 2, 1 / 2, 1 / 2, 1),
        ("tail=+ site=hidden", 1, 0.0, 0.0, 1),
        ("tail=- site=hidden", 1, 0.0, 0.0, 1),
    ):
        found = only(figures, f"tau=0.9 {where}", "P", k, "topic")
        assert (found.value, found.n) == (pytest.approx(precision), n)
        assert only(figures, f"tau=0.9 {where}", "R", k, "topic").value == pytest.approx(recall)
    described = only(figures, "every_neuron tail=+ site=ffn", "described", None, "topic")
    assert described.value == 3 / 4


def test_abstentions_are_misses_in_the_headline_only() -> None:
    told = replace(
        task(planted_activations(), topics()), rankings=(ranking({0: [0]}), abstaining())
    )
    figures = recover_labels(told)
    assert only(figures, "tau=0.9 tail=+ site=ffn", "P", 1, "topic").value == pytest.approx(1 / 3)
    described = only(figures, "tau=0.9 described tail=+ site=ffn", "P", 1, "topic")
    assert (described.value, described.n) == (1.0, 1)
    coverage = only(figures, "tau=0.9 described tail=+ site=ffn", "coverage", 1, "topic")
    assert (coverage.value, coverage.n) == (pytest.approx(1 / 3), 3)


def test_descriptors_of_other_sentences_find_nothing() -> None:
    shuffled = shuffled_documents(topics(), rows(), seed=9)
    figures = recover_labels(task(planted_activations(), shuffled))
    for where in ("tail=+ site=ffn", "tail=+ site=hidden", "tail=- site=hidden"):
        assert only(figures, f"tau=0.9 {where}", "P", 1, "topic").value == 0.0
        assert only(figures, f"tau=0.9 upper_bound {where}", "P", 1, "topic").value == 1.0


def test_negated_activations_swap_the_tails(perfect: list[Figure]) -> None:
    mirrored = recover_labels(task(-planted_activations(), topics()))
    swap = {"tail=+": "tail=-", "tail=-": "tail=+"}

    def swapped(figure: Figure) -> Figure:
        words = [swap.get(word, word) for word in figure.variant.split()]
        return figure.model_copy(update={"variant": " ".join(words)})

    def by_name(figures: list[Figure]) -> list[Figure]:
        return sorted(
            figures, key=lambda each: (each.facet, each.variant, each.metric, each.k or 0)
        )

    assert by_name([swapped(figure) for figure in mirrored]) == by_name(perfect)
    assert mirrored != perfect


def test_the_same_task_gives_the_same_figures(perfect: list[Figure]) -> None:
    assert recover_labels(task(planted_activations(), topics())) == perfect


def test_blocks_do_not_matter(perfect: list[Figure], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurons.split_rows.block_units", lambda _: 3)
    assert recover_labels(task(planted_activations(), topics())) == perfect


def test_a_population_of_all_neurons_pools_them(perfect: list[Figure]) -> None:
    together = replace(
        task(planted_activations(), topics()),
        populations=(Population("all", np.arange(N_NEURONS)),),
    )
    found = only(recover_labels(together), "tau=0.9 tail=+ site=all", "R", 1, "topic")
    parts = [
        only(perfect, f"tau=0.9 tail=+ site={site}", "R", 1, "topic") for site in ("ffn", "hidden")
    ]
    assert found.n == sum(part.n for part in parts) == 4
    assert found.value == pytest.approx(sum((part.value or 0) * part.n for part in parts) / 4)


def test_without_a_label_in_every_split_only_that_is_said() -> None:
    sets = [np.zeros(N_SENTENCES, dtype=bool), np.ones(N_SENTENCES, dtype=bool)]
    sets[0][rows().discover] = True
    useless = Labels(("everything", "half:discover"), indicator(sets[::-1]).astype(np.bool_))
    figures = recover_labels(replace(task(planted_activations(), topics()), labels=useless))
    said = [(each.facet, each.metric, each.value, each.n) for each in figures]
    assert said == [("half", "judged_labels", 0.0, 1), ("label", "judged_labels", 0.0, 1)]


def test_without_descriptors_everything_is_a_miss() -> None:
    nothing = csr_matrix((0, N_SENTENCES))
    figures = recover_labels(task(planted_activations(), nothing))
    found = only(figures, "tau=0.9 tail=+ site=ffn", "P", 1, "topic")
    assert (found.value, found.null, found.baseline, found.n) == (0.0, 0.0, 0.0, 3)
    assert only(figures, "tau=0.9 upper_bound tail=+ site=ffn", "P", 1, "topic").value == 1.0


def test_the_written_explanations_hold_the_rankings_of_the_matches(tmp_path: Path) -> None:
    vague = indicator([*(topic == TOPIC for topic in range(8)), TOPIC < 2])
    matches = matched(planted_activations(), vague)
    assert len(matches.neuron) >= 6
    names = [(f"d{place}", f"descriptor {place}") for place in range(9)]
    neurons = [NeuronId(0, Site.FFN, unit) for unit in range(N_NEURONS)]
    path = tmp_path / "explanations.parquet"
    write_explanations(path, matches, neurons, names)
    explanations = read_explanations(path)
    for n_ranks in (1, 2, 5):
        read = explained_rankings(explanations, [identifier for identifier, _ in names], n_ranks)
        for found, expected in zip(read, rankings_of(matches, n_ranks), strict=True):
            np.testing.assert_array_equal(found.lengths, expected.lengths)
            np.testing.assert_array_equal(found.descriptors, expected.descriptors)
    assert [int(each.lengths.sum()) > 0 for each in rankings_of(matches)] == [True, True]
    with pytest.raises(ValueError, match="is not in the catalog"):
        explained_rankings(explanations, ["d7", "d8"])


def oracle(
    area: DoubleArray, meant: list[set[int]], told: Ranking, k: int, tau: float
) -> list[tuple[float, float]]:
    """Precision and recall of every neuron with k gold labels or more, counted one by one."""
    found = []
    for neuron in range(area.shape[1]):
        gold = {int(label) for label in np.flatnonzero(area[:, neuron] >= tau)}
        if len(gold) < k:
            continue
        shown = told.descriptors[neuron, : min(k, told.lengths[neuron])]
        named: set[int] = set().union(*(meant[place] for place in shown))
        found.append((len(named & gold) / k, len(named & gold) / len(gold)))
    return found


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_figures_agree_with_scikit_learn_and_counting(seed: int) -> None:
    generator = np.random.default_rng(seed)
    topic_sets = topics().toarray() > 0
    # Descriptors that are topics with some sentences flipped: some mean one, some none.
    flips = generator.random((12, N_SENTENCES)) < generator.uniform(0.0, 0.3, (12, 1))
    members = topic_sets[generator.integers(0, N_TOPICS, 12)] ^ flips
    activations = planted_activations() + generator.normal(size=(N_SENTENCES, N_NEURONS))
    chosen = {neuron: generator.permutation(12)[:4].tolist() for neuron in (0, 1, 2, 4, 5, 6)}
    told = ranking(chosen)
    given_task = replace(
        task(activations, indicator(list(members))),
        rankings=(told, told),
        populations=(Population("all", np.arange(N_NEURONS)),),
    )
    figures = recover_labels(given_task)
    own = rows()
    scores = np.array(
        [[f1_score(t[own.validation], m[own.validation]) for t in topic_sets] for m in members]
    )
    meant = [{int(row.argmax())} if row.max() >= 0.5 else set() for row in scores]
    for tail, sign in (("+", 1.0), ("-", -1.0)):
        area = np.array(
            [
                [roc_auc_score(t[own.test], sign * column) for column in activations[own.test].T]
                for t in topic_sets
            ]
        )
        for k in (1, 2):
            expected = np.array(oracle(area, meant, told, k, 0.8)).reshape(-1, 2)
            for place, metric in enumerate(("P", "R")):
                found = only(figures, f"tau=0.8 tail={tail} site=all", metric, k, "topic")
                assert found.n == len(expected)
                mean = expected[:, place].mean() if len(expected) else None
                assert found.value == pytest.approx(mean)


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_shuffling_deals_whole_documents_within_a_split(seed: int) -> None:
    generator = np.random.default_rng(seed)
    membership = indicator(list(generator.random((3, N_SENTENCES)) < 0.3))
    shuffled = shuffled_documents(membership, rows(), seed)
    for own in (rows().discover, rows().validation, rows().test):
        # The sentences of a document are neighbours, so documents are blocks of two columns.
        before = membership[:, own].toarray().reshape(3, -1, 2)
        after = shuffled[:, own].toarray().reshape(3, -1, 2)
        dealt = sorted(after[:, document].tolist() for document in range(after.shape[1]))
        assert dealt == sorted(before[:, document].tolist() for document in range(before.shape[1]))
        assert (after != before).any()


@given(st.data())
def test_judged_labels_have_what_the_matcher_asks_for_in_every_split(
    data: st.DataObject,
) -> None:
    splits = [np.arange(0, 5), np.arange(5, 9), np.arange(9, 12)]
    own = SplitRows(*splits, documents=np.arange(12))
    members = np.array(
        data.draw(
            st.lists(st.lists(st.booleans(), min_size=12, max_size=12), min_size=1, max_size=4)
        )
    )
    least = MatchingSettings(minimum_discover=2, minimum_held_out=2)
    found = judged_labels(Labels(("l",) * len(members), csr_matrix(members)), own, least)
    expected = [
        all(min(label[split].sum(), (~label[split]).sum()) >= 2 for split in splits)
        for label in members
    ]
    assert found.tolist() == expected


EMOTIONS = 5


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_sentence_counts_for_each_of_its_labels(seed: int) -> None:
    """Sentences carry none to five labels of one facet, as sets of emotions do."""
    generator = np.random.default_rng(seed)
    felt = generator.random((EMOTIONS, N_SENTENCES)) < 0.3
    assert (felt.sum(axis=0) > 1).any()
    activations = generator.normal(size=(N_SENTENCES, N_NEURONS))
    for neuron in range(N_NEURONS):
        for emotion in generator.permutation(EMOTIONS)[: generator.integers(1, 4)]:
            activations[:, neuron] += generator.uniform(1.0, 3.0) * felt[emotion]
    flips = generator.random((10, N_SENTENCES)) < generator.uniform(0.0, 0.2, (10, 1))
    members = felt[generator.integers(0, EMOTIONS, 10)] ^ flips
    told = ranking({neuron: generator.permutation(10)[:5].tolist() for neuron in range(7)})
    given_task = replace(
        task(activations, indicator(list(members))),
        labels=Labels(tuple(f"emotion:{n}" for n in range(EMOTIONS)), indicator(list(felt))),
        rankings=(told, told),
        populations=(Population("all", np.arange(N_NEURONS)),),
    )
    figures = recover_labels(given_task)
    own = rows()
    scores = np.array(
        [[f1_score(e[own.validation], m[own.validation]) for e in felt] for m in members]
    )
    meant = [{int(row.argmax())} if row.max() >= 0.5 else set() for row in scores]
    area = np.array(
        [[roc_auc_score(e[own.test], column) for column in activations[own.test].T] for e in felt]
    )
    assume(((area >= 0.8).sum(axis=0) > 1).any())
    for k in (1, 2):
        expected = np.array(oracle(area, meant, told, k, 0.8)).reshape(-1, 2)
        for place, metric in enumerate(("P", "R")):
            found = only(figures, "tau=0.8 tail=+ site=all", metric, k, "emotion")
            assert found.n == len(expected)
            mean = expected[:, place].mean() if len(expected) else None
            assert found.value == pytest.approx(mean)


def test_further_measures_of_the_headline(perfect: list[Figure]) -> None:
    """Gold {0}, {1}, {0, 5}, all found: of the last one label at rank 1, both among all ranks."""
    where = "tau=0.9 tail=+ site=ffn"
    assert only(perfect, where, "Success", 1, "topic").value == 1.0
    assert only(perfect, where, "nDCG", 1, "topic").value == 1.0
    assert only(perfect, where, "nDCG", 2, "topic").value == 1.0
    found = only(perfect, where, "MAP", None, "topic")
    assert (found.value, found.null, found.n) == (1.0, 0.0, 3)


def test_layers_are_told_apart_and_add_up() -> None:
    whole = replace(
        task(planted_activations(), topics()), layers=np.array([0, 0, 1, 1, 0, 0, 1, 1])
    )
    figures = recover_labels(whole)
    assert [each for each in figures if "layer=" not in each.variant] == recover_labels(
        replace(whole, layers=None)
    )
    # Gold of the FFN neurons: {0} and {1} in layer 0, {0, 5} and nothing in layer 1.
    for layer, k, precision, recall, n in (
        (0, 1, 1.0, 1.0, 2),
        (1, 1, 1.0, 0.5, 1),
        (1, 2, 1.0, 1.0, 1),
    ):
        where = f"tail=+ site=ffn layer={layer}"
        for reading in ("", "upper_bound "):
            found = only(figures, f"tau=0.9 {reading}{where}", "P", k, "topic")
            assert (found.value, found.n) == (precision, n)
            found = only(figures, f"tau=0.9 {reading}{where}", "R", k, "topic")
            assert (found.value, found.n) == (recall, n)
    shares = [
        only(figures, f"every_neuron tail=+ site=ffn layer={layer}", "described", None, "topic")
        for layer in (0, 1)
    ]
    assert [each.value for each in shares] == [1.0, 0.5]
    # No neuron of layer 0 has two labels.
    of_layer_0 = [each for each in figures if "tail=+ site=ffn layer=0" in each.variant]
    assert {each.k for each in of_layer_0 if each.facet == "topic"} == {None, 1}
    assert all(each.n for each in figures if "layer=" in each.variant)


def test_labels_with_too_few_test_sentences_are_not_judged() -> None:
    """Each topic has 20 test sentences."""
    whole = task(planted_activations(), topics())
    strict = recover_labels(whole, LabelRecoverySettings(minimum_positives=21))
    assert only(strict, "every_label", "judged_labels", None, "topic").value == 0.0
    assert only(strict, "every_label", "judged_labels", None, "tone").value == 2.0
    assert not any("tau" in each.variant for each in strict if each.facet == "topic")
    default = only(recover_labels(whole), "every_label", "judged_labels", None, "topic")
    assert (default.value, default.n) == (8.0, 9)


def test_thresholds_and_cutoffs_are_settings() -> None:
    told = recover_labels(
        task(planted_activations(), topics()), LabelRecoverySettings(ks=(3,), taus=(0.7,))
    )
    cut = {(v.tau, each.k) for each in told if (v := Variant.parse(each.variant)).tau is not None}
    assert cut == {(0.7, 3), (0.7, None)}
    default = recover_labels(task(planted_activations(), topics()))
    assert {Variant.parse(each.variant).tau for each in default} == {None, 0.8, 0.9, 0.95}


def test_a_hit_that_does_not_say_its_label_is_not_named() -> None:
    """Topic 0 is said by its descriptor, topic 1 is not: it is as far as unrelated pairs are."""
    whole = task(planted_activations(), topics())
    cosines = np.random.default_rng(4).uniform(0.0, 0.5, size=(8, 11))
    # Columns are sorted by name: two tones, eight topics, and a rare one that is not judged.
    cosines[0, 2], cosines[1, 3], cosines[2:, -1] = 0.9, 0.1, 1.0
    for topic in range(2, 8):
        cosines[topic, 2 + topic] = 0.6
    figures = recover_labels(replace(whole, cosines=cosines))
    where = "tail=+ site=ffn"
    found = only(figures, f"tau=0.9 named {where}", "P", 1, "topic")
    headline = only(figures, f"tau=0.9 {where}", "P", 1, "topic")
    assert (headline.value, found.value, found.n) == (1.0, pytest.approx(2 / 3), 3)
    assert (found.null, found.baseline) == (0.0, pytest.approx(2 / 3))
    said = only(figures, "every_label", "named_descriptors", None, "topic")
    assert (said.value, said.n, said.split) == (7 / 8, 8, "validation")
    assert said.null is not None
    assert 0.0 < said.null <= 0.05
    # Two tones with eight descriptors make sixteen pairs, too few to know what is far.
    refused = only(figures, "every_label", "named_descriptors", None, "tone")
    assert refused.value is None
    assert refused.reason.startswith("fewer than 20 pairs")
    assert not any("named" in each.variant for each in figures if each.facet == "tone")


def test_risk_and_coverage_need_confidences() -> None:
    whole = task(planted_activations(), topics())
    assert not any("risk_coverage" in each.variant for each in recover_labels(whole))
    sure = np.arange(N_NEURONS)
    figures = recover_labels(replace(whole, confidences=(sure, sure)))
    found = only(figures, "tau=0.9 risk_coverage tail=+ site=ffn", "AURC", None, "topic")
    assert (found.value, found.n) == (None, 3)
    assert found.reason.startswith("found 3 described neurons")
    areas = [each for each in figures if each.metric == "AURC"]
    assert {Variant.parse(each.variant).tau for each in areas} == {0.8, 0.9}


def test_more_test_sentences_can_be_asked_for() -> None:
    asked = judged_labels(labels(), rows(), SETTINGS, 20)
    np.testing.assert_array_equal(asked, [True] * 10 + [False])
    none = judged_labels(labels(), rows(), SETTINGS, 21)
    np.testing.assert_array_equal(none, [True] * 2 + [False] * 9)
