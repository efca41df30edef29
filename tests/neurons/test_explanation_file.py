from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import RunError
from neurons.explanation_file import (
    abstention,
    described_tails,
    read_explanations,
    write_explanations,
)
from neurons.matching import Matches
from neurons.records import AbstentionReason, NeuronId, Site, Tail

World = Any
Worlds = Callable[..., World]

NEURONS = [NeuronId(unit // 20, Site.FFN, unit % 20) for unit in range(40)]
DESCRIPTORS = [(f"d{number}", f"phrase {number} — “ü”") for number in range(12)]
COLUMNS = [
    ("neuron", "string"),
    ("tail", "string"),
    ("rank", "int32"),
    ("descriptor_id", "string"),
    ("descriptor", "string"),
    ("auroc", "double"),
    ("ci_low", "double"),
    ("ci_high", "double"),
    ("q", "double"),
    ("exemplar_z", "double"),
    ("reason", "string"),
]


@pytest.fixture
def matches(planted_world: World) -> Matches:
    activations = planted_world.activations.copy()
    activations[:, 39] = 1.0
    found: Matches = replace(planted_world, activations=activations).match()
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "explanations.parquet"


def test_what_is_written_is_read(matches: Matches, path: Path) -> None:
    write_explanations(path, matches, NEURONS, DESCRIPTORS)
    explanations = read_explanations(path)

    tails = [(str(neuron), tail) for neuron in NEURONS for tail in (Tail.POSITIVE, Tail.NEGATIVE)]
    assert [(one.neuron, one.tail) for one in explanations] == tails
    shown = [match for one in explanations for match in one.matches]
    assert [match.rank for match in shown] == matches.rank.tolist()
    for name in ("auroc", "ci_low", "ci_high", "q", "exemplar_z"):
        assert [getattr(match, name) for match in shown] == getattr(matches, name).tolist()
    named = [DESCRIPTORS[number] for number in matches.descriptor]
    assert [(match.descriptor_id, match.descriptor) for match in shown] == named
    described = described_tails(matches).ravel()
    assert 12 <= described.sum() < 80
    for place, one in enumerate(explanations):
        assert bool(one.matches) == described[place] == (one.reason is None)
        if one.reason is not None:
            assert one.reason is abstention(matches, place // 2, place % 2)
    assert [one.reason for one in explanations[-2:]] == [AbstentionReason.CONSTANT] * 2


def test_the_columns_are_those_of_the_design(matches: Matches, path: Path) -> None:
    write_explanations(path, matches, NEURONS, DESCRIPTORS)
    schema = pq.read_schema(path)
    assert [(field.name, str(field.type)) for field in schema] == COLUMNS
    rows = pq.read_table(path).to_pylist()
    assert all((row["rank"] is None) == (row["reason"] is not None) for row in rows)


def test_the_same_matches_give_the_same_bytes(matches: Matches, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_explanations(tmp_path / name, matches, NEURONS, DESCRIPTORS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("n_sets", [0, 12])
def test_a_run_in_which_every_tail_abstains(
    n_sets: int, unrelated_world: Worlds, path: Path
) -> None:
    matches = unrelated_world(seed=1, n_sets=n_sets).match()
    assert len(matches.neuron) == 0
    write_explanations(path, matches, NEURONS, DESCRIPTORS[:n_sets])
    explanations = read_explanations(path)
    assert len(explanations) == 80
    assert {one.reason for one in explanations} <= {
        AbstentionReason.NO_MATCH,
        AbstentionReason.NOT_REPLICATED,
        AbstentionReason.WEAK,
    }
    assert [(field.name, str(field.type)) for field in pq.read_schema(path)] == COLUMNS


def test_each_reason_of_abstention(unrelated_world: Worlds) -> None:
    world = unrelated_world(n_sentences=2000)
    generator = np.random.default_rng(0)
    activations = world.activations.copy()
    activations[:, 0] = 0.25
    # An AUROC of about 0.64 for a fifth of 2,000 sentences: real, and too small to be shown.
    sets = world.sets.copy()
    sets[1] = generator.random(2000) < 0.2
    activations[sets[1], 1] += 0.5
    activations[sets[2], 2] += 4.0
    activations[world.rows.validation, 2] = generator.normal(size=len(world.rows.validation))
    activations[sets[3], 3] += 4.0
    matches = replace(world, activations=activations, sets=sets).match()
    assert abstention(matches, 0, 0) is AbstentionReason.CONSTANT
    assert abstention(matches, 0, 1) is AbstentionReason.CONSTANT
    assert abstention(matches, 1, 0) is AbstentionReason.WEAK
    assert abstention(matches, 2, 0) is AbstentionReason.NOT_REPLICATED
    assert abstention(matches, 3, 1) is AbstentionReason.NO_MATCH
    described = described_tails(matches)
    assert described[3, 0]
    assert not described[:3].any()


def test_no_neuron_goes_unnamed(matches: Matches, path: Path) -> None:
    for wrong in (NEURONS[:-1], [*NEURONS, NEURONS[0]]):
        with pytest.raises(ValueError, match=f"40 neurons were matched, {len(wrong)} are named"):
            write_explanations(path, matches, wrong, DESCRIPTORS)
    assert not path.exists()


def without(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([name])


def with_value(name: str, value: object) -> Callable[[pa.Table], pa.Table]:
    def changed(table: pa.Table) -> pa.Table:
        place = table.column_names.index(name)
        return table.set_column(place, name, pa.array([value] * len(table)))

    return changed


@pytest.mark.parametrize(
    "damage",
    [
        without("neuron"),
        without("auroc"),
        without("reason"),
        with_value("tail", "sideways"),
        with_value("reason", "no idea"),
        with_value("rank", None),
        with_value("q", "small"),
    ],
)
def test_a_file_of_other_content_is_refused(
    damage: Callable[[pa.Table], pa.Table], matches: Matches, path: Path
) -> None:
    write_explanations(path, matches, NEURONS, DESCRIPTORS)
    pq.write_table(damage(pq.read_table(path)), path)
    with pytest.raises(RunError, match=r"cannot read .*explanations[.]parquet"):
        read_explanations(path)


@pytest.mark.parametrize("keep", [0, 4, 1000, -1])
def test_a_cut_file_is_refused(keep: int, matches: Matches, path: Path) -> None:
    write_explanations(path, matches, NEURONS, DESCRIPTORS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RunError, match="cannot read"):
        read_explanations(path)


def test_a_missing_file_is_told(path: Path) -> None:
    with pytest.raises(RunError, match="cannot read"):
        read_explanations(path)
