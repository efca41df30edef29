"""`neurons.parquet`: one row per neuron with its statistics and strongest sentences.

The pages carry checksums, and what is read is checked for sense, so that a damaged file is told
instead of believed.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.arrays import BoolArray, DoubleArray, FloatArray, IntArray
from indexer.errors import RunError
from indexer.storage import atomic_path
from neurons.records import Site
from neurons.statistics_records import FIGURES, QUANTILES, StoreStatistics, StrongestRows
from neurons.store import StoredSite

STATISTICS_FILE = "neurons.parquet"

_TAILS = ("top_positive", "top_negative")
_UNDEFINED = ("skewness", "excess_kurtosis")
"""Figures that are null where a neuron never changes."""


def write_statistics(path: Path, statistics: StoreStatistics) -> None:
    """Write one row per neuron, in the order of the store.

    Raises:
        RunError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    neurons = list(statistics.neurons)
    columns: dict[str, Any] = {
        "neuron": [str(neuron) for neuron in neurons],
        "layer": [neuron.layer for neuron in neurons],
        "site": [neuron.site.value for neuron in neurons],
        "unit": [neuron.unit for neuron in neurons],
        "n_sentences": np.full(len(neurons), statistics.n_sentences),
        "constant": statistics.constant,
        **{name: _nullable(getattr(statistics, name)) for name in FIGURES},
        **dict(zip(map(_quantile_name, QUANTILES), statistics.quantiles.T, strict=True)),
    }
    for name, tail in zip(_TAILS, (statistics.positive, statistics.negative), strict=True):
        columns[name] = _lists(tail.rows)
        columns[f"{name}_activations"] = _lists(tail.activations)
    table = pa.table([columns[field.name] for field in _schema()], schema=_schema())
    with atomic_path(path) as partial:
        pq.write_table(table, partial, write_page_checksum=True)


def read_statistics(path: Path) -> StoreStatistics:
    """Read what `write_statistics` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, page_checksum_verification=True)
        table.validate(full=True)
        return _statistics(table)
    except (OSError, pa.ArrowException, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}. Re-run to rebuild it.") from error


def _schema() -> Any:
    import pyarrow as pa

    numbers = (*FIGURES, *map(_quantile_name, QUANTILES))
    return pa.schema(
        [
            ("neuron", pa.string()),
            ("layer", pa.int32()),
            ("site", pa.string()),
            ("unit", pa.int32()),
            ("n_sentences", pa.int64()),
            ("constant", pa.bool_()),
            *((name, pa.float64()) for name in numbers),
            *(
                field
                for name in _TAILS
                for field in (
                    (name, pa.list_(pa.int64())),
                    (f"{name}_activations", pa.list_(pa.float32())),
                )
            ),
        ]
    )


def _quantile_name(share: float) -> str:
    return f"quantile_{share}"


def _nullable(figures: DoubleArray) -> Any:
    import pyarrow as pa

    return pa.array(figures, from_pandas=True)


def _lists(values: NDArray[Any]) -> Any:
    """Each row of `values` as a list (`n_neurons, n_kept`)."""
    import pyarrow as pa

    offsets = pa.array(np.arange(len(values) + 1) * values.shape[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, values.ravel())


def _statistics(table: Any) -> StoreStatistics:
    """The statistics of a table.

    Raises:
        ValueError: what it holds cannot have been written.
    """
    if not table.schema.equals(_schema()):
        raise ValueError(f"found columns {table.schema.names}, expected {_schema().names}")
    lengths = np.unique(table["n_sentences"].to_numpy())
    if len(lengths) != 1 or lengths[0] < 1:
        raise ValueError(f"found sentence counts {lengths.tolist()}, expected one above 0")
    for name in table.schema.names:
        if name not in _UNDEFINED and table[name].null_count:
            raise ValueError(
                f"{name} is missing for {table[name].null_count} neurons, expected for none"
            )
    n_kept = len(table[_TAILS[0]][0])
    found = StoreStatistics(
        sites=_sites(table),
        n_sentences=int(lengths[0]),
        **{name: table[name].to_numpy() for name in FIGURES},
        quantiles=np.stack(
            [table[_quantile_name(share)].to_numpy() for share in QUANTILES], axis=1
        ),
        positive=_strongest_rows(table, _TAILS[0], n_kept),
        negative=_strongest_rows(table, _TAILS[1], n_kept),
    )
    _check_figures(found, table["constant"].to_numpy())
    _check_tail(found.positive.rows, found.positive.activations, found.maximum, found.n_sentences)
    _check_tail(found.negative.rows, -found.negative.activations, -found.minimum, found.n_sentences)
    return found


def _sites(table: Any) -> tuple[StoredSite, ...]:
    places = list(zip(table["layer"].to_pylist(), table["site"].to_pylist(), strict=True))
    sites = tuple(
        StoredSite(layer=layer, site=Site(site), units=len(list(own)))
        for (layer, site), own in groupby(places)
    )
    if len({stored.layer_site for stored in sites}) != len(sites):
        raise ValueError("the neurons of a layer site are not together")
    units = [unit for stored in sites for unit in range(stored.units)]
    names = [f"L{layer}.{site}.{unit}" for (layer, site), unit in zip(places, units, strict=True)]
    if table["unit"].to_pylist() != units or table["neuron"].to_pylist() != names:
        raise ValueError("the neurons are not all units of each layer site in order")
    return sites


def _strongest_rows(table: Any, name: str, n_kept: int) -> StrongestRows:
    columns = []
    for column in (table[name].combine_chunks(), table[f"{name}_activations"].combine_chunks()):
        values = column.flatten()
        if values.null_count or (column.value_lengths().to_numpy() != n_kept).any():
            raise ValueError(f"{name} has gaps or lists of several lengths, expected {n_kept}")
        columns.append(values.to_numpy().reshape(len(column), n_kept))
    return StrongestRows(*columns)


def _check_figures(found: StoreStatistics, constant: BoolArray) -> None:
    varying = ~found.constant
    climbing = np.column_stack([found.minimum, found.quantiles, found.maximum])
    zero, positive = found.zero_share, found.positive_share
    # Comparisons with what is not a number are false.
    sound = {
        "minimum, quantiles and maximum climb": np.diff(climbing) >= 0.0,
        "they are finite": np.isfinite(climbing),
        "mean lies between": (found.minimum <= found.mean) & (found.mean <= found.maximum),
        "constant neurons are marked": constant == found.constant,
        "deviation fits": np.where(varying, found.deviation > 0.0, found.deviation == 0.0),
        "deviation is finite": np.isfinite(found.deviation),
        "skewness fits": np.isfinite(found.skewness) == varying,
        "excess_kurtosis fits": np.isfinite(found.excess_kurtosis) == varying,
        "shares fit": (zero >= 0.0) & (positive >= 0.0) & (zero + positive <= 1.0 + 1e-9),
    }
    wrong = [name for name, holds in sound.items() if not holds.all()]
    if wrong:
        raise ValueError(f"not true of every neuron: {'; '.join(wrong)}")


def _check_tail(
    rows: IntArray, strengths: FloatArray, strongest: DoubleArray, n_sentences: int
) -> None:
    """Refuse what is not the strongest sentences of a tail, strongest first, ties in row order."""
    if not rows.shape[1]:
        return
    order = np.sort(rows, axis=1)
    falls, climbs = np.diff(strengths) <= 0.0, np.diff(rows) > 0
    if (
        order[:, 0].min() < 0
        or order[:, -1].max() >= n_sentences
        or (np.diff(order) == 0).any()
        or not (strengths[:, 0] == strongest).all()
        or not (falls & (climbs | (np.diff(strengths) < 0.0))).all()
    ):
        raise ValueError("the strongest sentences do not fit the other figures")
