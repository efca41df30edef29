"""Sentences that show a neuron: its strongest, some at quantiles, some at random; with tokens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from descriptors.splits import SPLIT_ORDER
from indexer.arrays import FloatArray, IntArray
from indexer.errors import BackendError
from neurons.records import NeuronId, Tail
from service.imported_stage import is_imported
from service.views.records import ActivationRecord, ExemplarSet

if TYPE_CHECKING:
    from neurons.tokens import TokenActivations
    from service.views.opened_run import OpenedRun

TOP = 5
QUANTILES = (0.99, 0.9, 0.75, 0.5, 0.25)
RANDOM = 5
_DECIMALS = 4


@dataclass(frozen=True)
class ExemplarRows:
    """Corpus rows of the three kinds, for one tail."""

    top: IntArray
    quantiles: IntArray
    random: IntArray

    @property
    def every(self) -> IntArray:
        """All of them."""
        return np.concatenate([self.top, self.quantiles, self.random])


def exemplar_rows(values: FloatArray, seed: int) -> ExemplarRows:
    """Choose sentences by their activation in the direction of a tail (`n_sentences`).

    The strongest come first, ties in row order. For each quantile it is the sentence at it, or the
    nearest one below that is not shown yet. The random ones are drawn from all sentences by the
    seed alone, and come strongest first.
    """
    falling = np.argsort(-values, kind="stable")
    top = falling[:TOP]
    shown = set(top.tolist())
    quantiles = []
    for share in QUANTILES:
        place = len(values) - 1 - int(share * (len(values) - 1))
        left = (row for row in falling[place:].tolist() if row not in shown)
        row = next(left, None)
        if row is not None:
            quantiles.append(row)
            shown.add(row)
    generator = np.random.default_rng(seed)
    drawn = np.sort(generator.choice(len(values), min(RANDOM, len(values)), replace=False))
    return ExemplarRows(
        top=top,
        quantiles=np.asarray(quantiles, dtype=np.int64),
        random=drawn[np.argsort(-values[drawn], kind="stable")],
    )


def exemplar_sets(run: OpenedRun, neuron: NeuronId) -> dict[Tail, ExemplarSet]:
    """The sentences that show both tails of a neuron.

    Tokens are read in one go; a run that has imported its activations has none to show. The same
    random sentences are shown for both tails.

    Raises:
        BackendError: the model computes what is no number.
        RunError: the model cannot be loaded, or has changed since.
    """
    stored = run.store.array(neuron.layer_site)[:, neuron.unit].astype(np.float32)
    seed = int.from_bytes(hashlib.sha256(str(neuron).encode()).digest()[:8])
    directed = {Tail.POSITIVE: stored, Tail.NEGATIVE: -stored}
    chosen = {tail: exemplar_rows(values, seed) for tail, values in directed.items()}
    read = _read(run, neuron, np.unique(np.concatenate([each.every for each in chosen.values()])))
    sets = {}
    for tail, values in directed.items():
        records = _Records(run, stored, values, np.sort(values), read)
        sets[tail] = ExemplarSet(
            top=records.of(chosen[tail].top),
            quantiles=records.of(chosen[tail].quantiles),
            random=records.of(chosen[tail].random),
        )
    return sets


def _read(run: OpenedRun, neuron: NeuronId, rows: IntArray) -> dict[int, TokenActivations]:
    from neurons.tokens import token_activations

    if is_imported(run.settings):
        return {}
    guarded = run.guarded_subject
    with guarded.lock:
        read = token_activations(guarded.model, run.corpus.texts_at(rows), [neuron])
    if not all(np.isfinite(each.activations).all() for each in read):
        raise BackendError(
            f"{run.settings.model} computes no finite number for {neuron} on some of its "
            "sentences; its weights are damaged or overflow. Try another checkpoint"
        )
    return dict(zip(rows.tolist(), read, strict=True))


@dataclass(frozen=True)
class _Records:
    """What is needed to show a sentence for one tail.

    `stored` are the activations as they are, `values` in the direction of the tail, `rising` the
    same sorted (each `n_sentences`).
    """

    run: OpenedRun
    stored: FloatArray
    values: FloatArray
    rising: FloatArray
    read: dict[int, TokenActivations]

    def of(self, rows: IntArray) -> tuple[ActivationRecord, ...]:
        """The sentences in `rows`."""
        return tuple(self._record(row) for row in rows.tolist())

    def _record(self, row: int) -> ActivationRecord:
        corpus = self.run.corpus
        read = self.read.get(row)
        below = int(np.searchsorted(self.rising, self.values[row], side="left"))
        return ActivationRecord(
            sentence_id=corpus.ids[row].as_py(),
            text=corpus.text(row),
            split=SPLIT_ORDER[corpus.splits[row]],
            activation=float(self.stored[row]),
            quantile=below / len(self.rising),
            tokens=() if read is None else tuple(token.text for token in read.tokens),
            activations=() if read is None else _rounded(read),
            starts=() if read is None else tuple(token.start for token in read.tokens),
        )


def _rounded(read: TokenActivations) -> tuple[float, ...]:
    return tuple(round(float(value), _DECIMALS) for value in read.activations[:, 0])
