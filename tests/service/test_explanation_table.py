"""Explanations as columns, against the reader of records."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from indexer.errors import RunError
from neurons.explanation_file import read_explanations
from neurons.records import NeuronId, Site, Tail
from neurons.store import StoredSite
from service.explanation_table import ExplanationTable


@pytest.fixture(scope="module")
def path(small_run: Path) -> Path:
    return small_run / "explanations.parquet"


@pytest.fixture(scope="module")
def table(path: Path) -> ExplanationTable:
    return ExplanationTable.read(path)


def test_it_holds_what_the_reader_of_records_reads(path: Path, table: ExplanationTable) -> None:
    expected = read_explanations(path)
    assert [table.explanation(place) for place in range(len(table))] == expected
    assert list(table.values()) == expected
    assert [(str(neuron), tail) for neuron, tail in table] == [
        (each.neuron, each.tail) for each in expected
    ]
    assert table.described.tolist() == [bool(each.matches) for each in expected]


def test_a_tail_is_found_by_its_address(path: Path, table: ExplanationTable) -> None:
    for each in read_explanations(path):
        assert table[NeuronId.parse(each.neuron), each.tail] == each


@pytest.mark.parametrize("unit", [48, 2**24, 2**70])
def test_an_unknown_tail_is_not_found(table: ExplanationTable, unit: int) -> None:
    neuron = NeuronId(0, Site.FFN, unit)
    assert table.place(neuron, Tail.POSITIVE) is None
    assert (neuron, Tail.POSITIVE) not in table
    assert (NeuronId(2**70, Site.FFN, 0), Tail.POSITIVE) not in table


def test_the_carriers_of_a_descriptor_come_surest_first(
    path: Path, table: ExplanationTable
) -> None:
    carriers = [
        (match.evidence, each.neuron, each.tail)
        for each in read_explanations(path)
        for match in each.matches
        if match.descriptor_id == table.identifiers[0]
    ]
    carriers.sort(key=lambda carrier: carrier[0])
    found = table.carrying(table.identifiers[0])
    keys = [table.key(int(table.matches.tail[number])) for number in found]
    assert [(str(neuron), tail) for neuron, tail in keys] == [each[1:] for each in carriers]
    assert table.tails_of(table.identifiers[0]) == len(carriers)
    assert table.carrying("none").size == table.tails_of("none") == 0


def test_it_knows_whether_it_is_about_the_neurons_of_a_store(table: ExplanationTable) -> None:
    sites = [
        StoredSite(layer=layer, site=site, units=units)
        for layer in (0, 1)
        for site, units in ((Site.FFN, 48), (Site.HIDDEN, 32))
    ]
    assert table.is_about(sites)
    assert not table.is_about(sites[1:])
    assert not table.is_about([*sites[1:], StoredSite(layer=0, site=Site.FFN, units=47)])


def set_value(column: str, row: int, value: object) -> Callable[[pa.Table], pa.Table]:
    def changed(table: pa.Table) -> pa.Table:
        values = table[column].to_pylist()
        values[row] = value
        place = table.schema.get_field_index(column)
        return table.set_column(place, column, pa.array(values, table.schema.field(column).type))

    return changed


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (set_value("neuron", 0, "L0.ffn"), "is no neuron"),
        (set_value("neuron", 0, "L0.ffn.16777216"), "above"),
        (set_value("neuron", 0, None), "no address"),
        (set_value("neuron", 0, "L0.attn.1"), "none of ffn, hidden"),
        (set_value("tail", 0, "both"), "none of"),
        (set_value("reason", 0, "tired"), "none of"),
        (set_value("rank", 0, 1), "rank is not given"),
        (lambda table: table.drop_columns(["auroc"]), "auroc"),
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "not together"),
    ],
)
def test_a_damaged_table_is_refused(
    path: Path, tmp_path: Path, change: Callable[[pa.Table], pa.Table], told: str
) -> None:
    table = pq.read_table(path)
    order = np.argsort(table["reason"].is_null().to_numpy(), kind="stable")
    damaged = tmp_path / "explanations.parquet"
    pq.write_table(change(table.take(pa.array(order))), damaged)
    with pytest.raises(RunError, match=told):
        ExplanationTable.read(damaged)


@pytest.mark.parametrize("content", [None, b"", b"PAR1"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    damaged = tmp_path / "explanations.parquet"
    if content is not None:
        damaged.write_bytes(content)
    with pytest.raises(RunError, match="cannot read"):
        ExplanationTable.read(damaged)
