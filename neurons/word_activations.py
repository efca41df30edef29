"""How strongly the words of some texts drive tails of neurons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import FloatArray, IntArray
from indexer.errors import BackendError
from neurons.exemplars import NeuronTail
from neurons.records import Tail
from neurons.word_spans import word_spans

if TYPE_CHECKING:
    from neurons.extraction import TextSource
    from neurons.subject import SubjectModel
    from neurons.tokens import TokenActivations

_PORTION_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class WordStrengths:
    """The words of one text, `text[start:end]` each, and how strongly they drive some tails.

    Words that did not fit into the model are left out.

    Attributes:
        row: of the corpus.
        text: the sentence in it.
        places: `start` and `end` of each word (`n_words, 2`).
        strengths: activations that point in each tail's direction, the largest of a word's tokens
            (`n_words, n_tails`).
    """

    row: int
    text: str
    places: IntArray
    strengths: FloatArray


def word_strengths(
    subject: SubjectModel,
    texts: TextSource,
    tails: Sequence[NeuronTail],
    rows: IntArray,
    *,
    progress: bool = False,
) -> Iterator[WordStrengths]:
    """Read some sentences, in order; memory holds a portion of them.

    Args:
        subject: the model.
        texts: the corpus.
        tails: what is read.
        rows: sentences to read.
        progress: whether to show a progress bar on stderr.

    Raises:
        InputError: the model lacks one of the neurons, or a text is not valid Unicode.
        BackendError: the model computes infinite activations, or such as are not numbers.
    """
    from indexer.progress_bar import ProgressBar
    from neurons.tokens import token_activations

    signs = np.array([1.0 if each.tail is Tail.POSITIVE else -1.0 for each in tails], np.float32)
    per_sentence = 4 * max(1, len(tails)) * subject.maximum_tokens
    size = max(1, _PORTION_BYTES // per_sentence)
    with ProgressBar(total=len(rows), desc="words", unit="sentence", disable=not progress) as bar:
        for first in range(0, len(rows), size):
            portion = rows[first : first + size]
            own = list(texts.texts_at(portion))
            read = token_activations(subject, own, [each.neuron for each in tails])
            for row, one in zip(portion.tolist(), read, strict=True):
                _check_finite(subject, row, one)
                spans = word_spans(one.text, one.tokens)
                strengths = spans.strongest(signs * one.activations)
                yield WordStrengths(row, one.text, spans.places, strengths)
            bar.update(len(portion))


def _check_finite(subject: SubjectModel, row: int, read: TokenActivations) -> None:
    if not np.isfinite(read.activations).all():
        raise BackendError(
            f"{subject.name} computes an activation that is no finite number on sentence row "
            f"{row}; its weights are damaged or overflow in float32. Try another checkpoint."
        )
