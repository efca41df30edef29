"""The words that drive a neuron most, among its strongest sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from neurons.records import NeuronId, Tail
from service.imported_stage import is_imported

if TYPE_CHECKING:
    from neurons.token_exemplars import TopWord
    from service.finished_run import FinishedRun

WORDS_KEPT = 50
"""Strongest words of a tail that are counted, and strongest sentences they are looked for in."""


def driving_words(run: FinishedRun, neuron: NeuronId) -> Mapping[Tail, tuple[TopWord, ...]]:
    """The words of each tail, those most frequent among its strongest first.

    Words of test sentences are among them, and none of them is a claim: they show what fires.
    A run whose activations were extracted elsewhere has none.

    Raises:
        RunError: the run is damaged, or its model has changed.
    """
    from neurons.token_exemplars import find_token_exemplars, rows_that_matter

    if is_imported(run.settings):
        return {tail: () for tail in Tail}
    every = np.arange(len(run.corpus), dtype=np.int64)
    rows = rows_that_matter(run.store, [neuron], every, WORDS_KEPT)
    found = find_token_exemplars(run.subject, run.corpus, [neuron], rows, WORDS_KEPT)
    return {each.tail: each.top_words for each in found.exemplars}
