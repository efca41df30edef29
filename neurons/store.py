"""The activation store of a run: one memory-mapped float16 file per layer and site.

Beside the files `L{layer}.{site}.npy` (`n_sentences, n_units`; rows as in corpus.parquet) lie
journal.json, which says which windows of sentences are complete, and manifest.json, which is
written last, so that its presence means that the store is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from indexer.arrays import FloatArray, IntArray
from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import read_json, why_unreadable
from neurons.parity import ParityReport
from neurons.records import LayerSite, Pooling, Site

MANIFEST_NAME = "manifest.json"
JOURNAL_NAME = "journal.json"
HalfArray = NDArray[np.float16]


class ExtractionReport(Record):
    """What an extraction read and what it had to leave out or change.

    `tokens` includes special tokens and excludes padding. `truncated_tokens` are the content tokens
    beyond the maximum length; `windowed_sentences` were read in several windows instead.
    `clipped_values` lay beyond the range of float16. A sentence without
    content tokens was given the activations of its first (special) token.
    """

    sentences: int = 0
    tokens: int = 0
    padded_tokens: int = 0
    truncated_sentences: int = 0
    truncated_tokens: int = 0
    windowed_sentences: int = 0
    clipped_values: int = 0
    sentences_without_content_tokens: int = 0

    def plus(self, other: ExtractionReport) -> ExtractionReport:
        """The report of both parts together."""
        mine, theirs = self.model_dump(), other.model_dump()
        return ExtractionReport(**{name: mine[name] + theirs[name] for name in mine})


class StoredSite(Record):
    """One file of the store."""

    layer: int
    site: Site
    units: int

    @property
    def layer_site(self) -> LayerSite:
        """The address the file is named after."""
        return LayerSite(self.layer, self.site)

    @property
    def file_name(self) -> str:
        """The name of the file inside the store."""
        return f"{self.layer_site}.npy"


class StoreLayout(Record):
    """What decides the bytes of a store; two stores of the same layout are interchangeable.

    `key` is the caller's fingerprint of model, corpus and settings.
    """

    key: str
    n_sentences: int
    window_sentences: int
    pooling: Pooling
    sites: tuple[StoredSite, ...]
    dtype: str = "float16"


class StoreManifest(Record):
    """The content of the store's manifest.json."""

    layout: StoreLayout
    report: ExtractionReport
    parity: ParityReport | None


@dataclass(frozen=True)
class ActivationStore:
    """A complete store, open for reading; arrays stay on disk until they are looked at."""

    folder: Path
    manifest: StoreManifest
    _arrays: dict[LayerSite, HalfArray]

    @classmethod
    def open(cls, folder: Path) -> ActivationStore:
        """Open the store in `folder`.

        Raises:
            RunError: the store is incomplete, damaged, or a file has another shape than announced.
        """
        manifest = read_manifest(folder)
        if manifest is None:
            raise RunError(
                f"{folder} has no {MANIFEST_NAME}: the extraction has not finished. "
                "Run the same command again to continue it."
            )
        layout = manifest.layout
        arrays = {
            stored.layer_site: _mapped(folder / stored.file_name, layout.n_sentences, stored.units)
            for stored in layout.sites
        }
        return cls(folder, manifest, arrays)

    @property
    def layer_sites(self) -> tuple[LayerSite, ...]:
        """The layer sites that are stored, in the order of the layers."""
        return tuple(self._arrays)

    @property
    def n_sentences(self) -> int:
        """The number of rows of every array."""
        return self.manifest.layout.n_sentences

    @property
    def n_neurons(self) -> int:
        """The number of neurons over all layer sites."""
        return sum(array.shape[1] for array in self._arrays.values())

    def units(self, layer_site: LayerSite) -> int:
        """The number of units of one layer site.

        Raises:
            RunError: the layer site is not stored.
        """
        return int(self.array(layer_site).shape[1])

    def array(self, layer_site: LayerSite) -> HalfArray:
        """The read-only memory map of one layer site (`n_sentences, n_units`).

        Raises:
            RunError: the layer site is not stored.
        """
        if layer_site not in self._arrays:
            stored = ", ".join(str(known) for known in self._arrays)
            raise RunError(f"{layer_site} is not in {self.folder}; stored are {stored}")
        return self._arrays[layer_site]

    def columns(
        self, layer_site: LayerSite, units: slice, rows: IntArray | None = None
    ) -> FloatArray:
        """Read some units of some rows (all rows if None) into memory (`n_rows, n_units`).

        Raises:
            RunError: the layer site is not stored.
        """
        array = self.array(layer_site)
        chosen = array[:, units] if rows is None else array[rows, units]
        return np.asarray(chosen, dtype=np.float32, order="C")


def read_manifest(folder: Path) -> StoreManifest | None:
    """The manifest of a complete store, or None where the store is not complete.

    Raises:
        RunError: the manifest is damaged.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return None
    try:
        return StoreManifest.model_validate(read_json(path))
    except ValidationError as error:
        raise RunError(
            f"{path} is damaged ({error.error_count()} fields do not fit); "
            f"remove {folder} and run again"
        ) from error


def _mapped(path: Path, n_sentences: int, units: int) -> HalfArray:
    try:
        array: HalfArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = why_unreadable(error, "array of numbers")
        raise RunError(
            f"{path} is missing or damaged ({reason}); remove {path.parent} and run again"
        ) from error
    if array.shape != (n_sentences, units) or array.dtype != np.float16:
        raise RunError(
            f"{path} holds {array.dtype} of shape {array.shape}, expected float16 of shape "
            f"({n_sentences}, {units}); remove {path.parent} and run again"
        )
    return array
