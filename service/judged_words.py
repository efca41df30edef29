"""The words of a run's sentences and how strongly they drive the tails that judges are asked about.

Every sentence is read once, whichever tails need it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.judges import WordedText
from indexer.arrays import DoubleArray, IntArray

if TYPE_CHECKING:
    from neurons.word_activations import WordStrengths
    from service.evaluated_run import EvaluatedRun
    from service.judged_run import DrawnTail

_RESTING_SENTENCES = 200
_STREAM = 32


@dataclass(frozen=True, eq=False)
class TailWords:
    """Texts of one tail in their order, with the strengths of their words (`n_words` each).

    Texts without a word are left out. `resting` is the median strength of the words of discover
    sentences drawn at random.
    """

    texts: tuple[WordedText, ...]
    strengths: tuple[DoubleArray, ...]
    resting: float


def tail_words(
    run: EvaluatedRun, tails: Sequence[DrawnTail], rows: Sequence[IntArray]
) -> list[TailWords]:
    """Read the words of some sentences of each tail.

    Args:
        run: the run, whose activations are not imported.
        tails: whose activations are read.
        rows: the sentences of each tail.

    Raises:
        InputError: the subject model cannot be loaded.
        BackendError: it computes activations that are no finite numbers.
    """
    from neurons.word_activations import word_strengths

    names = [tail.neuron for tail in tails]
    resting = _resting(run, tails)
    wanted: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for number, own in enumerate(rows):
        for place, row in enumerate(own.tolist()):
            wanted[row].append((number, place))
    found: list[dict[int, tuple[WordedText, DoubleArray]]] = [{} for _ in tails]
    every = np.array(sorted(wanted), dtype=np.int64)
    for read in word_strengths(run.subject, run.corpus, names, every, progress=run.progress):
        worded = _worded(read)
        if not worded.places:
            continue
        for number, place in wanted[read.row]:
            found[number][place] = (worded, read.strengths[:, number].astype(np.float64))
    return [
        TailWords(
            tuple(own[place][0] for place in sorted(own)),
            tuple(own[place][1] for place in sorted(own)),
            float(rest),
        )
        for own, rest in zip(found, resting, strict=True)
    ]


def _resting(run: EvaluatedRun, tails: Sequence[DrawnTail]) -> DoubleArray:
    """The usual strength of a word for each tail (`n_tails`)."""
    from neurons.word_activations import word_strengths

    generator = np.random.default_rng([run.settings.seed, _STREAM])
    drawn = np.sort(generator.permutation(run.split_rows.discover)[:_RESTING_SENTENCES])
    names = [tail.neuron for tail in tails]
    read = [one.strengths for one in word_strengths(run.subject, run.corpus, names, drawn)]
    return np.asarray(np.median(np.concatenate(read), axis=0), dtype=np.float64)


def _worded(read: WordStrengths) -> WordedText:
    return WordedText(read.text, tuple((start, end) for start, end in read.places.tolist()))
