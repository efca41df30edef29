"""Detection, fuzzing and simulation on a run: what do judges make of its descriptions?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from indexer.arrays import BoolArray, IntArray

if TYPE_CHECKING:
    from eval.fuzzing import FuzzingTail
    from eval.judge_scores import JudgedScores, JudgeFailed, Population, Told
    from eval.judges import Judge, JudgeSettings
    from eval.records import Figure
    from eval.simulation import WordTail
    from service.evaluated_run import EvaluatedRun
    from service.judged_run import DrawnPopulation
    from service.judged_words import TailWords

_Tail = TypeVar("_Tail")
_FUZZING_STREAM = 1
_CONSTANT = "same_activation_on_every_word"


def detection_figures(run: EvaluatedRun, settings: JudgeSettings) -> list[Figure]:
    """How well judges tell active texts from others by the descriptions; see `eval.detection`.

    Raises:
        InputError: there is no such LM, or a package that it needs is missing.
    """
    from eval.detection import AUROC, PROTOCOL, TOLD, DetectionTail, detect
    from service.judged_run import draw_populations, opened_judges, sampled_texts

    drawn = draw_populations(run, settings)
    figures: list[Figure] = []
    with opened_judges(run, settings, _rows(drawn)) as judges:
        panel = _Panel(run, settings, judges)
        for each in drawn:
            tails = [
                DetectionTail(
                    tail.descriptions,
                    sampled_texts(run, tail.test),
                    sampled_texts(run, tail.validation),
                )
                for tail in each.tails
            ]
            verdicts = _item_counts([tail.test.sample.active for tail in tails])
            figures += panel.figures(
                _population(PROTOCOL, each), tails, detect, TOLD, AUROC, verdicts
            )
    return figures


def fuzzing_figures(run: EvaluatedRun, settings: JudgeSettings) -> list[Figure]:
    """How well judges tell active words from others by the descriptions; see `eval.fuzzing`.

    Raises:
        InputError: there is no such LM, or a package that it needs is missing.
        BackendError: the subject model computes activations that are no finite numbers.
    """
    from eval.detection import AUROC
    from eval.fuzzing import PROTOCOL, TOLD, fuzz
    from service.judged_run import draw_populations, opened_judges

    if refusal := _without_model(run, PROTOCOL):
        return [refusal]
    drawn = draw_populations(run, settings)
    words = _words(run, drawn, active_only=True)
    figures: list[Figure] = []
    with opened_judges(run, settings, _rows(drawn)) as judges:
        panel = _Panel(run, settings, judges)
        for each, read in zip(drawn, words, strict=True):
            tails, unfit = _fuzzing_tails(run, each, read)
            population = _population(PROTOCOL, each, unfit)
            verdicts = _item_counts([tail.right for tail in tails])
            figures += panel.figures(population, tails, fuzz, TOLD, AUROC, verdicts)
    return figures


def simulation_figures(run: EvaluatedRun, settings: JudgeSettings) -> list[Figure]:
    """How well judges predict activations from the descriptions; see `eval.simulation`.

    Raises:
        InputError: there is no such LM, or a package that it needs is missing.
        BackendError: the subject model computes activations that are no finite numbers.
    """
    from eval.simulation import (
        PEARSON,
        PROTOCOL,
        SENTENCE_LEVEL,
        TOLD,
        WORD_LEVEL,
        SentenceTail,
        simulate_sentences,
        simulate_words,
    )
    from service.judged_run import draw_populations, opened_judges, sampled_texts

    drawn = draw_populations(run, settings)
    refusal = _without_model(run, PROTOCOL, WORD_LEVEL)
    words = [] if refusal else _words(run, drawn, active_only=False)
    figures: list[Figure] = []
    with opened_judges(run, settings, _rows(drawn)) as judges:
        panel = _Panel(run, settings, judges)
        for each in drawn:
            whole = [
                SentenceTail(tail.descriptions, sampled_texts(run, tail.test))
                for tail in each.tails
            ]
            population = _population(PROTOCOL, each, level=SENTENCE_LEVEL)
            figures += panel.figures(population, whole, simulate_sentences, TOLD, PEARSON)
        for each, read in zip(drawn, words, strict=False):
            tails, unfit = _word_tails(each, read)
            population = _population(PROTOCOL, each, unfit, level=WORD_LEVEL)
            figures += panel.figures(population, tails, simulate_words, TOLD, PEARSON)
    return [*figures, refusal] if refusal else figures


@dataclass(frozen=True, eq=False)
class _Panel:
    """The judges of a run, and how they are asked."""

    run: EvaluatedRun
    settings: JudgeSettings
    judges: Sequence[Judge]

    def figures(
        self,
        population: Population,
        tails: Sequence[_Tail],
        ask: Callable[[Judge, Sequence[_Tail]], JudgedScores | JudgeFailed],
        told: Mapping[str, Told],
        compared: str,
        n_items: IntArray | None = None,
    ) -> list[Figure]:
        from eval.judging import Comparing, judged_figures

        return judged_figures(
            population,
            self.judges,
            tails,
            ask,
            told,
            Comparing(compared, n_items),
            self.settings.maximum_missing,
            self.run.settings.seed,
        )


def _fuzzing_tails(
    run: EvaluatedRun, drawn: DrawnPopulation, read: Sequence[TailWords]
) -> tuple[list[FuzzingTail], Counter[str]]:
    from eval.fuzzing import fuzzed
    from eval.judged_texts import Shortfall
    from service.judged_run import tail_generator

    unfit: Counter[str] = Counter()
    tails: list[FuzzingTail] = []
    for tail, own in zip(drawn.tails, read, strict=True):
        generator = tail_generator(run, tail.neuron, tail.column, _FUZZING_STREAM)
        found = fuzzed(tail.descriptions, own.texts, own.strengths, own.resting, generator)
        if isinstance(found, Shortfall):
            unfit[found.reason] += 1
        else:
            tails.append(found)
    return tails, unfit


def _word_tails(
    drawn: DrawnPopulation, read: Sequence[TailWords]
) -> tuple[list[WordTail], Counter[str]]:
    from eval.simulation import WordTail

    unfit: Counter[str] = Counter()
    tails: list[WordTail] = []
    for tail, own in zip(drawn.tails, read, strict=True):
        strengths = np.concatenate([np.empty(0), *own.strengths])
        if len(strengths) and np.ptp(strengths) > 0.0:
            tails.append(WordTail(tail.descriptions, own.texts, strengths))
        else:
            unfit[_CONSTANT] += 1
    return tails, unfit


def _words(
    run: EvaluatedRun, drawn: Sequence[DrawnPopulation], *, active_only: bool
) -> list[list[TailWords]]:
    """The words of the test texts of every tail, population by population."""
    from service.judged_words import tail_words

    tails = [tail for each in drawn for tail in each.tails]
    rows = [tail.test.rows[tail.test.active] if active_only else tail.test.rows for tail in tails]
    read = iter(tail_words(run, tails, rows) if tails else [])
    return [[next(read) for _ in each.tails] for each in drawn]


def _without_model(run: EvaluatedRun, protocol: str, variant: str = "") -> Figure | None:
    """Why words cannot be judged, where the run has imported its activations."""
    from eval.records import Figure
    from service.imported_stage import is_imported, no_model

    if not is_imported(run.settings):
        return None
    return Figure.refused(protocol, str(no_model(run.settings)), variant=variant)


def _population(
    protocol: str, drawn: DrawnPopulation, unfit: Mapping[str, int] | None = None, level: str = ""
) -> Population:
    from eval.judge_scores import Population

    reasons = drawn.unfit + Counter(unfit or {})
    return Population(
        protocol=protocol,
        where=drawn.where,
        described=drawn.described,
        drawn=drawn.drawn,
        unfit=dict(sorted(reasons.items())),
        level=level,
    )


def _rows(drawn: Sequence[DrawnPopulation]) -> IntArray:
    """Every sentence that a judge may be asked about."""
    samples = [
        sample.rows
        for each in drawn
        for tail in each.tails
        for sample in (tail.test, tail.validation)
    ]
    return np.unique(np.concatenate([np.empty(0, dtype=np.int64), *samples]))


def _item_counts(truths: Sequence[BoolArray]) -> IntArray:
    """Active items, and others, of each tail (`n_tails, 2`)."""
    counts = [(int(truth.sum()), int((~truth).sum())) for truth in truths]
    return np.array(counts, dtype=np.int64).reshape(-1, 2)
