"""From a file of NeuroX to an activation store that can be matched like an extracted one.

NeuroX's activations are those of words, each of its last sub-word or the average of all, so the
numbers are near those of an extraction from the same model, not equal to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from indexer.errors import InputError
from indexer.records import Record
from indexer.storage import fingerprint
from neurons.neurox import NeuroxSentence, NeuroxSource
from neurons.pooling import half_precision, pool, without_content
from neurons.records import LayerSite, Pooling
from neurons.store import (
    ActivationStore,
    ExtractionReport,
    HalfArray,
    StoredSite,
    StoreLayout,
    read_manifest,
)
from neurons.store_writer import StoreWriter, n_windows

if TYPE_CHECKING:
    from torch import Tensor


class NeuroxPoolingSettings(Record):
    """How token activations become sentence activations.

    `special_tokens` are not content; NeuroX leaves them out of its files, other programs do not.
    `window_sentences` bounds the pooled sentences that are held in memory.
    """

    pooling: Pooling = Pooling.MAX
    special_tokens: frozenset[str] = frozenset()
    window_sentences: int = Field(default=1024, ge=1)


def pool_to_store(
    source: NeuroxSource,
    folder: Path,
    layer_sites: Mapping[int, LayerSite],
    settings: NeuroxPoolingSettings,
    key: str,
    *,
    progress: bool = False,
) -> ExtractionReport:
    """Pool the sentences of a NeuroX file into an activation store, row by row as they come.

    A complete store of the same layout is kept; an interrupted one is continued.

    Args:
        source: the sentences.
        folder: where the store goes.
        layer_sites: which layers of the file to keep, and where in the model they sit.
        settings: pooling, special tokens and portions.
        key: fingerprint of the file.
        progress: whether to show a progress bar on stderr.

    Raises:
        InputError: the file is wrong; it lacks one of the layers; or special tokens are asked for
            (CLS pooling needs one at the start) and a sentence's tokens do not tell them.
        RunError: the store cannot be written, or a complete store is damaged.
    """
    _check_arguments(source, layer_sites, settings)
    with closing(source.sentences()) as sentences:
        n_layers, _, n_units = next(sentences).activations.shape
    absent = sorted(layer for layer in layer_sites if not 0 <= layer < n_layers)
    if absent:
        raise InputError(f"the file has layers 0 to {n_layers - 1}, asked for {absent}")
    layers = sorted(layer_sites)
    layout = StoreLayout(
        key=fingerprint([key, layers, sorted(settings.special_tokens)]),
        n_sentences=len(source),
        window_sentences=min(settings.window_sentences, len(source)),
        pooling=settings.pooling,
        sites=tuple(
            StoredSite(layer=layer_sites[layer].layer, site=layer_sites[layer].site, units=n_units)
            for layer in layers
        ),
    )
    manifest = read_manifest(folder)
    if manifest is not None and manifest.layout == layout:
        return ActivationStore.open(folder).manifest.report
    writer = StoreWriter.open(folder, layout)
    _write_windows(writer, source, layers, settings, progress)
    return writer.finish(None)


def _check_arguments(
    source: NeuroxSource, layer_sites: Mapping[int, LayerSite], settings: NeuroxPoolingSettings
) -> None:
    if len(source) == 0:
        raise InputError("the file has no sentences; expected at least one")
    if not layer_sites or len(set(layer_sites.values())) != len(layer_sites):
        given = ", ".join(f"{layer}: {place}" for layer, place in layer_sites.items())
        raise InputError(
            f"layers go to {{{given}}}, expected at least one and each to a place of its own"
        )
    if settings.pooling is Pooling.CLS and not settings.special_tokens:
        raise InputError(
            "cls pooling takes the first special token, and no special tokens are given; files "
            "that NeuroX wrote have none, use max or mean"
        )


def _write_windows(
    writer: StoreWriter,
    source: NeuroxSource,
    layers: list[int],
    settings: NeuroxPoolingSettings,
    progress: bool,
) -> None:
    from indexer.progress_bar import ProgressBar

    layout = writer.journal.layout
    first = min(writer.windows_done * layout.window_sentences, layout.n_sentences)
    bar = ProgressBar(
        total=layout.n_sentences,
        initial=first,
        desc="activations",
        unit="sentence",
        disable=not progress,
    )
    with bar, closing(source.sentences(first)) as sentences:
        for _ in range(writer.windows_done, n_windows(layout)):
            pooled = [
                _pooled(sentence, layers, settings)
                for sentence in islice(sentences, layout.window_sentences)
            ]
            activations: dict[LayerSite, HalfArray] = {
                stored.layer_site: np.stack([each.activations[row] for each in pooled])
                for row, stored in enumerate(layout.sites)
            }
            report = ExtractionReport()
            for each in pooled:
                report = report.plus(each.report)
            writer.write_window(activations, report)
            bar.update(len(pooled))


@dataclass(frozen=True)
class _Pooled:
    """One sentence (`n_layers, n_units`) and what was left out or changed of it."""

    activations: HalfArray
    report: ExtractionReport


def _pooled(
    sentence: NeuroxSentence, layers: list[int], settings: NeuroxPoolingSettings
) -> _Pooled:
    import torch

    content = _content_mask(sentence, settings)
    mask = content.expand(len(layers), -1)
    tokens = torch.from_numpy(sentence.activations[layers])
    half = half_precision(pool(tokens, mask, settings.pooling))
    report = ExtractionReport(
        sentences=1,
        tokens=sentence.n_tokens,
        clipped_values=half.clipped,
        sentences_without_content_tokens=int(without_content(content[None]).sum()),
    )
    return _Pooled(half.values.numpy(), report)


def _content_mask(sentence: NeuroxSentence, settings: NeuroxPoolingSettings) -> Tensor:
    """Which tokens are content (`n_tokens`)."""
    import torch

    special = settings.special_tokens
    if not special:
        return torch.ones(sentence.n_tokens, dtype=torch.bool)
    if sentence.tokens is None:
        raise InputError(
            f"the tokens of sentence {sentence.index} ({sentence.text!r}) are not known, so its "
            "special tokens cannot be left out"
        )
    if settings.pooling is Pooling.CLS and sentence.tokens[0] not in special:
        raise InputError(
            f"sentence {sentence.index} starts with {sentence.tokens[0]!r}, expected one of "
            f"{sorted(special)} for cls pooling"
        )
    return torch.tensor([token not in special for token in sentence.tokens])
