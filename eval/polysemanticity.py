"""How many things do neurons respond to, by three signs that each have a control?

* *Groups*: distinct descriptors among the sentences of test on which a tail is most active
  (`neurons.exemplar_groups`), against sentences of random documents.
* *Descriptor cosine*: PRISM's score (Kopf, Feldhus, Bykov and others 2025), the mean cosine
  similarity of the embeddings of every two descriptors of a neuron; lower is more polysemantic.
  Any phrases of a corpus are alike to some degree, so it stands beside random descriptors. The
  matcher refuses descriptors that share most of their sentences, which lowers it.
* *Explained variance*: what all of a neuron's descriptors explain of its activation on test beyond
  the first one, by non-negative least squares (`neurons.joint`); descriptors without need add 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from eval.defined_means import defined_mean
from eval.described_tails import DescribedTails, listed, tail_columns, too_few
from eval.metrics import Ranking
from eval.random_descriptors import size_matched
from eval.records import Figure
from eval.tail_analyses import ExemplarGroupCounter, GroupCount, VarianceExplainer, Variances
from indexer.arrays import BoolArray, DoubleArray, FloatArray
from indexer.records import Record
from neurons.auroc import rarer_sizes, set_sizes
from neurons.exemplar_groups import ExemplarGroupSettings
from neurons.joint import JointSettings
from neurons.split_rows import Activations, SplitRows, Watch, unwatched

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PROTOCOL = "polysemanticity"
_STREAM = 15


class PolysemanticitySettings(Record):
    """What is judged; counts of descriptors, of neurons and of exemplars.

    `neurons` bounds the tails drawn of each site and sign, `k` their descriptors; groups and
    explained variance, which cost more, are told of the first `analysed_neurons` of them. Exemplars
    are `exemplar_share` of the test sentences, at least `fewest_exemplars`. Random descriptors are
    drawn among the `nearest_sizes` most like in size.
    """

    k: int = Field(default=5, ge=2)
    neurons: int = Field(default=2000, ge=1)
    analysed_neurons: int = Field(default=200, ge=1)
    minimum_neurons: int = Field(default=10, ge=1)
    exemplar_share: float = Field(default=0.01, gt=0.0, le=0.5)
    fewest_exemplars: int = Field(default=20, ge=1)
    nearest_sizes: int = Field(default=10, ge=1)
    groups: ExemplarGroupSettings = ExemplarGroupSettings(shuffles=0)
    joint: JointSettings = JointSettings(shuffles=0)


@dataclass(frozen=True)
class PolysemanticityTask:
    """A finished run as the protocol sees it.

    Attributes:
        activations: all neurons.
        membership: kept descriptors by sentences (`n_descriptors, n_sentences`).
        rows: rows of each split.
        descriptor_vectors: unit vectors of the descriptors' texts (`n_descriptors, dimension`).
        samples: the tails that are judged.
        seed: of the shuffles, the random descriptors and the bootstrap.
        watch: wraps the blocks of the pass over the activations, for a progress bar.
    """

    activations: Activations
    membership: csr_matrix
    rows: SplitRows
    descriptor_vectors: FloatArray
    samples: tuple[DescribedTails, ...]
    seed: int
    watch: Watch = unwatched


def mean_pairwise_cosine(ranking: Ranking, vectors: FloatArray, k: int) -> DoubleArray:
    """PRISM's score: mean cosine of every two of the first k descriptors (`n_neurons`).

    NaN for a neuron with fewer than two.

    Args:
        ranking: descriptors of each neuron.
        vectors: unit vectors of the descriptors' texts (`n_descriptors, dimension`).
        k: how many descriptors of a neuron count.
    """
    cosines = np.full(ranking.n_neurons, np.nan)
    lengths = np.minimum(ranking.lengths, k)
    for length in range(2, min(k, ranking.descriptors.shape[1]) + 1):
        neurons = np.flatnonzero(lengths == length)
        own = vectors[ranking.descriptors[neurons, :length]].astype(np.float64)
        # The square of the sum holds every pair twice, and each vector with itself.
        squares = (own.sum(axis=1) ** 2).sum(axis=1) - (own**2).sum(axis=(1, 2))
        cosines[neurons] = squares / (length * (length - 1))
    return cosines


def polysemanticity(task: PolysemanticityTask, settings: PolysemanticitySettings) -> list[Figure]:
    """All figures of the protocol, sample by sample.

    `exemplar_groups` and `covered`, the share of exemplars in a group, have as null exemplars of
    random documents. `several_descriptors` is the share of the described neurons with two
    descriptors or more; what is told of those alone is called `several`. The baseline of their
    `descriptor_cosine` is that of as many random descriptors of like size. `explained_variance` is
    told of the first descriptor (k = 1) and of all; its null deals the activations to other
    documents, its baseline keeps the first descriptor and replaces the others by random ones of
    like size.
    """
    n_test = task.rows.test.size
    n_exemplars = max(settings.fewest_exemplars, round(settings.exemplar_share * n_test))
    if n_test < 2 * n_exemplars:
        reason = (
            f"found {n_test} test sentences, expected {2 * n_exemplars} or more to tell "
            f"{n_exemplars} exemplars from the others; a larger corpus would do"
        )
        return [Figure.refused(PROTOCOL, reason, n=n_test)]
    every = np.ones(len(task.descriptor_vectors), dtype=np.bool_)
    samples = tuple(each.restricted(every, settings.k) for each in task.samples)
    several = tuple(each.take(np.flatnonzero(each.several)) for each in samples)
    figures = []
    for sample, own, groups, variances in zip(
        samples, several, *_analysed(task, settings, n_exemplars, samples, several), strict=True
    ):
        figures += _group_figures(sample.name, groups, settings, task.seed)
        figures += _several_figures(task, settings, sample, own)
        figures += _variance_figures(own.name, variances, settings, task.seed)
    return figures


_Groups = list[tuple[GroupCount, GroupCount]]
_Variances = list[tuple[Variances, Variances, Variances]]
"""Of each tail: its own, the null and the baseline."""


def _analysed(
    task: PolysemanticityTask,
    settings: PolysemanticitySettings,
    n_exemplars: int,
    samples: Sequence[DescribedTails],
    several: Sequence[DescribedTails],
) -> tuple[list[_Groups], list[_Variances]]:
    """Groups of some tails and variances of some of several descriptors, in one pass."""
    rows, joint = task.rows, settings.joint
    counter = ExemplarGroupCounter(task.membership, rows, n_exemplars, settings.groups, task.seed)
    explainer = VarianceExplainer(task.membership, rows, joint, task.seed)
    grouped = [_drawn(each, settings, task.seed) for each in samples]
    explained = [_drawn(each, settings, task.seed) for each in several]
    usable = rarer_sizes(task.membership[:, rows.discover]) >= joint.minimum_discover
    usable &= rarer_sizes(task.membership[:, rows.validation]) >= joint.minimum_validation
    random = [_random(task, settings, each, usable) for each in explained]
    groups: list[_Groups] = [[] for _ in grouped]
    variances: list[_Variances] = [[] for _ in explained]
    splits = np.concatenate([rows.discover, rows.validation, rows.test])
    both = [*grouped, *explained]
    for number, place, column in tail_columns(task.activations, splits, both, task.watch):
        if number < len(grouped):
            groups[number].append(counter.count(column[-rows.test.size :]))
            continue
        number -= len(grouped)
        own = listed(explained[number].ranking, place)
        others = listed(random[number], place)[: own.size - 1]
        found = (
            explainer.explained(column, own),
            explainer.explained(column, own, shuffled=True),
            explainer.explained(column, np.concatenate([own[:1], others])),
        )
        variances[number].append(found)
    return groups, variances


def _drawn(sample: DescribedTails, settings: PolysemanticitySettings, seed: int) -> DescribedTails:
    order = np.random.default_rng([seed, _STREAM]).permutation(len(sample))
    return sample.take(np.sort(order[: settings.analysed_neurons]))


def _random(
    task: PolysemanticityTask,
    settings: PolysemanticitySettings,
    sample: DescribedTails,
    allowed: BoolArray | None = None,
) -> Ranking:
    return size_matched(
        sample.ranking,
        set_sizes(task.membership[:, task.rows.discover]),
        nearest=settings.nearest_sizes,
        allowed=allowed,
        seed=task.seed,
    )


def _group_figures(
    name: str, groups: _Groups, settings: PolysemanticitySettings, seed: int
) -> list[Figure]:
    if len(groups) < settings.minimum_neurons:
        return [too_few(PROTOCOL, name, len(groups), settings.minimum_neurons, "described neurons")]

    def figure(metric: str, values: Sequence[tuple[float, float]]) -> Figure:
        own, null = np.array(values, dtype=np.float64).T
        return defined_mean(PROTOCOL, name, metric, own, null=null, seed=seed)

    return [
        figure("exemplar_groups", [(own.groups, null.groups) for own, null in groups]),
        figure("covered", [(own.covered, null.covered) for own, null in groups]),
    ]


def _several_figures(
    task: PolysemanticityTask,
    settings: PolysemanticitySettings,
    sample: DescribedTails,
    several: DescribedTails,
) -> list[Figure]:
    if len(sample) < settings.minimum_neurons:
        return []
    share = defined_mean(
        PROTOCOL,
        sample.name,
        "several_descriptors",
        sample.several.astype(np.float64),
        k=settings.k,
        seed=task.seed,
    )
    if len(several) < settings.minimum_neurons:
        return [share]

    def cosines(ranking: Ranking) -> DoubleArray:
        return mean_pairwise_cosine(ranking, task.descriptor_vectors, settings.k)

    return [
        share,
        defined_mean(
            PROTOCOL,
            f"several {sample.name}",
            "descriptor_cosine",
            cosines(several.ranking),
            baseline=cosines(_random(task, settings, several)),
            k=settings.k,
            seed=task.seed,
        ),
    ]


def _variance_figures(
    name: str, variances: _Variances, settings: PolysemanticitySettings, seed: int
) -> list[Figure]:
    name = f"several {name}"
    if len(variances) < settings.minimum_neurons:
        what = "neurons with two descriptors or more"
        return [too_few(PROTOCOL, name, len(variances), settings.minimum_neurons, what)]

    def values(of: Callable[[Variances], float]) -> DoubleArray:
        return np.array([[of(case) for case in each] for each in variances]).T

    def figure(metric: str, k: int, cases: DoubleArray) -> Figure:
        own, null, baseline = cases
        # By itself the first descriptor is the same in the baseline.
        other = baseline if k > 1 else None
        return defined_mean(PROTOCOL, name, metric, own, null=null, baseline=other, k=k, seed=seed)

    return [
        figure("explained_variance", 1, values(lambda case: case.first)),
        figure("explained_variance", settings.k, values(lambda case: case.all)),
        figure("explained_variance_gain", settings.k, values(lambda case: case.gain)),
    ]
