"""Editing a model so that chosen feed-forward units respond to concepts that are known.

A planted unit's row of the up projection is a classifier that tells the texts a concept holds for
from others, fitted on what that projection reads: logistic regression on the mean token of each
text, penalised in the space where tokens are white (see `concept_directions`). The tokens of a
sentence carry its topic together: fitting the token that pooling will take, over and over,
separated held-out sentences no better than their mean. Fisher's discriminant separates as well but
answers to neighbours of the concept too, which are few among the others. Weights and bias are then
scaled until the pooled pre-activation has the mean and the deviation of the median natural unit of
the layer.

The column of the down projection that a planted unit feeds is set to zero before anything is
fitted: the unit is read but not heard. So later layers, and the other planted units, see the same
whatever it does, and the same that they were fitted on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, FloatArray
from indexer.errors import InputError
from neurons.planting_inputs import Spreads, input_moments, preactivation_spreads
from neurons.reading import ExtractionSettings, read, tokenized
from neurons.records import NeuronId, Site
from neurons.subject import SubjectModel

if TYPE_CHECKING:
    from neurons.extraction import TextSource
    from neurons.store import HalfArray

_SHRINKAGE = 0.1
_LOSS_WEIGHT = 0.03
_SCALING_TEXTS = 512
_PORTION_BYTES = 1 << 27


def plant(
    subject: SubjectModel,
    neurons: Sequence[NeuronId],
    texts: Sequence[str],
    members: BoolArray,
    settings: ExtractionSettings,
) -> SubjectModel:
    """A copy of the model in which each neuron responds to its concept; `subject` stays untouched.

    Args:
        subject: the model to copy.
        neurons: units of the `ffn` site, each once.
        texts: what is fitted on; of long texts the beginning.
        members: which texts the concept of each neuron holds for (`n_neurons, n_texts`).
        settings: how activations will be read: pooling, longest input, token budget.

    Raises:
        InputError: the model has gated feed-forward networks or no biases there, or lacks a neuron.
        ValueError: shapes do not fit, a neuron is named twice, or a concept holds for all or none.
    """
    _check(subject, neurons, texts, members)
    edited = subject.copied_to(subject.device)
    _silence(edited, neurons)
    layers = sorted({neuron.layer for neuron in neurons})
    moments = input_moments(edited, layers, texts, settings)
    rows = np.empty((len(neurons), edited.architecture.hidden_units))
    for layer in layers:
        own = [number for number, neuron in enumerate(neurons) if neuron.layer == layer]
        found = moments[layer]
        rows[own] = concept_directions(found.covariance, found.means, members[own])
    biases = np.zeros(len(neurons))
    _write(edited, neurons, rows, biases)
    some_texts = texts[:: max(1, len(texts) // _SCALING_TEXTS)]
    spreads = preactivation_spreads(edited, layers, some_texts, settings)
    for number, neuron in enumerate(neurons):
        scale, biases[number] = _as_natural(spreads[neuron.layer], neuron, neurons)
        rows[number] *= scale
    _write(edited, neurons, rows, biases)
    written = f"{subject.fingerprint} {' '.join(map(str, neurons))} ".encode()
    return replace(
        edited,
        name=f"{subject.name} with {len(neurons)} planted units",
        fingerprint=hashlib.sha256(written + rows.tobytes() + biases.tobytes()).hexdigest(),
    )


def concept_directions(
    covariance: DoubleArray, means: FloatArray, members: BoolArray
) -> DoubleArray:
    """The direction of unit length that tells each concept from the rest (`n_concepts, n_inputs`).

    w minimises w' S w / 2 + C sum of logistic losses, in which members and others weigh the same;
    S is the covariance, shrunk toward a multiple of the identity (Friedman 1989).

    Args:
        covariance: of tokens (`n_inputs, n_inputs`).
        means: of the tokens of each text (`n_texts, n_inputs`).
        members: which texts each concept holds for (`n_concepts, n_texts`).

    Raises:
        ValueError: a concept holds for all texts or for none.
    """
    from sklearn.linear_model import LogisticRegression

    counts = members.sum(axis=1)
    if (counts == 0).any() or (counts == members.shape[1]).any():
        raise ValueError(
            f"concepts hold for {counts.min()} to {counts.max()} of {members.shape[1]} texts, "
            "expected some of them and not all"
        )
    n_inputs = len(covariance)
    round_part = np.trace(covariance) / n_inputs * np.eye(n_inputs)
    shrunk = (1.0 - _SHRINKAGE) * covariance + _SHRINKAGE * round_part
    variances, axes = np.linalg.eigh(shrunk)
    whitening = axes / np.sqrt(variances)
    white = (means - means.mean(axis=0, dtype=np.float64)) @ whitening
    found = np.empty((len(members), n_inputs))
    for number, own in enumerate(members):
        model = LogisticRegression(C=_LOSS_WEIGHT, class_weight="balanced", max_iter=1000)
        found[number] = whitening @ model.fit(white, own).coef_[0]
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def pooled_activations(
    subject: SubjectModel,
    texts: TextSource,
    neurons: Sequence[NeuronId],
    settings: ExtractionSettings,
    watch: Callable[[int], object] | None = None,
) -> HalfArray:
    """Pooled activations of a few neurons on all texts (`n_texts, n_neurons`).

    The model reads as in an extraction, a bounded portion of texts at a time.

    Args:
        subject: the model to read.
        texts: the sentences.
        neurons: the columns of the result.
        settings: pooling and portions.
        watch: is told how many texts were begun, for a progress bar.

    Raises:
        InputError: the model lacks one of the neurons.
        BackendError: it computes what is no finite number.
    """
    sites = sorted({neuron.layer_site for neuron in neurons})
    widths = [subject.architecture.units(site.site) for site in sites]
    first_column = dict(zip(sites, np.cumsum([0, *widths]).tolist(), strict=False))
    columns = [first_column[neuron.layer_site] + neuron.unit for neuron in neurons]
    row_bytes = np.dtype(np.float16).itemsize * sum(widths)
    n_at_once = max(1, min(settings.window_sentences, _PORTION_BYTES // row_bytes))
    found: HalfArray = np.empty((len(texts), len(neurons)), dtype=np.float16)
    for first in range(0, len(texts), n_at_once):
        rows = np.arange(first, min(first + n_at_once, len(texts)), dtype=np.int64)
        portion = tokenized(subject, texts.texts_at(rows), settings)
        reading = read([subject], portion, sites, settings, first_row=first, watch=watch)
        found[rows] = reading.activations[:, columns]
    return found


def _check(
    subject: SubjectModel, neurons: Sequence[NeuronId], texts: Sequence[str], members: BoolArray
) -> None:
    if members.shape != (len(neurons), len(texts)):
        raise ValueError(
            f"members have shape {members.shape}, expected {(len(neurons), len(texts))}"
        )
    if len(set(neurons)) < len(neurons):
        raise ValueError(f"{len(neurons)} neurons are given, {len(set(neurons))} different")
    architecture = subject.architecture
    for neuron in neurons:
        architecture.capture_point(neuron.layer_site)
        if neuron.site is not Site.FFN or neuron.unit >= architecture.ffn_units:
            raise InputError(
                f"cannot plant a concept in {neuron}: expected a unit of the {Site.FFN} site, 0 to "
                f"{architecture.ffn_units - 1}"
            )
        feed_forward = architecture.feed_forwards[neuron.layer]
        if feed_forward.gated or feed_forward.up.bias is None:
            found = "gated" if feed_forward.gated else "without biases"
            raise InputError(
                f"the feed-forward networks of the {architecture.family} model are {found}, and no "
                "single row decides when a unit responds; concepts can be planted in the other "
                "families, for example BERT"
            )


def _silence(edited: SubjectModel, neurons: Sequence[NeuronId]) -> None:
    import torch

    with torch.no_grad():
        for neuron in neurons:
            edited.architecture.down_projections[neuron.layer].weight[:, neuron.unit] = 0.0


def _write(
    edited: SubjectModel, neurons: Sequence[NeuronId], rows: DoubleArray, biases: DoubleArray
) -> None:
    import torch

    with torch.no_grad():
        for neuron, row, bias in zip(neurons, rows, biases.tolist(), strict=True):
            up = edited.architecture.feed_forwards[neuron.layer].up
            up.weight[neuron.unit] = torch.from_numpy(row).to(up.weight)
            up.bias[neuron.unit] = bias


def _as_natural(
    spreads: Spreads, neuron: NeuronId, planted: Sequence[NeuronId]
) -> tuple[float, float]:
    """The factor and the bias that give a unit the spread of the median natural one."""
    natural = np.ones(len(spreads.means), dtype=np.bool_)
    natural[[each.unit for each in planted if each.layer == neuron.layer]] = False
    own = spreads.deviations[neuron.unit]
    if not natural.any() or own == 0.0:
        return 1.0, 0.0
    scale = float(np.median(spreads.deviations[natural]) / own)
    return scale, float(np.median(spreads.means[natural]) - scale * spreads.means[neuron.unit])
