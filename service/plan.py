"""What a run would read, write and take.

The corpus is read and segmented for real; tokens are counted on a sample of it, and speeds are
measured on this machine with a few real sentences. Either nothing is written where the run would
go, or (`prepare`) all is done there that comes before proposers are asked, and the run goes on
from it: then the groups are the run's own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from descriptors.records import Split
from indexer.records import Record
from service.imported_stage import is_imported, no_model
from service.plan_generation import Prices, ProposerForecast, forecast_proposer, planned_groups
from service.plan_pilot import ask_pilot, at_once, check_pilot

if TYPE_CHECKING:
    from descriptors.corpus import Corpus, IngestReport
    from descriptors.grouping_settings import GroupingSettings
    from descriptors.proposer import GroupTexts
    from indexer.encoder import SentenceEncoder
    from neurons.subject import SubjectModel
    from service.report_stage import ReportStage
    from service.settings import RunSettings

SAMPLE_SENTENCES = 2_000
_HALF_BYTES = 2


class Minutes(Record):
    """Estimated minutes by part, 0 for what is done; `matching` is the ranking of all neurons.

    `lexical` reads and ranks the random-weight models. `proposing` is None where the speed of an LM
    is not known; it is not in the total then.
    """

    embeddings: float
    activations: float
    matching: float
    lexical: float
    proposing: float | None

    @property
    def total(self) -> float:
        """All parts together."""
        known = self.embeddings + self.activations + self.matching + self.lexical
        return known + (self.proposing or 0.0)


class Plan(Record):
    """What a run would read, write and take; sizes are in units of 10^9 and 10^6 bytes.

    `tokens` (special tokens included) is extrapolated from `sampled_sentences`. `groups_at_most`
    bounds the groups formed from embeddings. With a generative proposer they are formed for real:
    `proposers` holds what each takes for them, and `lm_requests` sums up. Where `group_sources`
    holds neurons the run forms other groups, about as many: activations are not known beforehand.
    A `prepared` plan knows them, and its groups are the run's own, whoever proposes.
    """

    prepared: bool
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


def plan_run(
    settings: RunSettings,
    out: Path,
    *,
    prepare: bool = False,
    pilot: int | None = None,
    update: bool = False,
    prices: Prices | None = None,
    progress: bool = False,
) -> Plan:
    """Plan the run of `settings` into `out`.

    Args:
        settings: those of the run.
        out: the run's folder. Only asked for its free space and for stored answers of LMs, unless
            the run is prepared.
        prepare: do all that comes before proposers are asked in `out`, from which the run goes on;
            its groups are then planned with.
        pilot: ask each generative LM about so many of the groups; prepares the run too.
        update: prepare a run in a folder of other settings; what they change is redone.
        prices: what tokens cost.
        progress: show progress bars.

    Raises:
        InputError: the run would be refused: its corpus, a model or a proposer cannot be used.
        BackendError: an LM cannot be asked in a pilot, or its budget is spent; answers until then
            are kept.
        RunError: `out` cannot be written, or what it holds is damaged.
    """
    check_pilot(settings, pilot)
    if is_imported(settings):
        # Tokens and speeds are those of a model.
        raise no_model(settings)
    prices = prices or Prices()
    with tempfile.TemporaryDirectory(prefix="neuroscribe-plan-") as folder:
        if not prepare and pilot is None:
            found = _aside(settings, out, Path(folder), prices, progress)
            return _planned(found, settings, out, Path(folder))
        from service.pipeline import prepared_run

        with prepared_run(settings, out, update=update, progress=progress) as stages:
            found = _prepared(stages, pilot, prices)
            return _planned(found, settings, out, Path(folder))


@dataclass(frozen=True)
class _Found:
    """What a plan is made of; `extracted` tells that activations are on disk already."""

    report: IngestReport
    corpus: Corpus
    encoder: SentenceEncoder
    subject: SubjectModel
    proposers: tuple[ProposerForecast, ...]
    prepared: bool
    extracted: bool


def _aside(
    settings: RunSettings, out: Path, folder: Path, prices: Prices, progress: bool
) -> _Found:
    """What is found with nothing written where the run would go."""
    from descriptors.corpus import read_corpus
    from descriptors.ingest import ingest
    from descriptors.proposer_factory import RESPONSES, BackEnd, ProposerContext, ProposerSpec
    from indexer.encoder import SentenceEncoder
    from indexer.remembering import RememberingEncoder
    from neurons.subject import SubjectModel, choose_device

    report = ingest(settings.corpus, folder / "corpus.parquet", settings.reading)
    corpus = read_corpus(folder / "corpus.parquet")
    subject = SubjectModel.load(
        settings.model,
        settings.device,
        settings.unsafe_weights,
        settings.extraction.precision,
    )
    encoder = SentenceEncoder.load(settings.encoder, str(choose_device(settings.device)))
    proposers: tuple[ProposerForecast, ...] = ()
    specs = [ProposerSpec.parse(written) for written in settings.proposers]
    # No one plans for keyphrases alone, and forming groups takes a while.
    if any(spec.back_end is not BackEnd.KEYPHRASE for spec in specs):
        remembering = RememberingEncoder(encoder)
        responses = out / RESPONSES
        context = ProposerContext(remembering, settings.generation, settings.device, responses)
        groups = planned_groups(corpus, remembering, settings, progress=progress)
        proposers = tuple(
            forecast_proposer(written, groups, context, prices) for written in settings.proposers
        )
    return _Found(report, corpus, encoder, subject, proposers, prepared=False, extracted=False)


def _prepared(stages: ReportStage, pilot: int | None, prices: Prices) -> _Found:
    """What is found once all is done that comes before proposers are asked."""
    from descriptors.corpus import IngestReport

    groups = stages.group_texts(stages.form_groups().groups)
    return _Found(
        report=IngestReport.model_validate(stages.run.stages()["corpus"].result),
        corpus=stages.corpus,
        encoder=stages.encoder,
        subject=stages.subject,
        proposers=_forecasts(stages, groups, pilot, prices),
        prepared=True,
        extracted=stages.groups_need_neurons,
    )


def _forecasts(
    stages: ReportStage, groups: Sequence[GroupTexts], pilot: int | None, prices: Prices
) -> tuple[ProposerForecast, ...]:
    """What each proposer takes for the run's groups, after a pilot of LMs if one is asked for."""
    from descriptors.lm_proposer import LMProposer
    from descriptors.proposer_factory import ProposerSpec

    forecasts = []
    generation = stages.settings.generation
    for written, proposer in zip(stages.settings.proposers, stages.proposers, strict=True):
        taken = None
        if pilot is not None and isinstance(proposer, LMProposer):
            wave = at_once(ProposerSpec.parse(written).back_end, generation)
            taken = ask_pilot(proposer, groups, pilot, wave, progress=stages.progress)
        forecasts.append(forecast_proposer(written, groups, stages.context, prices, taken))
    return tuple(forecasts)


def _planned(found: _Found, settings: RunSettings, out: Path, folder: Path) -> Plan:
    """Sizes and times, beside what was found; `folder` is for trials."""
    from neurons.batching import tokenize

    report, subject, sentences = found.report, found.subject, len(found.corpus)
    sample = _sample(found.corpus)
    most = settings.extraction.maximum_tokens or subject.maximum_tokens
    read = tokenize(subject, sample, most)
    sites = subject.architecture.layer_sites(settings.extraction.sites)
    neurons = sum(subject.architecture.units(layer_site.site) for layer_site in sites)
    proposers = found.proposers
    return Plan(
        prepared=found.prepared,
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
        embeddings_mb=sentences * found.encoder.dimension * _HALF_BYTES / 1e6,
        free_gb=free_bytes(out) / 1e9,
        groups_at_most=groups_at_most(report.split_counts[Split.DISCOVER], settings.grouping),
        group_sources=settings.group_sources,
        proposers=proposers,
        lm_requests=sum(each.lm.requests for each in proposers if each.lm),
        minutes=_minutes(found, settings, sample, neurons, folder),
    )


def _minutes(
    found: _Found, settings: RunSettings, sample: Sequence[str], neurons: int, folder: Path
) -> Minutes:
    """Minutes of what is yet to be done."""
    from service.plan_speed import encoding_seconds, extraction_seconds, ranking_seconds

    sentences = len(found.corpus)
    embedding = 0.0 if found.prepared else encoding_seconds(found.encoder, sample)
    controls = settings.lexical.seeds + settings.lexical.directions
    needed = controls or not found.extracted
    extraction = extraction_seconds(found.subject, sample, settings, folder) if needed else 0.0
    reading = extraction * sentences / 60
    ranking = ranking_seconds(sentences) * neurons / 60
    return Minutes(
        embeddings=embedding * sentences / 60,
        activations=0.0 if found.extracted else reading,
        matching=ranking,
        lexical=controls * (reading + ranking),
        proposing=_together([each.minutes for each in found.proposers]),
    )


def groups_at_most(n_discover: int, settings: GroupingSettings) -> int:
    """A bound on the groups that `form_groups` can form of so many discover sentences."""
    most_sentences = min(n_discover, settings.maximum_sentences)
    most = max(settings.maximum_groups, settings.minimum_groups) + settings.maximum_parts
    return min(most, most_sentences)


def free_bytes(path: Path) -> int:
    """Free bytes on the disk where `path` is or would be made."""
    existing = path.absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def _together(minutes: Sequence[float | None]) -> float | None:
    """The sum; None as soon as one is unknown."""
    known = [each for each in minutes if each is not None]
    return sum(known) if len(known) == len(minutes) else None


def _sample(corpus: Corpus) -> list[str]:
    """Texts spread evenly over the corpus, so that its order plays no part."""
    size = min(SAMPLE_SENTENCES, len(corpus))
    return corpus.texts_at(np.linspace(0, len(corpus) - 1, size).astype(np.int64))
