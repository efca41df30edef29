"""Is a neuron more active on texts about its description than on others?

CoSy (Kopf, Bommer, Hedström, Lapuschkin, Höhne & Bykov 2024), brought to text by PRISM (Kopf,
Feldhus, Bykov and others 2025): AUROC and MAD of the activations on concept texts against control
texts. Their concept texts are written by a generator; here they are retrieved, the test sentences
whose embeddings are nearest to the description's own words, and controls are other test sentences.
A neuron was given its descriptors by their sentences on discover and validation; test sentences
had no part in that. Texts that were generated can be judged as well, as rows that follow those of
the corpus; writing them is left to the caller. They differ from the controls in more than their
concept, which shows in the baseline, whose concept texts are generated too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eval.described_tails import DescribedTails, listed, tail_columns, too_few
from eval.random_descriptors import dealt_to_others, size_matched
from eval.reading_scores import BEST, FIRST, MEAN, ReadingScores
from eval.records import Figure
from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from indexer.records import Record
from neurons.split_rows import Activations, Watch, unwatched

PROTOCOL = "cosy"
METRICS = ("AUROC", "MAD")
_READINGS = (FIRST, MEAN, BEST)
_STREAM = 12


class CosySettings(Record):
    """What is judged; counts of texts, of neurons and of descriptors.

    A concept has `concept_texts` texts; best-of-k scores of fewer than 100 are mostly luck. Of
    controls there are `control_texts`, or all other test sentences where those are fewer, but never
    fewer than `concept_texts`. `neurons` bounds the tails drawn of each site and sign, `k` their
    descriptors. Random descriptors are drawn among the `nearest_sizes` most like in size.
    """

    k: int = Field(default=5, ge=1)
    concept_texts: int = Field(default=100, ge=20)
    control_texts: int = Field(default=1000, ge=20)
    neurons: int = Field(default=2000, ge=1)
    minimum_neurons: int = Field(default=10, ge=1)
    nearest_sizes: int = Field(default=10, ge=1)


@dataclass(frozen=True, eq=False)
class ConceptTexts:
    """The texts of descriptors, as rows of the activations.

    Attributes:
        concept: rows of the texts about each descriptor; those without texts are left out.
        control: rows of the texts that each is compared with.
        reading: what kind of texts they are, a word of the variant; empty for retrieved ones.
    """

    concept: Mapping[int, IntArray]
    control: Mapping[int, IntArray]
    reading: str = ""


@dataclass(frozen=True)
class CosyTask:
    """A finished run as the protocol sees it.

    Attributes:
        activations: all neurons, on the texts that `texts` names.
        texts: concept and control texts of the descriptors.
        sizes: members of each descriptor on discover (`n_descriptors`).
        samples: the tails that are judged.
        seed: of the null, the random descriptors and the bootstrap.
        watch: wraps the blocks of the pass over the activations, for a progress bar.
    """

    activations: Activations
    texts: ConceptTexts
    sizes: IntArray
    samples: tuple[DescribedTails, ...]
    seed: int
    watch: Watch = unwatched


def concept_auroc(concept: NDArray[np.floating[Any]], control: NDArray[np.floating[Any]]) -> float:
    """P(concept > control) + P(concept = control) / 2, the Mann-Whitney U over n1 n0.

    Args:
        concept: activations on concept texts (`n_concept`).
        control: activations on control texts (`n_control`).

    Raises:
        ValueError: either is empty.
    """
    _check_texts(concept, control, 1)
    ascending = np.sort(control)
    below = np.searchsorted(ascending, concept, side="left").sum()
    not_above = np.searchsorted(ascending, concept, side="right").sum()
    return float((below + not_above) / (2 * concept.size * control.size))


def mean_activation_difference(
    concept: NDArray[np.floating[Any]], control: NDArray[np.floating[Any]]
) -> float:
    """MAD: (mean on concept texts - mean on controls) / unbiased standard deviation of controls.

    NaN where all controls are equal. (CoSy's code gives 0 there.)

    Args:
        concept: activations on concept texts (`n_concept`).
        control: activations on control texts (`n_control`).

    Raises:
        ValueError: no concept text, or fewer than two controls.
    """
    _check_texts(concept, control, 2)
    others = control.astype(np.float64)
    if (others == others[0]).all():
        return math.nan
    rise = concept.mean(dtype=np.float64) - others.mean()
    return float(rise / others.std(ddof=1))


def _check_texts(
    concept: NDArray[np.floating[Any]], control: NDArray[np.floating[Any]], n_control: int
) -> None:
    if concept.size < 1 or control.size < n_control:
        raise ValueError(
            f"found {concept.size} concept texts and {control.size} controls, expected 1 and "
            f"{n_control} or more"
        )


def retrieved_texts(
    descriptor_vectors: FloatArray,
    sentence_vectors: FloatArray,
    rows: IntArray,
    settings: CosySettings,
    seed: int,
) -> ConceptTexts:
    """The sentences nearest to each descriptor's words, and others drawn at random.

    Args:
        descriptor_vectors: unit vectors of the descriptors' texts (`n_descriptors, n_parts`).
        sentence_vectors: unit vectors of the sentences that may be taken (`n_rows, n_parts`).
        rows: their rows in the corpus, all of test (`n_rows`).
        settings: how many of each.
        seed: of the controls.

    Raises:
        ValueError: vectors and rows differ in number, or there are fewer rows than twice
            `concept_texts`.
    """
    n_concept = settings.concept_texts
    if len(sentence_vectors) != rows.size or rows.size < 2 * n_concept:
        raise ValueError(
            f"found {len(sentence_vectors)} vectors of {rows.size} sentences, expected as many of "
            f"each and {2 * n_concept} or more"
        )
    # One order for all, so that the controls of a descriptor depend on no other.
    order = np.random.default_rng([seed, _STREAM]).permutation(rows.size)
    concept, control = {}, {}
    for number, vector in enumerate(descriptor_vectors):
        nearest = np.argsort(-(sentence_vectors @ vector), kind="stable")[:n_concept]
        others = order[~np.isin(order, nearest)][: settings.control_texts]
        concept[number], control[number] = rows[nearest], rows[others]
    return ConceptTexts(concept, control)


def cosy(task: CosyTask, settings: CosySettings) -> list[Figure]:
    """All figures of the protocol, sample by sample.

    Readings: the first descriptor; `mean` and `best` over the first k, the best being the greatest
    on the texts it is told on, as PRISM has it. It says something only beside the `baseline`, the
    same over as many random descriptors of like size, and the `null`, the same over the descriptors
    of another neuron that has as many. `several` holds the neurons with two descriptors or more,
    for which alone the three readings differ.
    """
    allowed = np.zeros(task.sizes.size, dtype=np.bool_)
    allowed[sorted(task.texts.concept)] = True
    samples = tuple(each.restricted(allowed, settings.k) for each in task.samples)
    figures: list[Figure] = []
    for sample, scores in zip(samples, _scores(task, settings, samples, allowed), strict=True):
        if len(sample) < settings.minimum_neurons:
            what = "described neurons whose first descriptor has texts"
            figures.append(
                too_few(PROTOCOL, sample.name, len(sample), settings.minimum_neurons, what)
            )
        else:
            figures += scores.figures(
                PROTOCOL,
                sample,
                k=settings.k,
                minimum_neurons=settings.minimum_neurons,
                several_metrics=METRICS,
                seed=task.seed,
                texts=task.texts.reading,
            )
    return figures


class _PlacedTexts:
    """Texts as places among the rows that are read."""

    def __init__(self, texts: ConceptTexts) -> None:
        used = [*texts.concept.values(), *texts.control.values()]
        self.rows = np.unique(np.concatenate([np.empty(0, np.int64), *used]))
        self._places = {
            descriptor: (
                np.searchsorted(self.rows, own),
                np.searchsorted(self.rows, texts.control[descriptor]),
            )
            for descriptor, own in texts.concept.items()
        }

    def readings(self, column: FloatArray, descriptors: IntArray) -> DoubleArray:
        """AUROC and MAD of each reading (`n_readings, 2`); NaN without descriptors."""
        if not descriptors.size:
            return np.full((len(_READINGS), len(METRICS)), np.nan)
        single = np.empty((descriptors.size, len(METRICS)))
        for number, descriptor in enumerate(descriptors.tolist()):
            concept, control = (column[places] for places in self._places[descriptor])
            single[number] = (
                concept_auroc(concept, control),
                mean_activation_difference(concept, control),
            )
        return np.stack([single[0], single.mean(axis=0), single.max(axis=0)])


def _scores(
    task: CosyTask,
    settings: CosySettings,
    samples: tuple[DescribedTails, ...],
    allowed: BoolArray,
) -> list[ReadingScores]:
    """One pass over the activations for all samples."""
    others = [dealt_to_others(sample.ranking, seed=task.seed) for sample in samples]
    random = [
        size_matched(
            sample.ranking,
            task.sizes,
            nearest=settings.nearest_sizes,
            allowed=allowed,
            seed=task.seed,
        )
        for sample in samples
    ]
    texts = _PlacedTexts(task.texts)
    scores = [ReadingScores.undefined(len(each), _READINGS, METRICS) for each in samples]
    columns = tail_columns(task.activations, texts.rows, samples, task.watch)
    for number, place, column in columns:
        found = scores[number]
        found.own[place] = texts.readings(column, listed(samples[number].ranking, place))
        found.null[place] = texts.readings(column, listed(others[number], place))
        found.baseline[place] = texts.readings(column, listed(random[number], place))
    return scores
