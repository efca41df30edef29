"""Running a corpus through the subject model and keeping one activation per neuron and sentence.

The corpus is read in fixed windows of consecutive rows. Inside a window sentences of similar length
share a batch. A batch depends on its window only, so an interrupted extraction that continues
computes the same numbers as one that was never interrupted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from indexer.arrays import IntArray
from indexer.engine import Engine, LocalEngine, read_ahead
from indexer.errors import InputError
from indexer.free_memory import release_free_memory
from neurons.parity import ParityReport
from neurons.pieces import TokenizedPieces
from neurons.reading import ExtractionSettings, Reading, longest_input, read, tokenized
from neurons.store import (
    ActivationStore,
    ExtractionReport,
    StoredSite,
    StoreLayout,
    read_manifest,
)
from neurons.store_writer import StoreWriter, n_windows
from neurons.subject import SubjectModel

logger = logging.getLogger(__name__)

_WINDOW_BYTES = 256 * 1024 * 1024


class TextSource(Protocol):
    """Sentences that can be read a few rows at a time."""

    def __len__(self) -> int:
        """The number of sentences."""
        ...

    def texts_at(self, rows: IntArray) -> Sequence[str]:
        """The texts of `rows`, in that order."""
        ...


@dataclass(frozen=True)
class _Window:
    """Consecutive sentences of a corpus, `first_row` on, and how they are read."""

    first_row: int
    texts: tuple[str, ...]
    settings: ExtractionSettings


def extract(
    subject: SubjectModel,
    texts: TextSource,
    folder: Path,
    settings: ExtractionSettings,
    key: str,
    *,
    parity: ParityReport | None = None,
    engine: Engine | None = None,
    progress: bool = False,
) -> ExtractionReport:
    """Write the activation store of `texts` to `folder`, continuing an interrupted one.

    A complete store of the same key is kept as it is; a store of another key is replaced.

    Args:
        subject: the model to read.
        texts: the sentences; their rows become the rows of the store.
        folder: where the store goes.
        settings: sites, pooling and portions.
        key: fingerprint of everything else that decides the result: model, corpus, settings.
        parity: the self-check to be kept in the manifest.
        engine: where windows are read; in this process if None.
        progress: whether to show a progress bar on stderr.

    Raises:
        InputError: there are no sentences, or more tokens are asked for than the model can read.
        BackendError: the model computes what is no finite number, or one sentence does not fit the
            device's memory.
        RunError: the store cannot be written, or a complete store is damaged.
    """
    if len(texts) == 0:
        raise InputError("the corpus has no sentences; expected at least one")
    longest_input(subject, settings)
    layout = _layout(subject, len(texts), settings, key)
    manifest = read_manifest(folder)
    if manifest is not None and manifest.layout == layout:
        return ActivationStore.open(folder).manifest.report
    writer = StoreWriter.open(folder, layout)
    started = time.perf_counter()
    _write_windows(writer, subject, texts, settings, engine or LocalEngine(), progress)
    report = writer.finish(parity)
    seconds = time.perf_counter() - started
    logger.info("extracted %d sentences in %.1f s", report.sentences, seconds)
    return report


def _write_windows(
    writer: StoreWriter,
    subject: SubjectModel,
    texts: TextSource,
    settings: ExtractionSettings,
    engine: Engine,
    progress: bool,
) -> None:
    from indexer.progress_bar import ProgressBar

    layout = writer.journal.layout
    sites = [stored.layer_site for stored in layout.sites]
    limits = np.cumsum([stored.units for stored in layout.sites])[:-1]
    with ProgressBar(
        total=len(texts),
        initial=min(writer.windows_done * layout.window_sentences, len(texts)),
        desc="activations",
        unit="sentence",
        disable=not progress,
    ) as bar:
        windows = _windows(texts, layout, settings, writer.windows_done)
        # The disk takes a window while the next one is computed.
        with ThreadPoolExecutor(1) as pool:
            written: Future[None] | None = None
            for reading in _readings(subject, windows, engine, bar.update):
                parts = dict(zip(sites, np.split(reading.activations, limits, axis=1), strict=True))
                if written is not None:
                    written.result()
                written = pool.submit(writer.write_window, parts, reading.report)
                release_free_memory()
            if written is not None:
                written.result()


def _readings(
    subject: SubjectModel,
    windows: Iterator[_Window],
    engine: Engine,
    watch: Callable[[int], object],
) -> Iterator[Reading]:
    """The windows in order; here the next one is tokenized while one is computed."""
    if engine.in_process:
        ahead = read_ahead((window, _tokenized(subject, window)) for window in windows)
        for window, texts in ahead:
            yield _read(subject, window, texts, watch)
        return
    for reading in engine.map(_read_window, subject.source, windows):
        yield reading
        watch(reading.report.sentences)


def _windows(
    texts: TextSource, layout: StoreLayout, settings: ExtractionSettings, done: int
) -> Iterator[_Window]:
    for window in range(done, n_windows(layout)):
        first = window * layout.window_sentences
        rows = np.arange(first, min(first + layout.window_sentences, len(texts)), dtype=np.int64)
        yield _Window(first, tuple(texts.texts_at(rows)), settings)


def _read_window(subject: SubjectModel, window: _Window) -> Reading:
    return _read(subject, window, _tokenized(subject, window), watch=None)


def _tokenized(subject: SubjectModel, window: _Window) -> TokenizedPieces:
    return tokenized(subject, window.texts, window.settings)


def _read(
    subject: SubjectModel,
    window: _Window,
    texts: TokenizedPieces,
    watch: Callable[[int], object] | None,
) -> Reading:
    return read(
        subject.replicas,
        texts,
        subject.architecture.layer_sites(window.settings.sites),
        window.settings,
        first_row=window.first_row,
        watch=watch,
    )


def _layout(
    subject: SubjectModel, n_sentences: int, settings: ExtractionSettings, key: str
) -> StoreLayout:
    sites = tuple(
        StoredSite(
            layer=layer_site.layer,
            site=layer_site.site,
            units=subject.architecture.units(layer_site.site),
        )
        for layer_site in subject.architecture.layer_sites(settings.sites)
    )
    row_bytes = sum(stored.units for stored in sites) * np.dtype(np.float16).itemsize
    return StoreLayout(
        key=key,
        n_sentences=n_sentences,
        window_sentences=max(1, min(settings.window_sentences, _WINDOW_BYTES // row_bytes)),
        pooling=settings.pooling,
        sites=sites,
    )
