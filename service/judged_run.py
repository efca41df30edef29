"""What judges are asked about a run: tails drawn from those described, texts, and the judges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.described_tails import DescribedTails, tail_columns
from eval.detection import SampledTexts
from eval.judged_tails import FEWEST_NEURONS, Descriptions, describe, spread_over_layers
from eval.judged_texts import (
    FOR_CALIBRATING,
    FOR_JUDGING,
    Shortfall,
    TextSample,
    activity_bounds,
    draw_texts,
)
from eval.judges import EMBEDDING, Judge, JudgeSettings
from indexer.arrays import DoubleArray, IntArray
from indexer.errors import InputError
from neurons.exemplars import NeuronTail
from service.tail_samples import described_samples

if TYPE_CHECKING:
    from eval.lm_judge import LMJudge
    from service.evaluated_run import EvaluatedRun

ALIKE = "described_like_all_others"
"""Why a tail has no null: every other tail shares a descriptor with it."""

_REFERENCE_TEXTS = 20_000
_STREAM = 31


@dataclass(frozen=True, eq=False)
class DrawnTail:
    """A described tail of a neuron with its descriptions and its texts of each split."""

    neuron: NeuronTail
    column: int
    descriptions: Descriptions
    test: TextSample
    validation: TextSample


@dataclass(frozen=True, eq=False)
class DrawnPopulation:
    """The tails of one site and sign that can be judged, and why others that were drawn cannot."""

    where: str
    described: int
    drawn: int
    unfit: Counter[str]
    tails: tuple[DrawnTail, ...]


def draw_populations(run: EvaluatedRun, settings: JudgeSettings) -> list[DrawnPopulation]:
    """Draw described tails of every site and sign, and texts for each of them."""
    samples = described_samples(run)
    enough = [len(sample) >= FEWEST_NEURONS for sample in samples]
    quota = max(FEWEST_NEURONS, settings.neurons // max(1, sum(enough)))
    layers = np.array([neuron.layer for neuron in run.neurons], dtype=np.int64)
    drawn = []
    for number, sample in enumerate(samples):
        generator = np.random.default_rng([run.settings.seed, _STREAM, number])
        wanted = quota if enough[number] else 0
        drawn.append(sample.take(spread_over_layers(layers[sample.neurons], wanted, generator)))
    described = [_descriptions(run, settings, own, number) for number, own in enumerate(drawn)]
    unfit: list[Counter[str]] = [Counter() for _ in drawn]
    tails: list[list[DrawnTail]] = [[] for _ in drawn]
    pools = _pools(run, settings)
    every = np.arange(len(run.corpus), dtype=np.int64)
    for number, place, column in tail_columns(
        run.activations, every, drawn, run.watched("texts for judges")
    ):
        neuron = int(drawn[number].neurons[place])
        names = NeuronTail(run.neurons[neuron], drawn[number].tail)
        own = described[number][place]
        found = (
            Shortfall(ALIKE)
            if own is None
            else _with_texts(run, settings, pools, names, neuron, own, column.astype(np.float64))
        )
        if isinstance(found, Shortfall):
            unfit[number][found.reason] += 1
        else:
            tails[number].append(found)
    return [
        DrawnPopulation(sample.name, len(sample), len(own), reasons, tuple(fit))
        for sample, own, reasons, fit in zip(samples, drawn, unfit, tails, strict=True)
    ]


def _pools(run: EvaluatedRun, settings: JudgeSettings) -> tuple[IntArray, IntArray]:
    """The test and the validation sentences that texts are drawn from, ascending."""
    generator = np.random.default_rng([run.settings.seed, _STREAM, 0, 0])
    test, validation = (
        np.sort(generator.permutation(rows)[: settings.pool])
        for rows in (run.split_rows.test, run.split_rows.validation)
    )
    return test, validation


def _descriptions(
    run: EvaluatedRun, settings: JudgeSettings, drawn: DescribedTails, number: int
) -> list[Descriptions | None]:
    from neurons.auroc import set_sizes

    ranking = drawn.ranking
    ranked = [
        tuple(own[: min(length, settings.descriptors)])
        for own, length in zip(ranking.descriptors.tolist(), ranking.lengths.tolist(), strict=True)
    ]
    return describe(
        ranked,
        [descriptor.text for descriptor in run.catalog],
        set_sizes(run.membership[:, run.split_rows.discover]),
        settings.swaps,
        np.random.default_rng([run.settings.seed, _STREAM, 1, number]),
    )


def _with_texts(
    run: EvaluatedRun,
    settings: JudgeSettings,
    pools: tuple[IntArray, IntArray],
    neuron: NeuronTail,
    column: int,
    descriptions: Descriptions,
    strengths: DoubleArray,
) -> DrawnTail | Shortfall:
    bounds = activity_bounds(strengths[run.split_rows.discover], settings.active_share)
    # A generator for each tail, so that its texts do not depend on which others are drawn.
    generator = tail_generator(run, neuron, column)
    samples = []
    for own, needed in zip(pools, (FOR_JUDGING, FOR_CALIBRATING), strict=True):
        sample = draw_texts(strengths, bounds, own, run.vectors, settings.texts, needed, generator)
        if isinstance(sample, Shortfall):
            return sample
        samples.append(sample)
    return DrawnTail(neuron, column, descriptions, *samples)


def tail_generator(
    run: EvaluatedRun, neuron: NeuronTail, column: int, stream: int = 0
) -> np.random.Generator:
    """Draws for one tail of a neuron, the same whatever else is drawn."""
    sign = list(type(neuron.tail)).index(neuron.tail)
    return np.random.default_rng([run.settings.seed, _STREAM, 2 + stream, column, sign])


def sampled_texts(run: EvaluatedRun, sample: TextSample) -> SampledTexts:
    """A sample with its texts."""
    return SampledTexts(sample, tuple(run.corpus.texts_at(sample.rows)))


@contextmanager
def opened_judges(
    run: EvaluatedRun, settings: JudgeSettings, rows: IntArray
) -> Iterator[list[Judge]]:
    """The judges that `settings` name; an LM is let go of in the end.

    Args:
        run: the run whose neurons are judged.
        settings: which judges.
        rows: sentences that they will be asked about, which need not be embedded again.

    Raises:
        InputError: there is no such LM, or a package that it needs is missing.
    """
    judges: list[Judge] = [
        _embedding_judge(run, rows) if name == EMBEDDING else _word_judge(run)
        for name in settings.judges
    ]
    if settings.lm is None:
        yield judges
        return
    lm = _lm_judge(run, settings, settings.lm)
    try:
        yield [*judges, lm]
    finally:
        lm.close()


def _embedding_judge(run: EvaluatedRun, rows: IntArray) -> Judge:
    from eval.embedding_judge import EmbeddingJudge
    from indexer.remembering import RememberingEncoder

    encoder = RememberingEncoder(run.encoder)
    distinct = np.unique(rows)
    encoder.remember(run.corpus.texts_at(distinct), np.asarray(run.embeddings[distinct]))
    return EmbeddingJudge(encoder)


def _word_judge(run: EvaluatedRun) -> Judge:
    from eval.word_judge import WordJudge

    generator = np.random.default_rng([run.settings.seed, _STREAM, 1])
    drawn = generator.permutation(run.split_rows.discover)[:_REFERENCE_TEXTS]
    return WordJudge(run.corpus.texts_at(np.sort(drawn)))


def _lm_judge(run: EvaluatedRun, settings: JudgeSettings, written: str) -> LMJudge:
    from descriptors.proposer_factory import (
        RESPONSES,
        WORD_OF_MODEL,
        ProposerContext,
        ProposerSpec,
        create_generator,
    )
    from descriptors.response_store import ResponseStore
    from eval.lm_judge import LMJudge

    spec = ProposerSpec.parse(written)
    if spec.model is None:
        works = ", ".join(f"{back_end}:{word}" for back_end, word in WORD_OF_MODEL.items())
        raise InputError(f"found judge {written!r}, which is no chat model; what works: {works}")
    context = ProposerContext(
        encoder=run.encoder, generation=run.settings.generation, device=run.settings.device
    )
    return LMJudge(
        create_generator(spec, context),
        ResponseStore(run.path / RESPONSES),
        run.settings.generation.sampling,
        texts_per_request=settings.texts_per_request,
        progress=run.progress,
    )
