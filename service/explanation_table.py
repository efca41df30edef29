"""The explanations of a run as columns; records are made for what is asked.

A record for each of a hundred thousand tails would fill the memory of a service that shows twenty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from indexer.arrays import BoolArray, DoubleArray, IntArray
from indexer.errors import RunError
from indexer.storage import read_table
from neurons.matching import TAILS
from neurons.records import AbstentionReason, Explanation, Match, NeuronId, Site, Tail
from neurons.store import StoredSite

SITES = tuple(Site)
REASONS = tuple(AbstentionReason)
_ADDRESS = r"^L(?P<layer>[0-9]+)\.(?P<site>[a-z]+)\.(?P<unit>[0-9]+)$"
_LIMIT = 2**24
"""Of layers and units, so that an address fits into a number."""
_NUMBERS = ("auroc", "ci_low", "ci_high", "q", "exemplar_z")


@dataclass(frozen=True, eq=False)
class MatchColumns:
    """Every match, those of a tail together and by rank (each `n_matches`).

    `descriptor` are positions in the table's `identifiers`, `text` in its `texts`, `tail` among the
    tails.
    """

    tail: IntArray
    rank: IntArray
    descriptor: IntArray
    text: IntArray
    auroc: DoubleArray
    ci_low: DoubleArray
    ci_high: DoubleArray
    q: DoubleArray
    exemplar_z: DoubleArray


@dataclass(frozen=True, eq=False)
class ExplanationTable(Mapping[tuple[NeuronId, Tail], Explanation]):
    """The tails of a run in file order (each array `n_tails`); a mapping of their explanations.

    `site`, `tail` and `reason` are positions in `SITES`, `TAILS` and `REASONS`, `reason` -1 for a
    tail that is described. The matches of tail i are those from `first[i]` to `first[i + 1]`.
    """

    layer: IntArray
    site: IntArray
    unit: IntArray
    tail: IntArray
    reason: IntArray
    first: IntArray
    matches: MatchColumns
    identifiers: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> ExplanationTable:
        """Read an `explanations.parquet`.

        Raises:
            RunError: the file is missing or damaged.
        """
        import pyarrow as pa

        try:
            return _of_table(read_table(path))
        except (pa.ArrowException, KeyError, ValueError) as error:
            raise RunError(f"cannot read {path}: {error}. Re-run to rebuild it.") from error

    def __len__(self) -> int:
        return len(self.tail)

    def __iter__(self) -> Iterator[tuple[NeuronId, Tail]]:
        return (self.key(place) for place in range(len(self)))

    def __getitem__(self, key: tuple[NeuronId, Tail]) -> Explanation:
        place = self.place(*key)
        if place is None:
            raise KeyError(key)
        return self.explanation(place)

    @property
    def described(self) -> BoolArray:
        """Which tails have a match (`n_tails`)."""
        return np.asarray(self.reason < 0)

    def is_about(self, sites: Iterable[StoredSite]) -> bool:
        """Whether every tail is of a unit of one of `sites`."""
        inside = np.zeros(len(self), dtype=np.bool_)
        for each in sites:
            own = (self.layer == each.layer) & (self.site == SITES.index(each.site))
            inside |= own & (self.unit < each.units)
        return bool(inside.all())

    def key(self, place: int) -> tuple[NeuronId, Tail]:
        """The address of one tail."""
        site = SITES[self.site[place]]
        neuron = NeuronId(int(self.layer[place]), site, int(self.unit[place]))
        return neuron, TAILS[self.tail[place]]

    def place(self, neuron: NeuronId, tail: Tail) -> int | None:
        """Where a tail lies, None if it is not there."""
        if max(neuron.unit, neuron.layer) >= _LIMIT:
            return None
        keys, order = self._sorted_keys
        wanted = _keys(neuron.layer, SITES.index(neuron.site), neuron.unit, TAILS.index(tail))
        found = int(np.searchsorted(keys, wanted))
        return int(order[found]) if found < len(keys) and keys[found] == wanted else None

    def match(self, number: int) -> Match:
        """One match."""
        columns = self.matches
        return Match(
            rank=int(columns.rank[number]),
            descriptor_id=self.identifiers[columns.descriptor[number]],
            descriptor=self.texts[columns.text[number]],
            **{name: float(getattr(columns, name)[number]) for name in _NUMBERS},
        )

    def explanation(self, place: int) -> Explanation:
        """The matches of one tail, or its abstention."""
        neuron, tail = self.key(place)
        code = int(self.reason[place])
        own = range(int(self.first[place]), int(self.first[place + 1]))
        return Explanation(
            neuron=str(neuron),
            tail=tail,
            matches=tuple(self.match(number) for number in own),
            reason=None if code < 0 else REASONS[code],
        )

    def carrying(self, identifier: str) -> IntArray:
        """The matches by one descriptor, the surest first, ties in file order."""
        if identifier not in self._numbers:
            return np.empty(0, dtype=np.int64)
        own = np.flatnonzero(self.matches.descriptor == self._numbers[identifier])
        return own[np.lexsort((-self.matches.exemplar_z[own], self.matches.q[own]))]

    def tails_of(self, identifier: str) -> int:
        """How many tails have a descriptor among their matches."""
        number = self._numbers.get(identifier)
        return 0 if number is None else int(self._tails_of[number])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {identifier: number for number, identifier in enumerate(self.identifiers)}

    @cached_property
    def _tails_of(self) -> IntArray:
        return np.bincount(self.matches.descriptor, minlength=len(self.identifiers))

    @cached_property
    def _sorted_keys(self) -> tuple[IntArray, IntArray]:
        keys = np.asarray(_keys(self.layer, self.site, self.unit, self.tail))
        order = np.argsort(keys, kind="stable")
        return keys[order], order


def _keys(layer: Any, site: Any, unit: Any, tail: Any) -> Any:
    """A number for each address."""
    return ((layer * len(SITES) + site) * _LIMIT + unit) * len(TAILS) + tail


def _of_table(table: Any) -> ExplanationTable:
    """The columns of a table.

    Raises:
        ValueError: what the table holds cannot have been written.
    """
    rows, addresses = _coded(table["neuron"])
    tails = _positions(table["tail"], [tail.value for tail in TAILS])
    reasons = _positions(table["reason"], [reason.value for reason in REASONS], missing=True)
    starts = np.flatnonzero(np.diff(rows, prepend=-1) | np.diff(tails, prepend=-1))
    matched = reasons < 0
    _check(table, matched)
    layer, site, unit = _parsed(addresses)
    own = rows[starts]
    before = np.concatenate([[0], np.cumsum(matched)])
    found = ExplanationTable(
        layer=layer[own],
        site=site[own],
        unit=unit[own],
        tail=tails[starts],
        reason=reasons[starts],
        first=before[np.concatenate([starts, [len(rows)]]).astype(np.int64)],
        **_matches(table, matched, starts),
    )
    keys, _ = found._sorted_keys
    if (np.diff(keys) == 0).any() or ((np.diff(found.first) == 0) != (found.reason >= 0)).any():
        raise ValueError("the rows of a tail are not together")
    return found


def _parsed(addresses: list[str]) -> tuple[IntArray, IntArray, IntArray]:
    """Layer, site and unit of each address, as `NeuronId.parse` reads them one by one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = pc.extract_regex(pa.array(addresses, pa.string()), _ADDRESS)
    if parts.null_count:
        raise ValueError(f"{addresses[parts.is_null().index(True).as_py()]!r} is no neuron")
    layer, unit = (
        np.asarray(parts.field(name).cast(pa.int64()), dtype=np.int64) for name in ("layer", "unit")
    )
    if (layer >= _LIMIT).any() or (unit >= _LIMIT).any():
        raise ValueError(f"a layer or a unit is above {_LIMIT}")
    return layer, _positions(parts.field("site"), [site.value for site in SITES]), unit


def _check(table: Any, matched: BoolArray) -> None:
    """Refuse rows that are neither a match nor an abstention."""
    for name in ("rank", "descriptor_id", "descriptor", *_NUMBERS):
        known = table[name].is_valid().to_numpy()
        if (known != matched).any():
            raise ValueError(f"{name} is not given for the matches and only for them")


def _matches(table: Any, matched: BoolArray, starts: IntArray) -> dict[str, Any]:
    import pyarrow as pa

    only = table.filter(pa.array(matched))
    descriptors, identifiers = _coded(only["descriptor_id"])
    texts, phrases = _coded(only["descriptor"])
    tail = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(matched))))[matched]
    columns = MatchColumns(
        tail=tail,
        rank=only["rank"].to_numpy().astype(np.int64),
        descriptor=descriptors,
        text=texts,
        **{name: only[name].to_numpy().astype(np.float64) for name in _NUMBERS},
    )
    return {"matches": columns, "identifiers": tuple(identifiers), "texts": tuple(phrases)}


def _coded(column: Any) -> tuple[IntArray, list[str]]:
    """A column of texts as positions among its distinct ones, and these."""
    if column.null_count:
        raise ValueError(f"{column.null_count} rows have no address")
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _positions(column: Any, known: list[str], *, missing: bool = False) -> IntArray:
    """Where each text of a column stands in `known`, -1 for a missing one if these may be."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(column, value_set=pa.array(known))
    if found.null_count != (column.null_count if missing else 0):
        raise ValueError(f"a text is none of {', '.join(known)}")
    return np.asarray(found.fill_null(-1).to_numpy(), dtype=np.int64)
