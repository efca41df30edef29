"""The two best similarity functions of CLIP-Dissect, with sentences in the place of images.

Oikarinen and Weng 2023, "CLIP-Dissect: Automatic Description of Neuron Representations in Deep
Vision Networks" (ICLR). A descriptor is its words: a sentence encoder takes the part of CLIP, and
cosines of sentences and words that of the concept-activation matrix P. What the paper leaves open
is set as in the code that its authors have published, see `eval.matcher_task.RivalSettings`.

Choices made here: the prior of a descriptor is its mean likelihood over the neurons of a layer and
site, tail by tail; sentences of equal activation or similarity come in the order of the corpus; a
descriptor that is on average no more similar to the looked-at sentences than chance directions are
(cosine 0 or below) is ranked last by rank reorder, where the authors' similarities are positive.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.matcher_task import (
    Columns,
    MatcherTask,
    RankingBuilder,
    Rankings,
    RivalSettings,
    key_type,
    mirrored,
    strongest_sentences,
)
from indexer.arrays import DoubleArray, FloatArray, IntArray

RankArray = NDArray[np.unsignedinteger[Any]]

_DESCRIPTORS_AT_ONCE = 16


def soft_wpmi(task: MatcherTask) -> Rankings:
    """Rank by soft weighted pointwise mutual information.

    sim(t, k) = log E[p(t | B_k)] - lambda log p(t), where the exemplars B_k of a neuron are not
    known for certain: E[p(t | B_k)] = product over x of 1 + p(x in B_k) (p(t | x) - 1). p(t | x) is
    a softmax over descriptors; p(t) is the mean of E[p(t | B_k)] over the neurons of a layer.

    Raises:
        ValueError: the task has no vectors.
    """
    probabilities = softmax_rows(task.similarities(), task.settings.temperature)
    n_exemplars = min(task.settings.n_exemplars, len(probabilities))
    certainties = exemplar_probabilities(n_exemplars, task.settings)
    builders = (RankingBuilder(task.n_ranks), RankingBuilder(task.n_ranks))

    def likelihoods() -> Iterator[DoubleArray]:
        for columns in task.columns():
            yield np.stack(
                [
                    exemplar_likelihoods(
                        strongest_sentences(tail, len(certainties)), probabilities, certainties
                    )
                    for tail in mirrored(columns)
                ],
                axis=1,
            )

    for layer in by_layer(likelihoods(), task.layers):
        scores = layer - task.settings.prior_weight * log_mean(layer)
        for number, builder in enumerate(builders):
            builder.add(scores[:, number])
    return builders[0].ranking(), builders[1].ranking()


def rank_reorder(task: MatcherTask) -> Rankings:
    """Rank by how well descriptors order the most activating sentences.

    sim(t, k) = -||q' - q||, where q holds the highest activations of a neuron in falling order and
    q' the same numbers, the highest on the sentence most similar to t and so on. As in the authors'
    code the error is the mean of |q' - q|^p, divided by a power of the mean similarity.

    Raises:
        ValueError: the task has no vectors.
    """
    similarities = task.similarities()
    n_top = max(1, int(len(similarities) * task.settings.top_share))
    order = similarity_ranks(similarities)
    builders = (RankingBuilder(task.n_ranks), RankingBuilder(task.n_ranks))
    for columns in task.columns():
        for builder, tail in zip(builders, mirrored(columns), strict=True):
            top = strongest_sentences(tail, n_top)
            means = _mean_similarities(top, similarities)
            errors = _errors(tail, top, order, task.settings.power)
            builder.add(_scaled(errors, means, task.settings))
    return builders[0].ranking(), builders[1].ranking()


def softmax_rows(similarities: FloatArray, temperature: float) -> DoubleArray:
    """p(descriptor | sentence): each row a softmax (`n_sentences, n_descriptors`)."""
    scaled = temperature * similarities.astype(np.float64)
    scaled -= scaled.max(axis=1, keepdims=True)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=1, keepdims=True)
    return scaled


def exemplar_probabilities(n_exemplars: int, settings: RivalSettings) -> DoubleArray:
    """p(sentence in B_k) by its place among the exemplars, falling in a line (`n_exemplars`)."""
    fall = settings.first_probability - settings.last_probability
    return np.asarray(settings.first_probability - np.arange(n_exemplars) / n_exemplars * fall)


def exemplar_likelihoods(
    exemplars: IntArray, probabilities: DoubleArray, certainties: DoubleArray
) -> DoubleArray:
    """Log E[p(t | B_k)] of every unit and descriptor (`n_units, n_descriptors`).

    Args:
        exemplars: sentences, most activating first (`n_units, n_exemplars`).
        probabilities: p(descriptor | sentence) (`n_sentences, n_descriptors`).
        certainties: that each exemplar is one (`n_exemplars`).
    """
    found = np.empty((len(exemplars), probabilities.shape[1]))
    weights = certainties[:, np.newaxis]
    for unit, sentences in enumerate(exemplars):
        factors = probabilities[sentences]
        factors -= 1.0
        factors *= weights
        found[unit] = np.log1p(factors, out=factors).sum(axis=0)
    return found


def log_mean(logarithms: DoubleArray) -> DoubleArray:
    """Logarithm of the mean over the first axis of what has these logarithms."""
    from scipy.special import logsumexp

    return np.asarray(logsumexp(logarithms, axis=0) - np.log(len(logarithms)))


def by_layer(blocks: Iterator[DoubleArray], layers: IntArray) -> Iterator[DoubleArray]:
    """Blocks of neurons, along the first axis, cut and joined so that each is one layer."""
    held: list[DoubleArray] = []
    first = 0
    for block in blocks:
        own = layers[first : first + len(block)]
        for part in np.split(np.arange(len(block)), np.flatnonzero(np.diff(own)) + 1):
            if held and layers[first + part[0]] != layers[first + part[0] - 1]:
                yield np.concatenate(held)
                held = []
            held.append(block[part])
        first += len(block)
    if held:
        yield np.concatenate(held)


def similarity_ranks(similarities: FloatArray) -> RankArray:
    """Place of every sentence for a descriptor, 0 the most similar (`n_descriptors, n_sentences`).

    Equal ones come in order.
    """
    falling = np.argsort(-similarities.T, axis=1, kind="stable")
    n_sentences = similarities.shape[0]
    # Room for a rank and a place below it.
    ranks = np.empty(falling.shape, dtype=key_type(2 * n_sentences**2))
    np.put_along_axis(ranks, falling, np.arange(n_sentences)[np.newaxis], axis=1)
    return ranks


def reorder_errors(activations: DoubleArray, ranks: RankArray, power: int) -> DoubleArray:
    """Mean of |q' - q|^p for each descriptor (`n_descriptors`).

    Args:
        activations: q, falling (`n_top`).
        ranks: place of the same sentences for each descriptor, of which only the order counts
            (`n_descriptors, n_top`); of a type that holds them times twice `n_top`.
        power: p.
    """
    # Ranks with their places in the low bits: sorting them tells the order, quicker than argsort.
    shift = ranks.dtype.type(int(ranks.shape[1] - 1).bit_length())
    places = np.arange(ranks.shape[1], dtype=ranks.dtype)
    keyed = (ranks << shift) | places
    keyed.sort(axis=1)
    keyed &= (ranks.dtype.type(1) << shift) - ranks.dtype.type(1)
    differences = np.abs(activations.take(keyed) - activations)
    raised = differences.copy()
    for _ in range(power - 1):
        raised *= differences
    return np.asarray(raised.mean(axis=1))


def _errors(tail: Columns, top: IntArray, order: RankArray, power: int) -> DoubleArray:
    activations = np.take_along_axis(tail, top, axis=1).astype(np.float64)
    found = np.empty((len(top), len(order)))
    # Few descriptors at a time: their ranks stay in the processor's cache for all units.
    for first in range(0, len(order), _DESCRIPTORS_AT_ONCE):
        chunk = slice(first, first + _DESCRIPTORS_AT_ONCE)
        ranks = np.ascontiguousarray(order[chunk])
        for unit, sentences in enumerate(top):
            own = ranks.take(sentences, axis=1)
            found[unit, chunk] = reorder_errors(activations[unit], own, power)
    return found


def _mean_similarities(top: IntArray, similarities: FloatArray) -> DoubleArray:
    """Mean similarity of each unit's sentences to each descriptor (`n_units, n_descriptors`)."""
    from scipy.sparse import csr_matrix

    n_units, n_top = top.shape
    limits = np.arange(n_units + 1) * n_top
    ones = np.ones(top.size, dtype=np.float32)
    chosen = csr_matrix((ones, top.ravel(), limits), shape=(n_units, len(similarities)))
    return np.asarray((chosen @ similarities) / n_top, dtype=np.float64)


def _scaled(errors: DoubleArray, means: DoubleArray, settings: RivalSettings) -> DoubleArray:
    """Scores from errors; minus infinity where the mean similarity is not positive."""
    positive = means > 0.0
    divisors = np.where(positive, means, 1.0) ** settings.similarity_power
    return np.where(positive, -errors / divisors, -np.inf)
