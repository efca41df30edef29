"""The stage that asks what words alone give: the run's matching on random-weight models."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.controls import nothing_to_match
from eval.lexical import (
    LEXICAL_FILE,
    LexicalControl,
    LexicalRecord,
    LexicalSample,
    LexicalSettings,
    rounded,
    write_lexical,
)
from neurons.matching import TAILS
from service.catalog_stages import MEMBERSHIP
from service.neuron_stages import NeuronStages

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from indexer.arrays import DoubleArray
    from indexer.engine import Engine
    from neurons.best_candidates import BestCandidates
    from neurons.extraction import TextSource
    from neurons.matching import Matches, MatchingSettings
    from neurons.rank_arithmetic import RankArithmetic
    from neurons.reading import ExtractionSettings
    from neurons.split_rows import SplitRows, Watch
    from neurons.store import ActivationStore
    from neurons.subject import SubjectModel

LEXICAL = LEXICAL_FILE
SCRATCH = "lexical-activations"
"""Where a control's activations lie until they are matched; gone when the stage is done."""


@dataclass(frozen=True)
class LexicalTask:
    """All that a control shares with the run it belongs to."""

    corpus: TextSource
    corpus_fingerprint: str
    extraction: ExtractionSettings
    membership: csr_matrix
    handicaps: DoubleArray
    rows: SplitRows
    matching: MatchingSettings
    seed: int
    watch: Watch
    arithmetic: RankArithmetic
    engine: Engine
    progress: bool = field(default=False, kw_only=True)


class LexicalStage(NeuronStages):
    """Adds the lexical baseline to the stages of a run."""

    def measure_lexical(self, lexical: LexicalSettings) -> None:
        """`lexical.json`."""
        inputs = {
            "activations": self.outputs("extract"),
            "catalog": self.outputs("catalog"),
            "corpus": self.corpus.fingerprint,
            "extraction": self.settings.extraction.model_dump(mode="json"),
            "lexical": lexical.model_dump(mode="json"),
            "matching": self.settings.matching.model_dump(mode="json"),
            "seed": self.settings.seed,
        }
        self.run.stage("lexical", inputs, [LEXICAL], lambda: self._measure_lexical(lexical))

    def _measure_lexical(self, lexical: LexicalSettings) -> Any:
        record = self._lexical_record(lexical)
        write_lexical(self.run.path / LEXICAL, record)
        shutil.rmtree(self.run.path / SCRATCH, ignore_errors=True)
        return {
            "samples": len(record.samples),
            "units": sum(len(sample.judged) for sample in record.samples),
            "described": sum(len(sample.matched) for sample in record.samples),
            "reason": record.reason,
        }

    def _lexical_record(self, lexical: LexicalSettings) -> LexicalRecord:
        from service.imported_stage import PREFIX, is_imported

        if is_imported(self.settings):
            source = self.settings.model.removeprefix(PREFIX)
            return LexicalRecord(
                reason=f"the activations come from {source}, and there is no model whose weights "
                "could be drawn anew; run with --model and the model itself"
            )
        return lexical_record(self.subject, self._lexical_task(), lexical, self.run.path / SCRATCH)

    def _lexical_task(self) -> LexicalTask:
        from descriptors.catalog import handicaps, read_membership

        return LexicalTask(
            corpus=self.corpus,
            corpus_fingerprint=self.corpus.fingerprint,
            extraction=self.settings.extraction,
            membership=read_membership(self.run.path / MEMBERSHIP),
            handicaps=handicaps(self.kept_descriptors()),
            rows=self.split_rows,
            matching=self.settings.matching,
            seed=self.settings.seed,
            watch=self.watched("lexical baseline"),
            arithmetic=self.rank_arithmetic,
            engine=self.engine,
            progress=self.progress,
        )


def lexical_record(
    subject: SubjectModel, task: LexicalTask, settings: LexicalSettings, scratch: Path
) -> LexicalRecord:
    """Read and match every control of a model.

    The i-th random-weight model has the run's seed plus i, so that a run of another seed has
    others. An interrupted extraction is continued from what lies in `scratch`; a control's
    activations are removed once they are matched.

    Raises:
        BackendError: a control computes what is no finite number.
        RunError: `scratch` cannot be written.
    """
    reason = _too_little(task, settings)
    if reason:
        return LexicalRecord(reason=reason)
    samples: list[LexicalSample] = []
    for control, seed, model in _controls(subject, task.seed, settings):
        samples += _samples(control, seed, model, task, scratch / f"{control}-{seed}")
    return LexicalRecord(samples=tuple(samples))


def _too_little(task: LexicalTask, settings: LexicalSettings) -> str:
    """Why there is nothing to compare with, empty where there is something."""
    if not settings.seeds and not settings.directions:
        return "the run was told to read no random-weight model; set its number of seeds to 1"
    return nothing_to_match(task.membership, task.rows, task.matching)


def _controls(
    subject: SubjectModel, seed: int, settings: LexicalSettings
) -> Iterator[tuple[LexicalControl, int, SubjectModel]]:
    """Each control with its seed; models are made when they are asked for."""
    from neurons.random_weights import with_random_weights

    for number in range(seed, seed + settings.seeds):
        yield LexicalControl.RANDOM_WEIGHTS, number, with_random_weights(subject, number)
    if settings.directions:
        yield LexicalControl.RANDOM_DIRECTIONS, seed, subject.with_random_directions(seed)


def _samples(
    control: LexicalControl, seed: int, model: SubjectModel, task: LexicalTask, folder: Path
) -> list[LexicalSample]:
    from neurons.best_candidates import match_with_best
    from neurons.split_rows import Activations
    from neurons.store import ActivationStore
    from neurons.store_writer import clear

    _extract(model, task, folder)
    store = ActivationStore.open(folder)
    matches, best = match_with_best(
        Activations.of_store(store),
        task.membership,
        task.rows,
        task.matching,
        task.seed,
        watch=task.watch,
        arithmetic=task.arithmetic,
        engine=task.engine,
        handicaps=task.handicaps,
    )
    samples = _of_places(control, seed, store, matches, best)
    # First what says that the store is complete, for whoever is killed in between.
    clear(folder)
    return samples


def _extract(model: SubjectModel, task: LexicalTask, folder: Path) -> None:
    from indexer.storage import fingerprint
    from neurons.extraction import extract
    from neurons.parity import require_parity

    inputs = {
        "model": model.fingerprint,
        "corpus": task.corpus_fingerprint,
        "extraction": task.extraction.model_dump(mode="json"),
    }
    extract(
        model,
        task.corpus,
        folder,
        task.extraction,
        fingerprint(inputs),
        parity=require_parity(model),
        engine=task.engine,
        progress=task.progress,
    )


def _of_places(
    control: LexicalControl,
    seed: int,
    store: ActivationStore,
    matches: Matches,
    best: BestCandidates,
) -> list[LexicalSample]:
    first = np.flatnonzero(matches.rank == 1)
    described = np.zeros(matches.constant.shape, dtype=np.bool_)
    described[matches.neuron[first], matches.tail[first]] = True
    first_match = np.zeros(described.shape)
    first_match[matches.neuron[first], matches.tail[first]] = matches.auroc[first]
    samples = []
    begin = 0
    for place in store.layer_sites:
        own = slice(begin, begin + store.units(place))
        begin = own.stop
        for number, tail in enumerate(TAILS):
            samples.append(
                LexicalSample(
                    control=control,
                    seed=seed,
                    layer=place.layer,
                    site=place.site,
                    tail=tail,
                    best=rounded(best.test_auroc[own, number], ~matches.constant[own, number]),
                    first_match=rounded(first_match[own, number], described[own, number]),
                )
            )
    return samples
