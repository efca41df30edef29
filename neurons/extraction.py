"""Running a corpus through the subject model and keeping one activation per neuron and sentence.

The corpus is read in fixed windows of consecutive rows. Inside a window sentences of similar length
share a batch. A batch depends on its window only, so an interrupted extraction that continues
computes the same numbers as one that was never interrupted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from pydantic import Field

from indexer.arrays import IntArray
from indexer.errors import BackendError, InputError
from indexer.records import Record
from neurons.batching import TokenizedText, batches, padded, tokenize
from neurons.capture import captured
from neurons.parity import ParityReport
from neurons.pooling import half_precision, pool, without_content
from neurons.records import LayerSite, Pooling, Site
from neurons.store import (
    ActivationStore,
    ExtractionReport,
    HalfArray,
    StoredSite,
    StoreLayout,
    read_manifest,
)
from neurons.store_writer import StoreWriter, n_windows
from neurons.subject import SubjectModel

if TYPE_CHECKING:
    from torch import Tensor

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


class ExtractionSettings(Record):
    """What is extracted, and in which portions.

    `token_budget` bounds the padded tokens of a batch. `window_sentences` bounds the sentences that
    are held in memory and lost when a run is interrupted. `maximum_tokens` shortens the longest
    input below what the model can read; special tokens count.
    """

    sites: tuple[Site, ...] = Field(default=(Site.FFN, Site.HIDDEN), min_length=1)
    pooling: Pooling = Pooling.MAX
    token_budget: int = Field(default=4096, ge=1)
    window_sentences: int = Field(default=4096, ge=1)
    maximum_tokens: int | None = Field(default=None, ge=4)


def extract(
    subject: SubjectModel,
    texts: TextSource,
    folder: Path,
    settings: ExtractionSettings,
    key: str,
    *,
    parity: ParityReport | None = None,
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
        progress: whether to show a progress bar on stderr.

    Raises:
        InputError: there are no sentences, or more tokens are asked for than the model can read.
        BackendError: the model computes NaN, or one sentence does not fit the device's memory.
        RunError: the store cannot be written, or a complete store is damaged.
    """
    if len(texts) == 0:
        raise InputError("the corpus has no sentences; expected at least one")
    maximum_tokens = _maximum_tokens(subject, settings)
    layout = _layout(subject, len(texts), settings, key)
    manifest = read_manifest(folder)
    if manifest is not None and manifest.layout == layout:
        return ActivationStore.open(folder).manifest.report
    writer = StoreWriter.open(folder, layout)
    started = time.perf_counter()
    _write_windows(writer, subject, texts, settings, maximum_tokens, progress)
    report = writer.finish(parity)
    seconds = time.perf_counter() - started
    logger.info("extracted %d sentences in %.1f s", report.sentences, seconds)
    return report


def _write_windows(
    writer: StoreWriter,
    subject: SubjectModel,
    texts: TextSource,
    settings: ExtractionSettings,
    maximum_tokens: int,
    progress: bool,
) -> None:
    from tqdm import tqdm

    layout = writer.journal.layout
    with tqdm(
        total=len(texts),
        initial=min(writer.windows_done * layout.window_sentences, len(texts)),
        desc="activations",
        unit="sentence",
        disable=not progress,
    ) as bar:
        for window in range(writer.windows_done, n_windows(layout)):
            first = window * layout.window_sentences
            rows = np.arange(
                first, min(first + layout.window_sentences, len(texts)), dtype=np.int64
            )
            tokenized = tokenize(subject, texts.texts_at(rows), maximum_tokens)
            extractor = _WindowExtractor(subject, tokenized, layout)
            for positions in batches(extractor.lengths, settings.token_budget):
                extractor.read(positions)
                bar.update(len(positions))
            writer.write_window(extractor.activations, extractor.report)


class _WindowExtractor:
    """Reads the sentences of one window batch by batch; `activations` has a row for each."""

    def __init__(
        self, subject: SubjectModel, texts: Sequence[TokenizedText], layout: StoreLayout
    ) -> None:
        self.lengths = np.asarray([text.n_tokens for text in texts], dtype=np.int64)
        self.activations: dict[LayerSite, HalfArray] = {
            stored.layer_site: np.empty((len(texts), stored.units), dtype=np.float16)
            for stored in layout.sites
        }
        truncated = [text.truncated_tokens for text in texts]
        self.report = ExtractionReport(
            sentences=len(texts),
            tokens=int(self.lengths.sum()),
            truncated_sentences=sum(count > 0 for count in truncated),
            truncated_tokens=sum(truncated),
        )
        self._subject = subject
        self._texts = texts
        self._pooling = layout.pooling

    def read(self, positions: IntArray) -> None:
        """Run the sentences at `positions` through the model, in halves if memory runs out."""
        if self._fits(positions):
            return
        if len(positions) == 1:
            raise BackendError(
                f"one sentence of {self.lengths[positions[0]]} tokens does not fit the device's "
                "memory; set a smaller maximum_tokens or use --device cpu"
            )
        logger.warning("out of device memory with %d sentences; halving", len(positions))
        middle = len(positions) // 2
        self.read(positions[:middle])
        self.read(positions[middle:])

    def _fits(self, positions: IntArray) -> bool:
        import torch

        try:
            self._read(positions)
        except torch.OutOfMemoryError:
            return False
        return True

    def _read(self, positions: IntArray) -> None:
        import torch

        batch = padded(self._subject, [self._texts[position] for position in positions])

        def pooled(_layer_site: LayerSite, tokens: Tensor) -> Tensor:
            return pool(tokens, batch.content_mask, self._pooling)

        with (
            torch.inference_mode(),
            captured(self._subject.architecture, self.activations, pooled) as latest,
        ):
            self._subject.model(input_ids=batch.token_ids, attention_mask=batch.attention_mask)
            clipped = sum(
                self._keep(layer_site, positions, latest[layer_site])
                for layer_site in self.activations
            )
        tokens = int(self.lengths[positions].sum())
        self.report = self.report.plus(
            ExtractionReport(
                padded_tokens=batch.token_ids.numel() - tokens,
                clipped_values=clipped,
                sentences_without_content_tokens=int(without_content(batch.content_mask).sum()),
            )
        )

    def _keep(self, layer_site: LayerSite, positions: IntArray, pooled: Tensor) -> int:
        if pooled.isnan().any():
            raise BackendError(
                f"{self._subject.name} computes NaN at {layer_site}; its weights are damaged or "
                "overflow in float32. Try another checkpoint."
            )
        half = half_precision(pooled)
        self.activations[layer_site][positions] = half.values.cpu().numpy()
        return half.clipped


def _maximum_tokens(subject: SubjectModel, settings: ExtractionSettings) -> int:
    if settings.maximum_tokens is None:
        return subject.maximum_tokens
    if settings.maximum_tokens > subject.maximum_tokens:
        raise InputError(
            f"maximum_tokens is {settings.maximum_tokens} but {subject.name} reads at most "
            f"{subject.maximum_tokens} tokens"
        )
    return settings.maximum_tokens


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
