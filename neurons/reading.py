"""What a model's neurons do on some texts: tokens in batches, forward passes, one number each."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from queue import SimpleQueue
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from indexer.arrays import IntArray
from indexer.batching import batches
from indexer.errors import BackendError, InputError
from indexer.records import Record
from neurons.batching import padded
from neurons.capture import captured
from neurons.pieces import TokenizedPieces, cut, merged, whole
from neurons.pooling import half_precision, pool
from neurons.records import LayerSite, NeuronId, Pooling, Site
from neurons.store import ExtractionReport, HalfArray
from neurons.subject import SubjectModel
from neurons.subject_files import Precision

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

_TOKEN_BUDGETS = {"cpu": 2_048, "cuda": 65_536}


class LongTexts(StrEnum):
    """What becomes of a text that is longer than the model reads."""

    TRUNCATE = "truncate"
    WINDOW = "window"


class ExtractionSettings(Record):
    """What is extracted, and in which portions.

    `token_budget` bounds the padded tokens of a batch (default by device). `window_sentences`
    bounds the sentences that are held in memory and lost when a run is interrupted.
    `maximum_tokens` shortens the longest input below what the model can read; special tokens count.
    Longer texts lose their end, or are read in overlapping windows that are pooled together.
    """

    sites: tuple[Site, ...] = Field(default=(Site.FFN, Site.HIDDEN), min_length=1)
    pooling: Pooling = Pooling.MAX
    precision: Precision = Precision.FLOAT32
    token_budget: int | None = Field(default=None, ge=1)
    window_sentences: int = Field(default=4096, ge=1)
    maximum_tokens: int | None = Field(default=None, ge=4)
    long_texts: LongTexts = LongTexts.TRUNCATE


@dataclass(frozen=True)
class Reading:
    """Pooled activations of some texts (`n_texts, n_units` over all layer sites), and a report."""

    activations: HalfArray
    report: ExtractionReport


def longest_input(subject: SubjectModel, settings: ExtractionSettings) -> int:
    """The tokens of the longest input, special tokens included.

    Raises:
        InputError: more are asked for than the model can read.
    """
    if settings.maximum_tokens is None:
        return subject.maximum_tokens
    if settings.maximum_tokens > subject.maximum_tokens:
        raise InputError(
            f"maximum_tokens is {settings.maximum_tokens} but {subject.name} reads at most "
            f"{subject.maximum_tokens} tokens"
        )
    return settings.maximum_tokens


def token_budget(subject: SubjectModel, settings: ExtractionSettings) -> int:
    """The padded tokens that a batch has at most; a GPU needs many to be busy."""
    return settings.token_budget or _TOKEN_BUDGETS[subject.device.type]


def tokenized(
    subject: SubjectModel, texts: Sequence[str], settings: ExtractionSettings
) -> TokenizedPieces:
    """Texts as tokens, in the pieces that are read.

    Raises:
        InputError: a text is not valid Unicode, or `maximum_tokens` is more than the model reads.
    """
    longest = longest_input(subject, settings)
    read_as = cut if settings.long_texts is LongTexts.WINDOW else whole
    return read_as(subject, texts, longest)


def read(
    replicas: Sequence[SubjectModel],
    texts: TokenizedPieces,
    layer_sites: Sequence[LayerSite],
    settings: ExtractionSettings,
    *,
    first_row: int = 0,
    watch: Callable[[int], object] | None = None,
) -> Reading:
    """Run texts through the model.

    Args:
        replicas: the model on each device that is to be used.
        texts: as `tokenized` gives them.
        layer_sites: whose units become the columns, in this order.
        settings: pooling and token budget.
        first_row: row of the first text, for error messages.
        watch: is told after each batch how many texts were begun in it.

    Raises:
        BackendError: the model computes what is no finite number, or one piece does not fit the
            memory of the device.
    """
    reader = _Reader(replicas[0], texts, tuple(layer_sites), settings.pooling, first_row)
    portions = list(batches(texts.lengths, token_budget(replicas[0], settings)))
    report = texts.report()
    for positions, part in zip(portions, _spread(replicas, reader.read, portions), strict=True):
        report = report.plus(part)
        if watch is not None:
            watch(int(texts.begins[positions].sum()))
    return Reading(merged(reader.activations, texts, settings.pooling), report)


def _spread(
    replicas: Sequence[SubjectModel],
    work: Callable[[SubjectModel, IntArray], ExtractionReport],
    portions: Sequence[IntArray],
) -> Iterator[ExtractionReport]:
    """The work on each portion, in their order, every replica busy with one at a time."""
    if len(replicas) == 1:
        yield from (work(replicas[0], portion) for portion in portions)
        return
    free: SimpleQueue[SubjectModel] = SimpleQueue()
    for replica in replicas:
        free.put(replica)

    def on_a_free_one(portion: IntArray) -> ExtractionReport:
        replica = free.get()
        try:
            return work(replica, portion)
        finally:
            free.put(replica)

    with ThreadPoolExecutor(len(replicas)) as pool:
        yield from pool.map(on_a_free_one, portions)


class _Reader:
    """Reads pieces batch by batch; `activations` has a row for each, and is written by threads."""

    def __init__(
        self,
        subject: SubjectModel,
        texts: TokenizedPieces,
        layer_sites: tuple[LayerSite, ...],
        pooling: Pooling,
        first_row: int,
    ) -> None:
        units = [subject.architecture.units(each.site) for each in layer_sites]
        self.activations: HalfArray = np.empty((len(texts.pieces), sum(units)), dtype=np.float16)
        self._starts = np.cumsum([0, *units])
        self._texts = texts
        self._layer_sites = layer_sites
        self._pooling = pooling
        self._first_row = first_row

    def read(self, subject: SubjectModel, positions: IntArray) -> ExtractionReport:
        """Run the pieces at `positions` through the model, in halves if memory runs out."""
        import torch

        try:
            return self._read(subject, positions)
        except torch.OutOfMemoryError:
            pass  # Halved below, where the failed pass no longer holds its tensors.
        if len(positions) == 1:
            raise BackendError(
                f"one sentence of {self._texts.lengths[positions[0]]} tokens does not fit the "
                "device's memory; set a smaller maximum_tokens or use --device cpu"
            )
        logger.warning("out of device memory with %d sentences; halving", len(positions))
        halves = np.array_split(positions, 2)
        return self.read(subject, halves[0]).plus(self.read(subject, halves[1]))

    def _read(self, subject: SubjectModel, positions: IntArray) -> ExtractionReport:
        import torch

        batch = padded(subject, [self._texts.pieces[position] for position in positions])

        def pooled(layer_site: LayerSite, tokens: Tensor) -> Tensor:
            if subject.directions is not None:
                tokens = subject.directions.read(layer_site, tokens)
            return pool(tokens, batch.content_mask, self._pooling, batch.content_span)

        with (
            torch.inference_mode(),
            captured(subject.architecture, self._layer_sites, pooled) as latest,
        ):
            subject.model(**batch.inputs)
            values = torch.cat([latest[each] for each in self._layer_sites], dim=1)
            lowest, highest = (float(bound) for bound in torch.aminmax(values))
            if not (math.isfinite(lowest) and math.isfinite(highest)):
                raise self._not_finite(subject, positions, values)
            half = half_precision(values, lowest, highest)
        self.activations[positions] = half.values.cpu().numpy()
        tokens = int(self._texts.lengths[positions].sum())
        return ExtractionReport(
            padded_tokens=batch.token_ids.numel() - tokens, clipped_values=half.clipped
        )

    def _not_finite(
        self, subject: SubjectModel, positions: IntArray, values: Tensor
    ) -> BackendError:
        place, column = (~values.isfinite()).nonzero()[0].tolist()
        number = int(np.searchsorted(self._starts, column, side="right")) - 1
        layer_site = self._layer_sites[number]
        neuron = NeuronId(layer_site.layer, layer_site.site, column - int(self._starts[number]))
        found = "NaN" if values[place, column].isnan() else "infinity"
        row = self._first_row + int(self._texts.text_of[positions[place]])
        return BackendError(
            f"{subject.name} computes {found} at {neuron} on the sentence in row {row}; its "
            f"weights are damaged or overflow in {subject.precision}. Try another checkpoint"
            + ("." if subject.precision is Precision.FLOAT32 else ", or --precision float32.")
        )
