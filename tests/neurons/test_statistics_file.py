from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.errors import RunError
from neurons.records import NeuronId, Pooling, Site
from neurons.statistics import neuron_statistics
from neurons.statistics_file import STATISTICS_FILE, read_statistics, write_statistics
from neurons.statistics_records import FIGURES, QUANTILES, StoreStatistics
from neurons.store import (
    ActivationStore,
    ExtractionReport,
    StoredSite,
    StoreLayout,
    StoreManifest,
)

SITES = (
    StoredSite(layer=0, site=Site.FFN, units=5),
    StoredSite(layer=0, site=Site.HIDDEN, units=3),
    StoredSite(layer=11, site=Site.FFN, units=5),
)
COLUMNS = [
    ("neuron", "string"),
    ("layer", "int32"),
    ("site", "string"),
    ("unit", "int32"),
    ("n_sentences", "int64"),
    ("constant", "bool"),
    ("mean", "double"),
    ("deviation", "double"),
    ("skewness", "double"),
    ("excess_kurtosis", "double"),
    ("minimum", "double"),
    ("maximum", "double"),
    ("zero_share", "double"),
    ("positive_share", "double"),
    ("quantile_0.001", "double"),
    ("quantile_0.01", "double"),
    ("quantile_0.05", "double"),
    ("quantile_0.25", "double"),
    ("quantile_0.5", "double"),
    ("quantile_0.75", "double"),
    ("quantile_0.95", "double"),
    ("quantile_0.99", "double"),
    ("quantile_0.999", "double"),
    ("top_positive", "list<element: int64>"),
    ("top_positive_activations", "list<element: float>"),
    ("top_negative", "list<element: int64>"),
    ("top_negative_activations", "list<element: float>"),
]
SLOW_WRITING = """
import os, sys
from pathlib import Path
import pyarrow.parquet as pq
from neurons.statistics_file import read_statistics, write_statistics

path = Path(sys.argv[1])
statistics = read_statistics(path)
written = pq.write_table

def half(table, target, **options):
    written(table, target, **options)
    os.truncate(target, os.path.getsize(target) // 2)
    os.kill(os.getpid(), 9)

pq.write_table = half
write_statistics(path, statistics)
"""


def statistics(n_sentences: int = 40, kept: int = 6, seed: int = 0) -> StoreStatistics:
    """Of random activations with ties; unit 1 of each site never changes."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for stored in SITES:
        values = generator.normal(size=(n_sentences, stored.units)).round(1).astype(np.float16)
        values[:, 1] = -0.5
        arrays[stored.layer_site] = values
    layout = StoreLayout(
        key="k",
        n_sentences=n_sentences,
        window_sentences=8,
        pooling=Pooling.MAX,
        sites=SITES,
    )
    manifest = StoreManifest(layout=layout, report=ExtractionReport(), parity=None)
    return neuron_statistics(ActivationStore(Path("somewhere"), manifest, arrays), kept)


def assert_same(found: StoreStatistics, expected: StoreStatistics) -> None:
    assert found.sites == expected.sites
    assert found.n_sentences == expected.n_sentences
    for name in (*FIGURES, "quantiles"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    for mine, theirs in (
        (found.positive, expected.positive),
        (found.negative, expected.negative),
    ):
        np.testing.assert_array_equal(mine.rows, theirs.rows)
        np.testing.assert_array_equal(mine.activations, theirs.activations)
        assert (mine.rows.dtype, mine.activations.dtype) == (np.int64, np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / STATISTICS_FILE


@pytest.mark.parametrize(("n_sentences", "kept"), [(40, 6), (40, 0), (1, 6), (3, 99)])
def test_what_is_written_is_read(n_sentences: int, kept: int, path: Path) -> None:
    expected = statistics(n_sentences, kept)
    write_statistics(path, expected)
    found = read_statistics(path)
    assert_same(found, expected)
    for neuron in expected.neurons:
        assert found.of(neuron) == expected.of(neuron)


def test_the_columns_are_plain_figures(path: Path) -> None:
    expected = statistics()
    write_statistics(path, expected)
    assert [(field.name, str(field.type)) for field in pq.read_schema(path)] == COLUMNS
    assert [name for name, _ in COLUMNS if name.startswith("quantile_")] == [
        f"quantile_{share}" for share in QUANTILES
    ]
    rows = pq.read_table(path).to_pylist()
    names = [row["neuron"] for row in rows]
    assert names == [str(neuron) for neuron in expected.neurons]
    assert (rows[8]["neuron"], rows[8]["layer"], rows[8]["site"], rows[8]["unit"]) == (
        *("L11.ffn.0", 11),
        *("ffn", 0),
    )
    found = expected.of(NeuronId(11, Site.FFN, 0))
    assert rows[8]["top_negative"] == [one.row for one in found.top_negative]
    assert rows[8]["top_negative_activations"] == [one.activation for one in found.top_negative]
    assert rows[1]["constant"]
    assert (rows[1]["skewness"], rows[1]["excess_kurtosis"]) == (None, None)


def test_equal_statistics_are_equal_bytes(path: Path, tmp_path: Path) -> None:
    write_statistics(path, statistics())
    write_statistics(tmp_path / "again.parquet", statistics())
    write_statistics(tmp_path / "reread.parquet", read_statistics(path))
    assert path.read_bytes() == (tmp_path / "again.parquet").read_bytes()
    assert path.read_bytes() == (tmp_path / "reread.parquet").read_bytes()


def test_a_killed_write_leaves_the_earlier_file(path: Path) -> None:
    write_statistics(path, statistics())
    before = path.read_bytes()
    ended = subprocess.run(
        [sys.executable, "-c", SLOW_WRITING, str(path)], env=os.environ, check=False
    )
    assert ended.returncode == -9
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir() if one != path] == [
        f"{STATISTICS_FILE}.partial"
    ]
    write_statistics(path, statistics(seed=1))
    assert_same(read_statistics(path), statistics(seed=1))
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_is_told_and_leaves_the_earlier_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_statistics(path, statistics())

    def full(*_arguments: Any, **_options: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", full)
        with pytest.raises(RunError, match=r"cannot write .*neurons[.]parquet: No space left"):
            write_statistics(path, statistics(seed=1))
    assert_same(read_statistics(path), statistics())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"PAR1PAR1", b"PAR1" + bytes(500) + b"PAR1"])
def test_what_is_no_parquet_file_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / STATISTICS_FILE
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"cannot read .*neurons[.]parquet"):
        read_statistics(path)


def test_a_missing_file_is_told(path: Path) -> None:
    with pytest.raises(RunError, match="cannot read"):
        read_statistics(path)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_flipped_bit_is_told_or_changes_nothing(place: int, bit: int, tmp_path: Path) -> None:
    path = tmp_path / STATISTICS_FILE
    write_statistics(path, statistics())
    content = bytearray(path.read_bytes())
    # The pages come before the footer, whose damage pyarrow tells, and have checksums.
    footer = int.from_bytes(content[-8:-4], "little") + 8
    content[place % (len(content) - footer)] ^= 1 << bit
    path.write_bytes(content)
    try:
        found = read_statistics(path)
    except RunError:
        return
    assert_same(found, statistics())


def _columns(table: pa.Table, **changed: Any) -> pa.Table:
    """The table with some columns of other values."""
    for name, values in changed.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values))
    return table


def _first(table: pa.Table, name: str, value: Any) -> list[Any]:
    return [value, *table[name].to_pylist()[1:]]


DAMAGES: dict[str, Any] = {
    "a column is missing": lambda t: t.drop_columns(["mean"]),
    "there is no row": lambda t: t.slice(0, 0),
    "the last unit is missing from a site's middle": lambda t: pa.concat_tables(
        [t.slice(0, 4), t.slice(5)]
    ).take([*range(1, 12)]),
    "a site comes twice": lambda t: pa.concat_tables([t, t.slice(0, 5)]),
    "neurons are in another order": lambda t: t.take([1, 0, *range(2, 13)]),
    "a site is unknown": lambda t: _columns(t, site=["attn"] * 13),
    "an address does not fit": lambda t: _columns(t, neuron=_first(t, "neuron", "L0.ffn.9")),
    "sentence counts differ": lambda t: _columns(t, n_sentences=_first(t, "n_sentences", 41)),
    "there are no sentences": lambda t: _columns(t, n_sentences=[0] * 13),
    "a mean is beyond the maximum": lambda t: _columns(t, mean=_first(t, "mean", 99.0)),
    "a mean is missing": lambda t: _columns(t, mean=_first(t, "mean", None)),
    "a mean is not a number": lambda t: _columns(t, mean=_first(t, "mean", float("nan"))),
    "a maximum is infinite": lambda t: _columns(t, maximum=_first(t, "maximum", float("inf"))),
    "quantiles fall": lambda t: _columns(t, **{"quantile_0.5": _first(t, "quantile_0.5", 5.0)}),
    "a deviation is negative": lambda t: _columns(t, deviation=_first(t, "deviation", -1.0)),
    "a varying neuron is said to be constant": lambda t: _columns(
        t, constant=_first(t, "constant", True)
    ),
    "a skewness is missing": lambda t: _columns(t, skewness=_first(t, "skewness", None)),
    "a share is above one": lambda t: _columns(t, zero_share=_first(t, "zero_share", 1.5)),
    "a row is beyond the sentences": lambda t: _columns(
        t, top_positive=_first(t, "top_positive", [40, 1, 2, 3, 4, 5])
    ),
    "a row comes twice": lambda t: _columns(
        t, top_negative=_first(t, "top_negative", t["top_negative"][0].as_py()[:1] * 6)
    ),
    "a list is shorter": lambda t: _columns(t, top_positive=_first(t, "top_positive", [1, 2])),
    "a list is missing": lambda t: _columns(t, top_positive=_first(t, "top_positive", None)),
    "a list has a gap": lambda t: _columns(
        t, top_positive=_first(t, "top_positive", [1, None, 2, 3, 4, 5])
    ),
    "the strongest come last": lambda t: _columns(
        t,
        top_positive_activations=pa.array(
            [each[::-1] for each in t["top_positive_activations"].to_pylist()],
            pa.list_(pa.float32()),
        ),
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_content_that_makes_no_sense_is_told(damage: str, path: Path) -> None:
    write_statistics(path, statistics())
    damaged = DAMAGES[damage](pq.read_table(path))
    pq.write_table(damaged, path)
    with pytest.raises(RunError, match=r"cannot read .*neurons[.]parquet"):
        read_statistics(path)


def test_damages_start_from_a_table_that_is_sound(path: Path) -> None:
    write_statistics(path, statistics())
    table = pq.read_table(path)
    same = _columns(table, mean=table["mean"].to_pylist(), site=table["site"].to_pylist())
    pq.write_table(same, path)
    assert_same(read_statistics(path), statistics())
