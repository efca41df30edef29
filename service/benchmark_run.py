"""One run of a benchmark: the pipeline, then all matchers on what it left."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from eval.benchmark_records import BenchmarkFigure, BenchmarkRun, RecoveryRow, RunResult
from eval.benchmark_rows import RunPlace, failed_rows, own_rows, rival_rows
from eval.matchers import RIVALS
from indexer.errors import NeuroscribeError
from indexer.storage import PARTIAL_SUFFIX, file_fingerprint, fingerprint, read_json
from service.benchmark_settings import BenchmarkCorpus, BenchmarkSuite, shown
from service.stages import FORMAT_VERSION, installed_versions

if TYPE_CHECKING:
    from eval.matcher_task import MatcherTask
    from eval.rival_recovery import GoldFacet, Judging
    from indexer.engine import Engine
    from service.finished_run import FinishedRun
    from service.pipeline import RunSummary

_ACTIVATIONS = "activations"
_MANIFEST = "manifest.json"
_TIMINGS = "timings.json"


@dataclass(frozen=True)
class RunTask:
    """One corpus with one model and one proposer.

    `model` and `proposer` are as the user wrote them; tables show them without folders.
    """

    suite: BenchmarkSuite
    corpus: BenchmarkCorpus
    model: str
    proposer: str

    @property
    def place(self) -> RunPlace:
        """Where the rows of the run belong."""
        return RunPlace(
            self.corpus.name,
            shown(self.model),
            shown(self.proposer),
            self.suite.taus,
            self.suite.ks,
        )

    @property
    def key(self) -> str:
        """Changes with whatever may change the run's figures.

        Raises:
            InputError: the settings are not possible.
        """
        settings = self.suite.run_settings(self.corpus, self.model, self.proposer)
        source = Path(self.corpus.source)
        return fingerprint(
            {
                "format_version": FORMAT_VERSION,
                "versions": installed_versions(),
                "settings": settings.model_dump(mode="json"),
                "corpus": file_fingerprint(source) if source.is_file() else None,
                "matchers": self.suite.matchers,
                "rivals": self.suite.rivals.model_dump(),
                "null_neurons": self.suite.null_neurons,
                "ks": self.suite.ks,
                "taus": self.suite.taus,
            }
        )

    def failed(self, reason: str) -> RunResult:
        """What is kept of a run that failed."""
        return RunResult(key="", run=self._run().model_copy(update={"reason": shown(reason)}))

    def _run(self) -> BenchmarkRun:
        place = self.place
        return BenchmarkRun(
            corpus=place.corpus,
            model=place.model,
            proposer=place.proposer,
            options=self.corpus.options,
        )

    def do(
        self, folder: Path, *, progress: bool = False, engine: Engine | None = None
    ) -> RunResult:
        """Run in `folder`, going on from what it holds, and judge all matchers.

        Raises:
            InputError: a setting, the corpus or a model cannot be used.
            BackendError: a model or an LM failed.
            RunError: the folder cannot be written or is damaged.
        """
        from service.finished_run import FinishedRun
        from service.pipeline import run_pipeline

        began = time.monotonic()
        settings = self.suite.run_settings(self.corpus, self.model, self.proposer)
        summary = run_pipeline(settings, folder, update=True, progress=progress, engine=engine)
        run = FinishedRun(folder, self.suite.device, progress=progress)
        rows = self._judged(run, summary)
        counted = self._run().model_copy(
            update={
                "sentences": len(run.corpus),
                "neurons": run.store.n_neurons,
                "descriptors": len(run.catalog),
                "described": _described_share(run),
                "seconds": round(time.monotonic() - began, 3),
                # The runs of other proposers share the first one's stages.
                "continued": bool(summary.reused) and self.proposer == self.suite.proposers[0],
            }
        )
        place = self.place
        figures = tuple(
            BenchmarkFigure(
                **figure.model_dump(),
                corpus=place.corpus,
                model=place.model,
                proposer=place.proposer,
            )
            for figure in summary.figures
        )
        return RunResult(key=self.key, run=counted, rows=tuple(rows), figures=figures)

    def _judged(self, run: FinishedRun, summary: RunSummary) -> list[RecoveryRow]:
        matchers, figures = self.suite.matchers, summary.figures
        timings = read_json(run.path / _TIMINGS)
        rows = own_rows(self.place, figures, matchers, timings.get("match"))
        rivals = [name for name in matchers if name in RIVALS]
        if rivals and len(run.labels):
            task, facets, judging = self._prepared(run)
            for name in rivals:
                rows += self._rival(name, task, facets, judging, summary)
        return [row for name in matchers for row in rows if row.matcher == name]

    def _rival(
        self,
        name: str,
        task: MatcherTask,
        facets: tuple[GoldFacet, ...],
        judging: Judging,
        summary: RunSummary,
    ) -> list[RecoveryRow]:
        from eval.rival_recovery import rival_recovery

        try:
            found = rival_recovery(RIVALS[name], task, facets, judging)
        except NeuroscribeError as error:
            return failed_rows(self.place, name, summary.figures, shown(str(error)))
        return rival_rows(self.place, name, found.figures, summary.figures, found.seconds)

    def _prepared(self, run: FinishedRun) -> tuple[MatcherTask, tuple[GoldFacet, ...], Judging]:
        from eval.label_recovery import Population
        from eval.matcher_task import MatcherTask
        from eval.rival_recovery import Judging, gold_facets

        settings = run.settings
        sites = np.array([neuron.site.value for neuron in run.neurons])
        places = run.store.layer_sites
        layers = np.repeat(np.arange(len(places)), [run.store.units(place) for place in places])
        words = run.encoder.encode([descriptor.text for descriptor in run.catalog])
        task = MatcherTask(
            activations=run.activations,
            membership=run.membership,
            rows=run.split_rows,
            layers=layers,
            sentence_vectors=run.vectors,
            descriptor_vectors=run.whitening.apply(words),
            settings=self.suite.rivals,
            n_ranks=max(self.suite.ks),
            watch=run.watched("rivals"),
        )
        judging = Judging(
            rows=run.split_rows,
            populations=tuple(
                Population(site.value, np.flatnonzero(sites == site.value))
                for site in settings.extraction.sites
                if site.value in sites
            ),
            ks=self.suite.ks,
            taus=self.suite.taus,
            seed=settings.seed,
            null_neurons=self.suite.null_neurons,
        )
        facets = gold_facets(
            run.activations,
            run.labels,
            run.split_rows,
            settings.matching,
            settings.evaluation.label_recovery.minimum_positives,
            run.watched("gold"),
        )
        return task, facets, judging


def drop_activations(folder: Path) -> None:
    """Remove what takes most room; the run then counts as one that is to be resumed."""
    # The manifest goes first: it says that everything is there.
    (folder / _MANIFEST).unlink(missing_ok=True)
    if (folder / _ACTIVATIONS).is_dir():
        shutil.rmtree(folder / _ACTIVATIONS)
    for leftover in folder.rglob(f"*{PARTIAL_SUFFIX}"):
        leftover.unlink()


def _described_share(run: FinishedRun) -> float:
    described = {neuron for (neuron, _), each in run.explanations.items() if each.matches}
    return len(described) / run.store.n_neurons
