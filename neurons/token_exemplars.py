"""The words, or tokens, on which a tail of a neuron is most active over a corpus.

Sentences are read a portion at a time, and only the strongest words of every tail are kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import FloatArray, IntArray
from indexer.errors import BackendError
from indexer.records import Record
from neurons.exemplars import NeuronTail, top_rows
from neurons.records import NeuronId, Tail
from neurons.statistics import strongest
from neurons.word_spans import Spans, token_spans, word_spans

if TYPE_CHECKING:
    from neurons.extraction import TextSource
    from neurons.store import ActivationStore
    from neurons.subject import SubjectModel
    from neurons.tokens import TokenActivations

_PORTION_BYTES = 1 << 26
_PORTION_SENTENCES = 4096
_TOKEN_BUDGET = 4096


class StrongSpan(Record):
    """`text` as it stands in a sentence (`start` to `end` in characters), and the activation."""

    row: int
    start: int
    end: int
    text: str
    activation: float


class TopWord(Record):
    """A word as it first stands among the strongest, how often it does, its mean activation."""

    word: str
    count: int
    mean_activation: float


class TokenExemplars(Record):
    """The strongest words, or tokens, of one tail of a neuron, strongest first."""

    neuron: str
    tail: Tail
    spans: tuple[StrongSpan, ...]

    @property
    def top_words(self) -> tuple[TopWord, ...]:
        """The words among the strongest, most frequent first, then by strength.

        Words that differ in case only are one.
        """
        alike: dict[str, list[StrongSpan]] = defaultdict(list)
        for span in self.spans:
            alike[span.text.casefold()].append(span)
        words = [
            TopWord(
                word=own[0].text,
                count=len(own),
                mean_activation=sum(span.activation for span in own) / len(own),
            )
            for own in alike.values()
        ]
        sign = 1.0 if self.tail is Tail.POSITIVE else -1.0
        return tuple(sorted(words, key=lambda word: (-word.count, -sign * word.mean_activation)))


class TokenExemplarReport(Record):
    """The strongest words of every tail, and what was read for them.

    `blank_tokens` hold no character to show and are part of no word. `truncated_tokens` did not fit
    into the model.
    """

    exemplars: tuple[TokenExemplars, ...]
    sentences: int
    spans: int
    blank_tokens: int
    truncated_tokens: int


def rows_that_matter(
    store: ActivationStore, neurons: Sequence[NeuronId], rows: IntArray, limit: int
) -> IntArray:
    """The `limit` strongest sentences among `rows` of both tails of every neuron, in order.

    In a store of maxima they hold the `limit` strongest words of every positive tail, but for ties
    within half precision and for sentences without a word, or longer than the model can read. For
    negative tails, and other poolings, they are only likely places.

    Raises:
        InputError: a layer site has fewer units.
        RunError: a layer site is not stored.
    """
    tails = (NeuronTail(neuron, tail) for neuron in neurons for tail in Tail)
    chosen = [top_rows(store, tail, rows, limit) for tail in tails]
    return np.unique(np.concatenate([np.empty(0, np.int64), *chosen]))


def find_token_exemplars(
    subject: SubjectModel,
    texts: TextSource,
    neurons: Sequence[NeuronId],
    rows: IntArray,
    limit: int,
    *,
    whole_words: bool = True,
    progress: bool = False,
) -> TokenExemplarReport:
    """Run sentences through the model and keep the strongest words of both tails of every neuron.

    A word's activation is the largest over its tokens, for the negative tail the smallest. Special
    tokens are left out. Ties go to the earlier of `rows`, then to the earlier word. Memory holds a
    portion of sentences and `limit` words per tail.

    Args:
        subject: the model.
        texts: the corpus.
        neurons: whose words are looked for.
        rows: sentences to read, for example `rows_that_matter`.
        limit: words per tail.
        whole_words: whether to rank words, or single tokens as the model reads them.
        progress: whether to show a progress bar on stderr.

    Raises:
        InputError: the model lacks one of the neurons, or a text is not valid Unicode.
        BackendError: the model computes infinite activations, or such as are not numbers.
        ValueError: `limit` is below 0.
    """
    if limit < 0:
        raise ValueError(f"limit is {limit}, expected 0 or more")
    from indexer.progress_bar import ProgressBar

    tails = {tail: _Kept.none(len(neurons), limit) for tail in Tail}
    n_spans = blank = truncated = 0
    with ProgressBar(total=len(rows), desc="words", unit="sentence", disable=not progress) as bar:
        for own_rows, read in _portions(subject, texts, neurons, rows):
            spans = [_spans(one, whole_words) for one in read]
            places = _places(own_rows, spans)
            for tail, kept in tails.items():
                kept.merge(_strengths(read, spans, tail), places)
            n_spans += len(places)
            blank += sum(len(one.tokens) for one in read) - sum(len(one.tokens) for one in spans)
            truncated += sum(one.truncated_tokens for one in read)
            bar.update(len(own_rows))
    return TokenExemplarReport(
        exemplars=_named(texts, neurons, tails),
        sentences=len(rows),
        spans=n_spans,
        blank_tokens=blank,
        truncated_tokens=truncated,
    )


@dataclass(frozen=True)
class _Kept:
    """The strongest spans so far of one tail of every neuron, strongest first.

    `strengths` point in the tail's direction (`n_neurons, limit`), minus infinity where there is no
    span yet; `places` are row, start and end (`n_neurons, limit, 3`).
    """

    strengths: FloatArray
    places: IntArray

    @classmethod
    def none(cls, n_neurons: int, limit: int) -> _Kept:
        """Room for `limit` spans per neuron."""
        strengths = np.full((n_neurons, limit), -np.inf, dtype=np.float32)
        return cls(strengths, np.full((n_neurons, limit, 3), -1, dtype=np.int64))

    def merge(self, strengths: FloatArray, places: IntArray) -> None:
        """Let later spans (`n_neurons, n_spans`; places `n_spans, 3`) replace weaker ones."""
        limit = self.strengths.shape[1]
        if not limit:
            return
        stronger = strengths > self.strengths[:, -1:]
        for neuron in np.flatnonzero(stronger.any(axis=1)):
            new = np.flatnonzero(stronger[neuron])
            # What was kept comes first, because ties go to the earlier.
            both = np.concatenate([self.strengths[neuron], strengths[neuron, new]])
            best = strongest(both, limit)
            self.strengths[neuron] = both[best]
            self.places[neuron] = np.concatenate([self.places[neuron], places[new]])[best]


def _portions(
    subject: SubjectModel, texts: TextSource, neurons: Sequence[NeuronId], rows: IntArray
) -> Iterator[tuple[IntArray, list[TokenActivations]]]:
    """Token activations of some rows after the other, in bounded memory."""
    from neurons.tokens import token_activations

    most_tokens = max(1, _PORTION_BYTES // (4 * max(1, len(neurons))))
    for first in range(0, len(rows), _PORTION_SENTENCES):
        window = rows[first : first + _PORTION_SENTENCES]
        own = list(texts.texts_at(window))
        # A token has a character at least, so this is hardly ever too small.
        sizes = [min(len(text) + 2, subject.maximum_tokens) for text in own]
        portions = np.cumsum(sizes) // most_tokens
        for portion in np.unique(portions):
            inside = np.flatnonzero(portions == portion)
            read = token_activations(
                subject,
                [own[place] for place in inside],
                neurons,
                token_budget=min(_TOKEN_BUDGET, most_tokens),
            )
            for row, one in zip(window[inside], read, strict=True):
                _check_finite(subject, int(row), one)
            yield window[inside], read


def _check_finite(subject: SubjectModel, row: int, read: TokenActivations) -> None:
    finite = np.isfinite(read.activations)
    if not finite.all():
        token, column = np.argwhere(~finite)[0]
        raise BackendError(
            f"{subject.name} computes {read.activations[token, column]} for {read.neurons[column]} "
            f"on sentence row {row}; its weights are damaged or overflow in float32. "
            "Try another checkpoint."
        )


def _spans(read: TokenActivations, whole_words: bool) -> Spans:
    return word_spans(read.text, read.tokens) if whole_words else token_spans(read.tokens)


def _places(rows: IntArray, spans: Sequence[Spans]) -> IntArray:
    """Row, start and end of every span of a portion (`n_spans, 3`)."""
    counts = [len(one.places) for one in spans]
    own_rows = np.repeat(rows, counts)
    return np.column_stack([own_rows, np.concatenate([one.places for one in spans])])


def _strengths(read: Sequence[TokenActivations], spans: Sequence[Spans], tail: Tail) -> FloatArray:
    """How strong every span of a portion is towards a tail (`n_neurons, n_spans`)."""
    sign = np.float32(1.0 if tail is Tail.POSITIVE else -1.0)
    values = [own.strongest(sign * one.activations) for one, own in zip(read, spans, strict=True)]
    return np.ascontiguousarray(np.concatenate(values).T)


def _named(
    texts: TextSource, neurons: Sequence[NeuronId], tails: Mapping[Tail, _Kept]
) -> tuple[TokenExemplars, ...]:
    rows = np.unique(np.concatenate([kept.places[..., 0].ravel() for kept in tails.values()]))
    rows = rows[rows >= 0]
    shown = dict(zip(rows.tolist(), texts.texts_at(rows), strict=True))
    return tuple(
        TokenExemplars(
            neuron=str(neuron), tail=tail, spans=tuple(_strong_spans(kept, number, tail, shown))
        )
        for number, neuron in enumerate(neurons)
        for tail, kept in tails.items()
    )


def _strong_spans(
    kept: _Kept, number: int, tail: Tail, texts: Mapping[int, str]
) -> Iterator[StrongSpan]:
    sign = 1.0 if tail is Tail.POSITIVE else -1.0
    places, strengths = kept.places[number].tolist(), kept.strengths[number].tolist()
    for (row, start, end), strength in zip(places, strengths, strict=True):
        if row >= 0:
            yield StrongSpan(
                row=row,
                start=start,
                end=end,
                text=texts[row][start:end],
                activation=round(sign * strength, 4) + 0.0,
            )
