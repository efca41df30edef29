"""The last stage: everything a run found, put before a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from service.catalog_stages import CORPUS, DESCRIPTORS, MEMBERSHIP
from service.neuron_stages import EXEMPLARS, NeuronStages

if TYPE_CHECKING:
    from eval.report_content import RunSummary as ReportedRun
    from eval.report_selection import ReportInputs

REPORT = "report.html"


class ReportStage(NeuronStages):
    """Adds the report to the stages of a run."""

    def report(self) -> None:
        """`report.html`."""
        inputs = {
            "explanations": self.outputs("match"),
            "exemplars": self.outputs("exemplars"),
            "evaluation": self.outputs("evaluate"),
            "catalog": self.outputs("catalog"),
            "corpus": self.outputs("corpus"),
            "settings": self.settings.model_dump(mode="json"),
        }
        self.run.stage("report", inputs, [REPORT], self._report)

    def _report(self) -> Any:
        from eval.report import write_report
        from eval.report_selection import build_content

        write_report(self.run.path / REPORT, build_content(self._inputs()))
        return None

    def _inputs(self) -> ReportInputs:
        from descriptors.catalog import kept, read_descriptors, read_membership
        from descriptors.corpus import CorpusTexts
        from eval.evaluation_file import read_evaluation
        from eval.report_selection import ReportInputs
        from eval.verdicts import headline_figures
        from neurons.exemplars import read_exemplars

        descriptors = read_descriptors(self.run.path / DESCRIPTORS)
        texts = [descriptor.text for descriptor in kept(descriptors)]
        figures = read_evaluation(self.run.path)
        return ReportInputs(
            run=self._reported_run(),
            texts=CorpusTexts(self.corpus),
            descriptors=descriptors,
            membership=read_membership(self.run.path / MEMBERSHIP),
            vectors=self.whitening.apply(self.encoder.encode(texts)),
            explanations=self.explanations(),
            exemplars=read_exemplars(self.run.path / EXEMPLARS),
            figures=figures,
            headline=headline_figures(figures),
        )

    def _reported_run(self) -> ReportedRun:
        from descriptors.corpus import read_labels
        from eval.report_content import NamedCount, NamedText
        from eval.report_content import RunSummary as ReportedRun

        settings = self.settings
        results = {name: record.result for name, record in self.run.stages().items()}
        sites = settings.extraction.sites
        return ReportedRun(
            corpus=settings.corpus,
            model=settings.model,
            encoder=settings.encoder,
            proposers=settings.proposers,
            sentences=len(self.corpus),
            documents=int(results["corpus"]["documents"]),
            splits=tuple(
                NamedCount(name, count) for name, count in results["corpus"]["split_counts"].items()
            ),
            layers=1 + max(place.layer for place in self.store.layer_sites),
            sites=sites,
            neurons=self.store.n_neurons,
            pooling=settings.extraction.pooling.value,
            seed=settings.seed,
            labelled=len(read_labels(self.run.path / CORPUS)) > 0,
            notes=tuple(_notes(results)),
            manifest=tuple(
                NamedText(name, fingerprint) for name, fingerprint in self.fingerprints().items()
            ),
        )

    def fingerprints(self) -> dict[str, str]:
        """What the run was made from: corpus, sentence encoder and subject model."""
        stages = self.run.stages()
        return {
            "corpus": stages["corpus"].outputs[CORPUS],
            "encoder": stages["embed"].inputs["encoder"],
            "model": stages["extract"].inputs["model"],
        }


def _notes(results: dict[str, Any]) -> list[str]:
    """Counts that a reader should know before trusting the figures."""
    counted = {
        "blank texts were skipped": results["corpus"]["blank_skipped"],
        "sentences occur more than once": results["corpus"]["duplicate_sentences"],
        "sentences were embedded only by their start": results["embed"]["truncated_sentences"],
        "sentences were longer than the model reads": results["extract"]["truncated_sentences"],
        "sentences have no token the model knows": results["extract"][
            "sentences_without_content_tokens"
        ],
        "activations were outside the float16 range": results["extract"]["clipped_values"],
        "groups were too small to be named": results["propose"]["groups_too_small"],
    }
    return [f"{count:,} {what}." for what, count in counted.items() if count]
