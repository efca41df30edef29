"""What a matcher is given, what it answers, and what all rival matchers share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from eval.metrics import Ranking
from eval.rankings import N_RANKS
from indexer.arrays import DoubleArray, FloatArray, IntArray
from indexer.records import Record
from neurons.auroc import half_keys
from neurons.null import shuffled_order
from neurons.split_rows import Activations, SplitRows, Watch, finite_blocks, unwatched

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Columns = NDArray[np.floating[Any]]
"""Activations of a block of neurons, sentences side by side (`n_units, n_sentences`)."""

Rankings = tuple[Ranking, Ranking]
"""Ranked descriptors of every neuron, for each of `neurons.matching.TAILS`."""


class RivalSettings(Record):
    """The free choices of rival matchers; none is fitted to any data here.

    Attributes:
        n_exemplars: sentences that count as a neuron's exemplars: METHODS 1.3 for exemplar counts,
            and the default of CLIP-Dissect for soft WPMI.
        temperature: what similarities are multiplied by before the softmax over descriptors.
        prior_weight: the lambda of soft WPMI.
        first_probability: that the most activating sentence is an exemplar.
        last_probability: the same after the last exemplar; between them it falls in a line.
        top_share: of the sentences that rank reorder looks at.
        power: of the differences of rank reorder.
        similarity_power: of the mean similarity by which rank reorder divides its error.
    """

    n_exemplars: int = Field(default=100, ge=1)
    temperature: float = Field(default=10.0, gt=0.0)
    prior_weight: float = Field(default=1.0, ge=0.0)
    first_probability: float = Field(default=0.998, gt=0.0, lt=1.0)
    last_probability: float = Field(default=0.97, gt=0.0, lt=1.0)
    top_share: float = Field(default=0.05, gt=0.0, le=1.0)
    power: int = Field(default=3, ge=1)
    similarity_power: float = Field(default=0.5, ge=0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class MatcherTask:
    """Neurons and the descriptors, or labels, to rank for them.

    Matchers select on discover and validation only; they never look at test.

    Attributes:
        activations: all neurons.
        membership: which sentences each descriptor holds for (`n_descriptors, n_sentences`).
        rows: rows of each split.
        layers: the layer and site of every neuron as a number; equal ones lie side by side
            (`n_neurons`).
        sentence_vectors: unit vectors (`n_sentences, dimension`), for matchers that compare texts.
        descriptor_vectors: unit vectors of the words (`n_descriptors, dimension`), likewise.
        settings: free choices of the matchers.
        n_ranks: how many descriptors are ranked for each tail.
        watch: wraps the blocks of each pass over the activations, for a progress bar.

    Raises:
        ValueError: parts cover different sentences, descriptors or neurons.
    """

    activations: Activations
    membership: csr_matrix
    rows: SplitRows
    layers: IntArray
    sentence_vectors: FloatArray | None = None
    descriptor_vectors: FloatArray | None = None
    settings: RivalSettings = field(default_factory=RivalSettings)
    n_ranks: int = N_RANKS
    watch: Watch = unwatched

    def __post_init__(self) -> None:
        n_sentences = self.activations.n_sentences
        found = {"membership": self.membership.shape[1]}
        if self.sentence_vectors is not None:
            found["sentence_vectors"] = len(self.sentence_vectors)
        for name, n_covered in found.items():
            if n_covered != n_sentences:
                raise ValueError(f"{name}: {n_covered} sentences, activations have {n_sentences}")
        if len(self.layers) != self.activations.n_neurons:
            raise ValueError(f"{len(self.layers)} layers, {self.activations.n_neurons} neurons")
        n_described = self.membership.shape[0]
        if self.descriptor_vectors is not None and len(self.descriptor_vectors) != n_described:
            raise ValueError(
                f"{len(self.descriptor_vectors)} descriptor vectors, membership has {n_described}"
            )

    @property
    def selection(self) -> IntArray:
        """The sentences that matchers may look at, rising (`n_selected`)."""
        return np.sort(np.concatenate([self.rows.discover, self.rows.validation]))

    @property
    def selected_membership(self) -> csr_matrix:
        """1.0 where a descriptor holds for a selected sentence (`n_descriptors, n_selected`)."""
        from neurons.auroc import indicator

        return indicator(self.membership[:, self.selection])

    def similarities(self) -> FloatArray:
        """Cosine of every selected sentence and descriptor (`n_selected, n_descriptors`).

        Raises:
            ValueError: the task has no vectors.
        """
        if self.sentence_vectors is None or self.descriptor_vectors is None:
            raise ValueError(
                "sentence_vectors and descriptor_vectors are missing; this matcher compares texts"
            )
        sentences = np.asarray(self.sentence_vectors[self.selection], dtype=np.float32)
        # Stored in half precision, lengths are near 1 only.
        sentences /= np.linalg.norm(sentences, axis=1, keepdims=True)
        return np.asarray(sentences @ self.descriptor_vectors.T, dtype=np.float32)

    def columns(self) -> Iterator[Columns]:
        """Selected activations of all neurons, block by block (`n_units, n_selected`).

        Raises:
            RunError: an activation is no finite number.
        """
        selection = self.selection
        for block in finite_blocks(self.activations, self.watch):
            yield np.ascontiguousarray(block[selection].T)

    def shuffled(self, seed: int) -> MatcherTask:
        """The same task with the sentences of descriptors dealt to other documents of their split.

        Nothing is left to find: what a matcher answers then is its null.
        """
        order = shuffled_order(self.rows, self.activations.n_sentences, seed)
        vectors = None if self.sentence_vectors is None else self.sentence_vectors[order]
        return replace(self, membership=self.membership[:, order], sentence_vectors=vectors)


class RankingMatcher(Protocol):
    """Ranks descriptors for both tails of every neuron, best first."""

    def __call__(self, task: MatcherTask) -> Rankings:
        """The rankings of the positive and of the negative tail."""


def mirrored(columns: Columns) -> tuple[Columns, Columns]:
    """Activations such that the sentences of each of the two tails come highest."""
    return columns, -columns


def strongest_sentences(columns: Columns, limit: int) -> IntArray:
    """Positions of the highest activations of each unit, ties in order (`n_units, n_strongest`)."""
    keys = half_keys(columns) if columns.dtype == np.float16 else columns
    return np.argsort(-keys, axis=1, kind="stable")[:, :limit]


def key_type(n_keys: int) -> type[np.unsignedinteger[Any]]:
    """The type that holds the keys from 0 up to `n_keys` and sorts quickest."""
    return np.uint32 if n_keys < 1 << 32 else np.uint64


def best_of(scores: DoubleArray, n_ranks: int) -> tuple[IntArray, IntArray]:
    """The highest scores of each unit, ties in order, and how many there are.

    A score of minus infinity is none.

    Args:
        scores: of every candidate (`n_units, n_candidates`).
        n_ranks: how many are wanted; the answers are (`n_units, n_ranks`) and (`n_units`).
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n_ranks]
    places = np.zeros((len(scores), n_ranks), dtype=np.int64)
    places[:, : order.shape[1]] = order
    lengths = np.minimum(np.isfinite(scores).sum(axis=1), n_ranks)
    return places, lengths.astype(np.int64)


class RankingBuilder:
    """Puts the rankings of blocks of neurons together, in order."""

    def __init__(self, n_ranks: int) -> None:
        self._n_ranks = n_ranks
        self._places: list[IntArray] = []
        self._lengths: list[IntArray] = []

    def add(self, scores: DoubleArray) -> None:
        """Rank the next units by their scores (`n_units, n_candidates`); see `best_of`."""
        places, lengths = best_of(scores, self._n_ranks)
        self._places.append(places)
        self._lengths.append(lengths)

    def ranking(self) -> Ranking:
        """What was added so far."""
        return Ranking(np.concatenate(self._places), np.concatenate(self._lengths))
