"""`explanations.parquet`: every tail of every neuron, with its ranked matches or its abstention."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from indexer.arrays import BoolArray
from indexer.errors import RunError
from indexer.storage import atomic_path, read_table
from neurons.matching import TAILS, Matches
from neurons.records import AbstentionReason, Explanation, Match, NeuronId, Tail

EXPLANATIONS_FILE = "explanations.parquet"


def described_tails(matches: Matches) -> BoolArray:
    """Which tails have a match (`n_neurons, 2`)."""
    described = np.zeros(matches.constant.shape, dtype=bool)
    described[matches.neuron, matches.tail] = True
    return described


def abstention(matches: Matches, neuron: int, tail: int) -> AbstentionReason:
    """Why a tail without matches has none."""
    if matches.constant[neuron, tail]:
        return AbstentionReason.CONSTANT
    if not matches.beats_null[neuron, tail]:
        return AbstentionReason.NO_MATCH
    if not matches.strong_enough[neuron, tail]:
        return AbstentionReason.WEAK
    return AbstentionReason.NOT_REPLICATED


def _rows(
    matches: Matches, neurons: Sequence[NeuronId], descriptors: Sequence[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    described = described_tails(matches)
    place = 0
    for number, neuron in enumerate(neurons):
        for tail_number, tail in enumerate(TAILS):
            address = {"neuron": str(neuron), "tail": tail.value}
            if not described[number, tail_number]:
                yield {**address, "reason": abstention(matches, number, tail_number).value}
                continue
            while (
                place < len(matches.neuron)
                and matches.neuron[place] == number
                and matches.tail[place] == tail_number
            ):
                identifier, text = descriptors[matches.descriptor[place]]
                yield {
                    **address,
                    "rank": int(matches.rank[place]),
                    "descriptor_id": identifier,
                    "descriptor": text,
                    "auroc": float(matches.auroc[place]),
                    "ci_low": float(matches.ci_low[place]),
                    "ci_high": float(matches.ci_high[place]),
                    "q": float(matches.q[place]),
                    "exemplar_z": float(matches.exemplar_z[place]),
                }
                place += 1


def write_explanations(
    path: Path,
    matches: Matches,
    neurons: Sequence[NeuronId],
    descriptors: Sequence[tuple[str, str]],
) -> None:
    """Write the explanations of all tails.

    Args:
        path: of the file.
        matches: what `match` found.
        neurons: address of each column that was matched.
        descriptors: id and text of each membership row.

    Raises:
        ValueError: other neurons were matched than are named.
        RunError: the file cannot be written.
    """
    if len(neurons) != len(matches.constant):
        raise ValueError(f"{len(matches.constant)} neurons were matched, {len(neurons)} are named")
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = ("auroc", "ci_low", "ci_high", "q", "exemplar_z")
    schema = pa.schema(
        [
            ("neuron", pa.string()),
            ("tail", pa.string()),
            ("rank", pa.int32()),
            ("descriptor_id", pa.string()),
            ("descriptor", pa.string()),
            *((name, pa.float64()) for name in numbers),
            ("reason", pa.string()),
        ]
    )
    table = pa.Table.from_pylist(list(_rows(matches, neurons, descriptors)), schema=schema)
    with atomic_path(path) as partial:
        pq.write_table(table, partial)


def read_explanations(path: Path) -> list[Explanation]:
    """The explanation of every tail, in the order of the store.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        rows = read_table(path).to_pylist()
        return [
            _explanation(neuron, tail, list(own))
            for (neuron, tail), own in groupby(rows, lambda row: (row["neuron"], row["tail"]))
        ]
    except (KeyError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}. Re-run to rebuild it.") from error


def _explanation(neuron: str, tail: str, rows: list[dict[str, Any]]) -> Explanation:
    if rows[0]["reason"] is not None:
        reason = AbstentionReason(rows[0]["reason"])
        return Explanation(neuron=neuron, tail=Tail(tail), reason=reason)
    fields = Match.model_fields
    matches = tuple(Match(**{name: row[name] for name in fields}) for row in rows)
    return Explanation(neuron=neuron, tail=Tail(tail), matches=matches)
