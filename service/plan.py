"""What a run would read, write and take, found without writing anything where it would go.

The corpus is read and segmented for real (into a temporary folder); tokens are counted on a sample
of it, and speeds are measured on this machine with a few real sentences.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from descriptors.records import Split
from indexer.arrays import IntArray
from indexer.records import Record
from service.plan_generation import Prices, ProposerForecast, forecast_proposer, planned_groups

if TYPE_CHECKING:
    from descriptors.corpus import Corpus
    from descriptors.groups import GroupingSettings
    from indexer.encoder import Encoder
    from neurons.subject import SubjectModel
    from service.settings import RunSettings

SAMPLE_SENTENCES = 2_000
_WARM_UP_SENTENCES = 4
_FIRST_TRIAL = 16
_SECOND_TRIAL = 112
_QUICK_SECONDS = 0.5
_RANKED_UNITS = 32
_RANKED_SENTENCES = 4_096
_HALF_BYTES = 2


class Minutes(Record):
    """Estimated minutes by part; `matching` is the ranking of all neurons.

    `proposing` is None where the speed of an LM is not known; it is not in the total then.
    """

    embeddings: float
    activations: float
    matching: float
    proposing: float | None

    @property
    def total(self) -> float:
        """All parts together."""
        return self.embeddings + self.activations + self.matching + (self.proposing or 0.0)


class Plan(Record):
    """What a run would read, write and take; sizes are in units of 10^9 and 10^6 bytes.

    `tokens` (special tokens included) is extrapolated from `sampled_sentences`. `groups_at_most`
    bounds the groups formed from embeddings. With a generative proposer they are formed for real:
    `proposers` holds what each takes for them, and `lm_requests` sums up. Where `group_sources`
    holds neurons the run forms other groups, about as many: activations are not known beforehand.
    """

    texts: int
    blank_skipped: int
    sentences: int
    documents: int
    splits: dict[Split, int]
    sampled_sentences: int
    tokens: int
    truncated_share: float
    neurons: int
    activations_gb: float
    embeddings_mb: float
    free_gb: float
    groups_at_most: int
    group_sources: tuple[str, ...]
    proposers: tuple[ProposerForecast, ...]
    lm_requests: int
    minutes: Minutes


class _Sample:
    """Texts as the extraction reads them."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def texts_at(self, rows: IntArray) -> list[str]:
        return [self._texts[row] for row in rows]


def plan_run(
    settings: RunSettings, out: Path, *, prices: Prices | None = None, progress: bool = False
) -> Plan:
    """Plan the run of `settings` into `out`.

    `out` is only asked for its free space and for answers of LMs that an earlier run paid for.

    Raises:
        InputError: the run would be refused: its corpus, a model or a proposer cannot be used.
    """
    from descriptors.corpus import read_corpus
    from descriptors.ingest import ingest
    from indexer.encoder import SentenceEncoder
    from neurons.batching import tokenize
    from neurons.subject import SubjectModel, choose_device

    with tempfile.TemporaryDirectory(prefix="neuroscribe-plan-") as folder:
        report = ingest(settings.corpus, Path(folder) / "corpus.parquet", settings.reading)
        corpus = read_corpus(Path(folder) / "corpus.parquet")
        subject = SubjectModel.load(settings.model, settings.device, settings.unsafe_weights)
        encoder = SentenceEncoder.load(settings.encoder, str(choose_device(settings.device)))
        proposers = _forecasts(corpus, encoder, settings, out, prices or Prices(), progress)
        sample = _sample(corpus)
        read = tokenize(
            subject, sample, settings.extraction.maximum_tokens or subject.maximum_tokens
        )
        sites = subject.architecture.layer_sites(settings.extraction.sites)
        neurons = sum(subject.architecture.units(layer_site.site) for layer_site in sites)
        sentences = len(corpus)
        return Plan(
            texts=report.texts_read,
            blank_skipped=report.blank_skipped,
            sentences=sentences,
            documents=report.documents,
            splits=report.split_counts,
            sampled_sentences=len(sample),
            tokens=round(sum(text.n_tokens for text in read) / len(read) * sentences),
            truncated_share=sum(text.truncated_tokens > 0 for text in read) / len(read),
            neurons=neurons,
            activations_gb=sentences * neurons * _HALF_BYTES / 1e9,
            embeddings_mb=sentences * encoder.dimension * _HALF_BYTES / 1e6,
            free_gb=free_bytes(out) / 1e9,
            groups_at_most=groups_at_most(report.split_counts[Split.DISCOVER], settings.grouping),
            group_sources=settings.group_sources,
            proposers=proposers,
            lm_requests=sum(each.lm.requests for each in proposers if each.lm),
            minutes=Minutes(
                embeddings=_encoding_seconds(encoder, sample) * sentences / 60,
                activations=_extraction_seconds(subject, sample, settings, Path(folder))
                * sentences
                / 60,
                matching=_ranking_seconds(sentences) * neurons / 60,
                proposing=_together([each.minutes for each in proposers]),
            ),
        )


def groups_at_most(n_discover: int, settings: GroupingSettings) -> int:
    """A bound on the groups that `form_groups` can form of so many discover sentences."""
    usable = min(n_discover, settings.maximum_sentences)
    finest = min(settings.maximum_groups, usable // settings.mean_group)
    return max(finest + finest // 2, finest + settings.minimum_groups)


def free_bytes(path: Path) -> int:
    """Free bytes on the disk where `path` is or would be made."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def _forecasts(
    corpus: Corpus,
    encoder: Encoder,
    settings: RunSettings,
    out: Path,
    prices: Prices,
    progress: bool,
) -> tuple[ProposerForecast, ...]:
    """What each proposer takes; empty where all are keyphrases, which no one plans for."""
    from descriptors.proposer_factory import RESPONSES, BackEnd, ProposerContext, ProposerSpec

    specs = [ProposerSpec.parse(written) for written in settings.proposers]
    if all(spec.back_end is BackEnd.KEYPHRASE for spec in specs):
        return ()
    context = ProposerContext(encoder, settings.generation, settings.device, out / RESPONSES)
    groups = planned_groups(corpus, encoder, settings, progress=progress)
    return tuple(
        forecast_proposer(written, groups, context, prices) for written in settings.proposers
    )


def _together(minutes: Sequence[float | None]) -> float | None:
    """The sum; None as soon as one is unknown."""
    known = [each for each in minutes if each is not None]
    return sum(known) if len(known) == len(minutes) else None


def _sample(corpus: Corpus) -> list[str]:
    """Texts spread evenly over the corpus, so that its order plays no part."""
    size = min(SAMPLE_SENTENCES, len(corpus))
    return corpus.texts_at(np.linspace(0, len(corpus) - 1, size).astype(np.int64))


def _encoding_seconds(encoder: Encoder, sample: Sequence[str]) -> float:
    """Seconds a sentence."""
    encoder.encode(sample[:_WARM_UP_SENTENCES])
    chosen = _spread(sample, _FIRST_TRIAL + _SECOND_TRIAL)
    first = _timed_encoding(encoder, chosen[:_FIRST_TRIAL])
    if first * len(chosen[:_FIRST_TRIAL]) > _QUICK_SECONDS:
        return first
    return _timed_encoding(encoder, chosen)


def _timed_encoding(encoder: Encoder, texts: Sequence[str]) -> float:
    began = time.perf_counter()
    encoder.encode(texts)
    return (time.perf_counter() - began) / len(texts)


def _extraction_seconds(
    subject: SubjectModel, sample: Sequence[str], settings: RunSettings, folder: Path
) -> float:
    """Seconds a sentence."""
    _timed_extraction(subject, sample[:_WARM_UP_SENTENCES], settings, folder / "warm-up")
    chosen = _spread(sample, _FIRST_TRIAL + _SECOND_TRIAL)
    first = _timed_extraction(subject, chosen[:_FIRST_TRIAL], settings, folder / "first")
    if first * len(chosen[:_FIRST_TRIAL]) > _QUICK_SECONDS:
        return first
    return _timed_extraction(subject, chosen, settings, folder / "second")


def _timed_extraction(
    subject: SubjectModel, texts: Sequence[str], settings: RunSettings, folder: Path
) -> float:
    from neurons.extraction import extract

    began = time.perf_counter()
    extract(subject, _Sample(texts), folder, settings.extraction, key="plan")
    return (time.perf_counter() - began) / len(texts)


def _ranking_seconds(n_sentences: int) -> float:
    """Seconds a neuron."""
    from neurons.auroc import average_ranks

    size = max(2, min(n_sentences, _RANKED_SENTENCES))
    values = np.random.default_rng(0).standard_normal((size, _RANKED_UNITS), dtype=np.float32)
    began = time.perf_counter()
    average_ranks(values)
    one = (time.perf_counter() - began) / _RANKED_UNITS
    # Sorting takes time in proportion to n log n.
    return one * (n_sentences * math.log(n_sentences)) / (size * math.log(size))


def _spread(sample: Sequence[str], size: int) -> list[str]:
    places = np.linspace(0, len(sample) - 1, min(size, len(sample))).astype(np.int64)
    # Shuffled, so that a first part of it is spread as well.
    return [sample[place] for place in np.random.default_rng(0).permutation(places)]
