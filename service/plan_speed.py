"""How fast this machine embeds, extracts and ranks, measured on a few real sentences."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from indexer.encoder import Encoder
    from neurons.subject import SubjectModel
    from service.settings import RunSettings

_WARM_UP_SENTENCES = 4
_FIRST_TRIAL = 16
_SECOND_TRIAL = 112
_QUICK_SECONDS = 0.5
_RANKED_UNITS = 32
_RANKED_SENTENCES = 4_096


def encoding_seconds(encoder: Encoder, sample: Sequence[str]) -> float:
    """Seconds a sentence."""
    return _seconds_each(encoder.encode, sample)


def extraction_seconds(
    subject: SubjectModel, sample: Sequence[str], settings: RunSettings, folder: Path
) -> float:
    """Seconds a sentence."""
    from neurons.extraction import extract
    from neurons.listed_texts import ListedTexts

    def work(texts: Sequence[str]) -> None:
        # A folder of its own: extraction goes on from what it finds in one.
        place = Path(tempfile.mkdtemp(dir=folder))
        extract(subject, ListedTexts(texts), place, settings.extraction, key="plan")

    return _seconds_each(work, sample)


def _seconds_each(work: Callable[[Sequence[str]], object], sample: Sequence[str]) -> float:
    """Seconds a sentence that `work` takes, after a warm-up; of few sentences where it is slow."""

    def timed(texts: Sequence[str]) -> float:
        began = time.perf_counter()
        work(texts)
        return time.perf_counter() - began

    work(sample[:_WARM_UP_SENTENCES])
    chosen = _spread(sample, _FIRST_TRIAL + _SECOND_TRIAL)
    few = chosen[:_FIRST_TRIAL]
    first = timed(few)
    if first > _QUICK_SECONDS:
        return first / len(few)
    return timed(chosen) / len(chosen)


def ranking_seconds(n_sentences: int) -> float:
    """Seconds a neuron."""
    from neurons.auroc import average_ranks

    size = max(2, min(n_sentences, _RANKED_SENTENCES))
    values = np.random.default_rng(0).standard_normal((size, _RANKED_UNITS), dtype=np.float32)
    stored = values.astype(np.float16)
    began = time.perf_counter()
    average_ranks(stored)
    # float16 values are counted, not sorted, which takes time in proportion to their number.
    return (time.perf_counter() - began) / _RANKED_UNITS * n_sentences / size


def _spread(sample: Sequence[str], size: int) -> list[str]:
    places = np.linspace(0, len(sample) - 1, min(size, len(sample))).astype(np.int64)
    # Shuffled, so that a first part of it is spread as well.
    return [sample[place] for place in np.random.default_rng(0).permutation(places)]
