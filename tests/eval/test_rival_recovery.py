"""Rival matchers judged on planted neurons, as our own explanations are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from descriptors.corpus import Labels
from eval.label_recovery import LabelRecoveryTask, Population, recover_labels
from eval.matcher_task import MatcherTask, Rankings, RivalSettings
from eval.matchers import MATCHER_NAMES, RIVALS, RivalMatcher, about_matcher
from eval.metrics import Ranking
from eval.records import Figure
from eval.rival_recovery import GoldFacet, Judging, RivalRecovery, gold_facets, rival_recovery
from neurons.matching import MatchingSettings
from neurons.split_rows import SplitRows
from tests.eval.matcher_tasks import held, unit_vectors

N_SENTENCES, N_TOPICS, N_NEURONS = 600, 6, 12
TOPIC = np.arange(N_SENTENCES) // 2 % N_TOPICS
MATCHING = MatchingSettings(null_neurons=8, null_repeats=2)
MINIMUM_POSITIVES = 20
SITES = (Population("ffn", np.arange(7)), Population("hidden", np.arange(7, 12)))


def rows() -> SplitRows:
    """Half, a sixth and a third, every topic in each."""
    block = np.arange(N_SENTENCES) // 12 % 6
    return SplitRows(
        discover=np.flatnonzero(block < 3),
        validation=np.flatnonzero(block == 3),
        test=np.flatnonzero(block > 3),
        documents=np.arange(N_SENTENCES) // 2,
    )


def labels() -> Labels:
    """A topic for each sentence, a mood for some, and a label that is too rare to judge."""
    topics = [topic == TOPIC for topic in range(N_TOPICS)]
    moods = [np.arange(N_SENTENCES) % 5 < 2, np.arange(N_SENTENCES) < 3]
    names = [*(f"topic:{topic}" for topic in range(N_TOPICS)), "mood:glad", "mood:rare"]
    order = np.argsort(names)
    membership = csr_matrix(np.stack([*topics, *moods])[order])
    return Labels(tuple(sorted(names)), membership)


def activations(seed: int = 0) -> np.ndarray:
    """Neuron k answers to topic k and the one after it; the last ones shun a topic or are noise."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(N_SENTENCES, N_NEURONS)) * 0.3
    for neuron in range(9):
        wanted = (neuron % N_TOPICS == TOPIC) * 2.0 + ((neuron + 1) % N_TOPICS == TOPIC) * 1.8
        values[:, neuron] += wanted * (-1.0 if neuron == 8 else 1.0)
    return values.astype(np.float16)


def task(seed: int = 0) -> MatcherTask:
    """Descriptors that hold for a topic each, a broad one, and one that holds for nothing."""
    generator = np.random.default_rng(seed)
    members = np.stack(
        [*(topic == TOPIC for topic in range(N_TOPICS)), TOPIC < 4, np.zeros(N_SENTENCES, bool)]
    )
    # The words of a descriptor lie among its sentences.
    centres = unit_vectors(generator, N_TOPICS, 8)
    vectors = centres[TOPIC] + generator.normal(size=(N_SENTENCES, 8)).astype(np.float32) * 0.1
    words = np.concatenate([centres, unit_vectors(generator, 2, 8)])
    return MatcherTask(
        activations=held(activations(seed)),
        membership=csr_matrix(members.astype(np.float32)),
        rows=rows(),
        layers=np.zeros(N_NEURONS, dtype=np.int64),
        sentence_vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        descriptor_vectors=words,
        settings=RivalSettings(n_exemplars=20),
    )


def facets() -> tuple[GoldFacet, ...]:
    return gold_facets(held(activations()), labels(), rows(), MATCHING, MINIMUM_POSITIVES)


def judging(**changes: object) -> Judging:
    told: dict[str, object] = {"rows": rows(), "populations": SITES, "seed": 3}
    return Judging(**(told | changes))  # type: ignore[arg-type]


def figure(found: RivalRecovery, variant: str, metric: str, k: int, facet: str = "topic") -> Figure:
    matching = [
        each
        for each in found.figures
        if (each.variant, each.metric, each.k, each.facet) == (variant, metric, k, facet)
    ]
    assert len(matching) == 1, (variant, [each.variant for each in found.figures][:4])
    return matching[0]


def test_gold_is_the_auroc_on_test() -> None:
    found = facets()
    assert [facet.name for facet in found] == ["mood", "topic"]
    assert [facet.labels.shape[0] for facet in found] == [1, N_TOPICS]
    own, values = rows().test, activations().astype(np.float64)
    for topic in range(N_TOPICS):
        expected = [
            roc_auc_score(TOPIC[own] == topic, values[own, neuron]) for neuron in range(N_NEURONS)
        ]
        np.testing.assert_allclose(found[1].test_auroc[topic], expected, rtol=1e-12)


def test_a_corpus_without_labels_has_no_gold() -> None:
    none = Labels((), csr_matrix((0, N_SENTENCES), dtype=np.bool_))
    assert gold_facets(held(activations()), none, rows(), MATCHING, MINIMUM_POSITIVES) == ()


def test_a_rival_is_judged_as_our_own_explanations_are() -> None:
    """A rival that answers what an explanation says gets the figures of the evaluation."""
    generator = np.random.default_rng(1)
    rankings: Rankings = (
        Ranking(
            generator.permuted(np.tile(np.arange(8), (N_NEURONS, 1)), axis=1)[:, :5],
            generator.integers(0, 6, N_NEURONS),
        ),
        Ranking(
            generator.permuted(np.tile(np.arange(8), (N_NEURONS, 1)), axis=1)[:, :5],
            generator.integers(0, 6, N_NEURONS),
        ),
    )
    given = task()
    expected = recover_labels(
        LabelRecoveryTask(
            activations=given.activations,
            membership=given.membership,
            rankings=rankings,
            populations=SITES,
            labels=labels(),
            rows=rows(),
            settings=MATCHING,
            seed=3,
        )
    )
    told = {
        (each.variant, each.metric, each.k, each.facet): each
        for each in expected
        if each.metric in ("P", "R")
    }
    rival = RivalMatcher(lambda _: rankings, "answers what it was told")
    found = rival_recovery(rival, given, facets(), judging(null_neurons=0))
    assert len(found.figures) == 2 * 2 * 2 * 2 * 2 * 2
    for own in found.figures:
        other = told[(own.variant, own.metric, own.k, own.facet)]
        assert own == other.model_copy(update={"null": None})


def test_true_labels_are_recovered_and_the_null_is_not() -> None:
    for name in ("signed_probeless", "probeless", "average_precision"):
        found = rival_recovery(RIVALS[name], task(), facets(), judging())
        own = figure(found, "tau=0.8 tail=+ site=ffn", "P", 2)
        assert own.n == 7
        assert own.value == 1.0, name
        assert own.null is not None
        assert own.null < 0.8
        assert own.baseline is not None
        assert own.baseline < 0.5
        assert found.seconds > 0.0


def test_descriptors_are_recovered_by_every_rival_that_looks() -> None:
    for name in ("exemplar_counts", "softwpmi", "rank_reorder"):
        found = rival_recovery(RIVALS[name], task(), facets(), judging())
        own = figure(found, "tau=0.9 tail=+ site=ffn", "P", 1)
        assert own.value is not None
        assert own.baseline is not None
        assert own.value > own.baseline, name


def test_the_frequency_matcher_is_the_baseline() -> None:
    found = rival_recovery(RIVALS["frequency"], task(), facets(), judging())
    qualifying = [each for each in found.figures if each.n]
    assert qualifying
    assert all(each.value == each.baseline for each in qualifying)


def test_the_negative_tail_is_gold_where_activations_are_low() -> None:
    found = rival_recovery(RIVALS["signed_probeless"], task(), facets(), judging())
    own = figure(found, "tau=0.9 tail=- site=hidden", "P", 1)
    assert own.n >= 1
    assert own.value == 1.0


def test_the_null_is_over_the_drawn_neurons_that_qualify() -> None:
    """With all neurons drawn it is what the matcher gives for shuffled sentences."""
    given, rival = task(), RIVALS["exemplar_counts"]
    found = rival_recovery(rival, given, facets(), judging())
    shuffled = rival.rank(given.shuffled(3))
    told = RivalMatcher(lambda _: shuffled, "shuffled")
    expected = rival_recovery(told, given, facets(), judging(null_neurons=0))
    for own, other in zip(found.figures, expected.figures, strict=True):
        assert own.null == other.value


def test_some_neurons_are_drawn_the_same_every_time() -> None:
    found = [
        rival_recovery(RIVALS["exemplar_counts"], task(), facets(), judging(null_neurons=5)).figures
        for _ in range(2)
    ]
    assert found[0] == found[1]
    values = [each.null for each in found[0] if each.variant.startswith("tau=0.8 tail=+ site=ffn")]
    assert any(value is not None for value in values)


def test_text_matchers_need_vectors() -> None:
    bare = replace(task(), sentence_vectors=None, descriptor_vectors=None)
    with pytest.raises(ValueError, match="compares texts"):
        rival_recovery(RIVALS["softwpmi"], bare, facets(), judging())


def test_every_matcher_has_words_for_a_legend() -> None:
    assert MATCHER_NAMES[0] == "ours"
    assert MATCHER_NAMES[-1] == "true_labels"
    assert len({about_matcher(name) for name in MATCHER_NAMES}) == len(MATCHER_NAMES)
    with pytest.raises(KeyError):
        about_matcher("nobody")
