"""Soft WPMI and rank reorder against their formulas, written out in loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from eval.clip_dissect import (
    by_layer,
    log_mean,
    rank_reorder,
    reorder_errors,
    similarity_ranks,
    soft_wpmi,
    softmax_rows,
)
from eval.matcher_task import MatcherTask, RivalSettings
from eval.metrics import Ranking
from tests.eval.matcher_tasks import LAYERS, every_activation, held, random_task


def tails(task: MatcherTask) -> list[np.ndarray]:
    """Selected activations of each tail, mirrored (`n_units, n_selected`)."""
    values = every_activation(task)[task.selection].T.astype(np.float64)
    return [values, -values]


def falling(values: np.ndarray) -> list[int]:
    """Positions from the highest value down, equal ones in order."""
    return sorted(range(len(values)), key=lambda place: (-values[place], place))


def wpmi_scores(task: MatcherTask, tail: np.ndarray) -> np.ndarray:
    """sim(t, k) = log E[p(t|B_k)] - lambda log p(t), factor by factor."""
    told = task.settings
    similarities = task.similarities().astype(np.float64)
    given_sentence = softmax(told.temperature * similarities, axis=1)
    likelihood = np.empty((len(tail), similarities.shape[1]))
    for unit, values in enumerate(tail):
        for descriptor in range(similarities.shape[1]):
            product = 1.0
            for place, sentence in enumerate(falling(values)[: told.n_exemplars]):
                fall = told.first_probability - told.last_probability
                certain = told.first_probability - place / told.n_exemplars * fall
                product *= 1.0 + certain * (given_sentence[sentence, descriptor] - 1.0)
            likelihood[unit, descriptor] = product
    scores = np.log(likelihood)
    for layer in np.unique(LAYERS):
        own = layer == LAYERS
        scores[own] -= told.prior_weight * np.log(likelihood[own].mean(axis=0))
    return scores


def reorder_scores(task: MatcherTask, tail: np.ndarray) -> np.ndarray:
    """sim(t, k) = -mean |q' - q|^p / (mean similarity)^s over the most activating sentences."""
    told = task.settings
    similarities = task.similarities().astype(np.float64)
    n_top = int(len(similarities) * told.top_share)
    scores = np.full((len(tail), similarities.shape[1]), -np.inf)
    for unit, values in enumerate(tail):
        # Equal similarities come in the order of the corpus, whatever the activations are.
        top = falling(values)[:n_top]
        for descriptor, own in enumerate(similarities.T):
            mean = own[top].mean()
            if mean > 0.0:
                by_similarity = sorted(top, key=lambda sentence: (-own[sentence], sentence))
                errors = [
                    abs(values[high] - values[similar]) ** told.power
                    for high, similar in zip(top, by_similarity, strict=True)
                ]
                scores[unit, descriptor] = -np.mean(errors) / mean**told.similarity_power
    return scores


def check(ranking: Ranking, scores: np.ndarray, n_ranks: int) -> None:
    """The ranking names the best scores; which of two equal ones comes first is left open."""
    for own, places, length in zip(
        scores,
        ranking.descriptors,
        ranking.lengths,
        strict=True,
    ):
        best = np.sort(own[np.isfinite(own)])[::-1][:n_ranks]
        assert length == len(best)
        assert len(set(places[:length].tolist())) == length
        np.testing.assert_allclose(own[places[:length]], best, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("prior_weight", [0.0, 0.6, 1.0])
def test_soft_wpmi_is_its_formula(seed: int, prior_weight: float) -> None:
    told = RivalSettings(n_exemplars=9, prior_weight=prior_weight)
    task = random_task(seed, settings=told)
    for ranking, tail in zip(soft_wpmi(task), tails(task), strict=True):
        check(ranking, wpmi_scores(task, tail), task.n_ranks)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("similarity_power", [0.0, 0.5])
def test_rank_reorder_is_its_formula(seed: int, power: int, similarity_power: float) -> None:
    told = RivalSettings(top_share=0.3, power=power, similarity_power=similarity_power)
    task = random_task(seed, settings=told)
    for ranking, tail in zip(rank_reorder(task), tails(task), strict=True):
        check(ranking, reorder_scores(task, tail), task.n_ranks)


def test_blocks_do_not_matter() -> None:
    task = random_task(7)
    values = every_activation(task)
    for matcher in (soft_wpmi, rank_reorder):
        found = [
            matcher(random_task(7, activations=held(values, at_once))) for at_once in (1, 3, 14)
        ]
        for one, other in pairwise(found):
            for tail in range(2):
                np.testing.assert_array_equal(one[tail].descriptors, other[tail].descriptors)
                np.testing.assert_array_equal(one[tail].lengths, other[tail].lengths)


def test_more_descriptors_than_are_taken_at_once() -> None:
    generator = np.random.default_rng(0)
    similarities = generator.normal(size=(30, 40)).astype(np.float32)
    ranks = similarity_ranks(similarities)
    activations = np.sort(generator.normal(size=30))[::-1].copy()
    every = np.arange(30)
    found = reorder_errors(activations, ranks[:, every], 3)
    for descriptor, own in enumerate(similarities.T):
        reordered = activations[falling(own)]
        assert found[descriptor] == pytest.approx(np.mean(np.abs(reordered - activations) ** 3))


@given(st.integers(0, 9_999), st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_a_descriptor_that_orders_sentences_as_the_neuron_does_has_no_error(
    seed: int, n_sentences: int
) -> None:
    generator = np.random.default_rng(seed)
    activations = generator.normal(size=n_sentences)
    similarities = np.stack([activations, -activations], axis=1).astype(np.float32)
    top = np.array(falling(activations))
    errors = reorder_errors(activations[top], similarity_ranks(similarities)[:, top], 3)
    assert errors[0] == 0.0
    assert errors[1] >= 0.0


def test_ranks_of_equal_similarities_come_in_order() -> None:
    similarities = np.array([[0.1], [0.7], [0.1], [0.7]], dtype=np.float32)
    assert similarity_ranks(similarities).tolist() == [[2, 0, 3, 1]]


def test_logarithm_of_a_mean_of_tiny_numbers() -> None:
    """exp(-2000) is no number any more; its logarithm is."""
    logarithms = np.array([[-2000.0, 0.0], [-2000.0 + math.log(3.0), 0.0]])
    np.testing.assert_allclose(log_mean(logarithms), [-2000.0 + math.log(2.0), 0.0])


def test_softmax_of_large_numbers() -> None:
    similarities = np.array([[100.0, -100.0], [0.0, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(softmax_rows(similarities, 10.0), [[1.0, 0.0], [0.5, 0.5]])


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.lists(st.integers(1, 5), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_layers_are_put_together_however_blocks_cut_them(
    layer_sizes: list[int], widths: list[int]
) -> None:
    layers = np.repeat(np.arange(len(layer_sizes)), layer_sizes)
    values = np.arange(len(layers)).astype(np.float64)[:, np.newaxis]
    cuts = np.cumsum(widths)
    blocks = [part for part in np.split(values, cuts[cuts < len(layers)]) if len(part)]
    found = list(by_layer(iter(blocks), layers))
    assert [len(layer) for layer in found] == layer_sizes
    np.testing.assert_array_equal(np.concatenate(found), values)
