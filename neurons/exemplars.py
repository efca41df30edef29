"""The sentences that show what a neuron's tail responds to, with the tokens that carry it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from indexer.arrays import IntArray
from indexer.errors import InputError, RunError
from indexer.storage import atomic_path
from neurons.records import Exemplar, NeuronExemplars, NeuronId, Tail, TokenActivation

if TYPE_CHECKING:
    from neurons.extraction import TextSource
    from neurons.store import ActivationStore
    from neurons.subject import SubjectModel
    from neurons.tokens import TokenActivations

EXEMPLARS_FILE = "exemplars.jsonl"


@dataclass(frozen=True)
class NeuronTail:
    """One tail of a neuron."""

    neuron: NeuronId
    tail: Tail


def top_rows(store: ActivationStore, tail: NeuronTail, rows: IntArray, limit: int) -> IntArray:
    """The rows on which a tail is most active, strongest first, ties in the order of `rows`.

    Raises:
        InputError: the layer site has fewer units.
        RunError: the layer site is not stored.
    """
    array = store.array(tail.neuron.layer_site)
    if not 0 <= tail.neuron.unit < array.shape[1]:
        raise InputError(
            f"{tail.neuron} does not exist: {tail.neuron.layer_site} has {array.shape[1]} units, "
            f"0 to {array.shape[1] - 1}"
        )
    values = np.asarray(array[:, tail.neuron.unit], dtype=np.float32)[rows]
    towards = values if tail.tail is Tail.POSITIVE else -values
    return rows[np.argsort(-towards, kind="stable")[:limit]]


def find_exemplars(
    subject: SubjectModel,
    store: ActivationStore,
    texts: TextSource,
    tails: Sequence[NeuronTail],
    rows: IntArray,
    limit: int,
) -> list[NeuronExemplars]:
    """The most activating sentences of each tail among `rows`, with their token activations.

    Raises:
        InputError: a layer site has not the unit that is asked for.
        RunError: a layer site is not stored.
    """
    from neurons.tokens import token_activations

    chosen = [top_rows(store, tail, rows, limit) for tail in tails]
    wanted = np.unique(np.concatenate([np.empty(0, np.int64), *chosen]))
    read = token_activations(subject, list(texts.texts_at(wanted)), [tail.neuron for tail in tails])
    place = {int(row): number for number, row in enumerate(wanted)}
    return [
        NeuronExemplars(
            neuron=str(tail.neuron),
            tail=tail.tail,
            exemplars=tuple(
                _exemplar(int(row), read[place[int(row)]], column, store, tail.neuron)
                for row in own
            ),
        )
        for column, (tail, own) in enumerate(zip(tails, chosen, strict=True))
    ]


def _exemplar(
    row: int, read: TokenActivations, column: int, store: ActivationStore, neuron: NeuronId
) -> Exemplar:
    tokens = tuple(
        TokenActivation(start=token.start, end=token.end, activation=round(float(value), 4))
        for token, value in zip(read.tokens, read.activations[:, column], strict=True)
    )
    activation = float(store.array(neuron.layer_site)[row, neuron.unit])
    return Exemplar(row=row, activation=activation, tokens=tokens)


def write_exemplars(path: Path, exemplars: Sequence[NeuronExemplars]) -> None:
    """Write one JSON line per tail.

    Raises:
        RunError: the file cannot be written.
    """
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8") as handle:
        handle.writelines(each.model_dump_json() + "\n" for each in exemplars)


def read_exemplars(path: Path) -> list[NeuronExemplars]:
    """Read what `write_exemplars` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return [NeuronExemplars.model_validate_json(line) for line in lines]
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise RunError(f"cannot read {path}: {error}. Re-run to rebuild it.") from error
