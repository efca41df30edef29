"""The last stage: everything a run found, put before a reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descriptors.sample import SAMPLE
from indexer.bundled import BUNDLED
from service.catalog_stages import DESCRIPTORS, MEMBERSHIP
from service.evaluation_stage import EvaluationStage
from service.index_stages import CORPUS
from service.lexical_stage import LEXICAL
from service.neuron_stages import EXEMPLARS
from service.public_names import public_name
from service.stages import installed_versions

if TYPE_CHECKING:
    from eval.null_distributions import NullDistributions
    from eval.report_content import RunSummary as ReportedRun
    from eval.report_selection import ReportInputs

REPORT = "report.html"


class ReportStage(EvaluationStage):
    """Adds the report to the stages of a run."""

    def report(self) -> None:
        """`report.html`."""
        from eval.report import page_fingerprint

        inputs = {
            "page": page_fingerprint(),
            "explanations": self.outputs("match"),
            "exemplars": self.outputs("exemplars"),
            "evaluation": self.outputs("evaluate"),
            "lexical": self.outputs("lexical"),
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
        from eval.lexical import LexicalBaseline
        from eval.report_selection import ReportInputs
        from neurons.exemplars import read_exemplars

        descriptors = read_descriptors(self.run.path / DESCRIPTORS)
        texts = [descriptor.text for descriptor in kept(descriptors)]
        return ReportInputs(
            run=self._reported_run(),
            texts=CorpusTexts(self.corpus),
            descriptors=descriptors,
            membership=read_membership(self.run.path / MEMBERSHIP),
            vectors=self.whitening.apply(self.encoder.encode(texts)),
            explanations=self.explanations(),
            exemplars=read_exemplars(self.run.path / EXEMPLARS),
            figures=read_evaluation(self.run.path),
            nulls=self._nulls(),
            lexical=LexicalBaseline.read(self.run.path / LEXICAL),
        )

    def _nulls(self) -> NullDistributions | None:
        """What the nulls of the controls gave, if they are part of the evaluation."""
        from eval.null_distributions import DISTRIBUTIONS_FILE, read_distributions

        path = self.run.path / DISTRIBUTIONS_FILE
        return read_distributions(self.run.path) if path.is_file() else None

    def _reported_run(self) -> ReportedRun:
        from descriptors.corpus import read_labels
        from descriptors.splits import SPLIT_ORDER
        from eval.report_content import LMUsage, NamedCount, NamedText
        from eval.report_content import RunSummary as ReportedRun
        from service.generation_usage import read_usage

        settings = self.settings
        results = {name: record.result for name, record in self.run.stages().items()}
        counts = results["corpus"]["split_counts"]
        return ReportedRun(
            corpus=_corpus_name(settings.corpus),
            model=_model_name(settings.model),
            encoder=_model_name(settings.encoder),
            proposers=settings.proposers,
            sentences=len(self.corpus),
            documents=int(results["corpus"]["documents"]),
            splits=tuple(NamedCount(split, counts[split]) for split in SPLIT_ORDER),
            layers=1 + max(place.layer for place in self.store.layer_sites),
            sites=settings.extraction.sites,
            usages=tuple(LMUsage(*pair) for pair in read_usage(results["propose"]).items()),
            neurons=self.store.n_neurons,
            pooling=settings.extraction.pooling.value,
            seed=settings.seed,
            labelled=len(read_labels(self.run.path / CORPUS)) > 0,
            versions=tuple(NamedText(*pair) for pair in installed_versions().items()),
            notes=tuple(_notes(results)),
            manifest=tuple(NamedText(*pair) for pair in self._manifest_excerpt().items()),
        )

    def _manifest_excerpt(self) -> dict[str, str]:
        """Fingerprints, then the settings of each stage as JSON."""
        settings = self.settings.model_dump(mode="json")
        stages = {name: part for name, part in settings.items() if isinstance(part, dict)}
        return {
            **{
                f"{name} setting": public_name(settings[name])
                for name in ("corpus", "model", "encoder")
            },
            **{f"{name} fingerprint": text for name, text in self.fingerprints().items()},
            **{name: json.dumps(part, ensure_ascii=False) for name, part in stages.items()},
        }

    def fingerprints(self) -> dict[str, str]:
        """What the run was made from: corpus, sentence encoder and subject model."""
        stages = self.run.stages()
        return {
            "corpus": stages["corpus"].outputs[CORPUS],
            "encoder": stages["embed"].inputs["encoder"],
            "model": stages["extract"].inputs["model"],
        }


def _corpus_name(setting: str) -> str:
    """The corpus as a reader knows it: a file without its folders."""
    if setting == SAMPLE:
        return "sample reviews"
    return setting if setting.startswith("hf:") else Path(setting).name


def _model_name(setting: str) -> str:
    """The model as a reader knows it: a folder without its parents."""
    if setting == BUNDLED:
        return "all-MiniLM-L6-v2"
    return Path(setting).name if Path(setting).is_dir() else setting


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
    }
    ungrouped = results["propose"]["ungrouped_sentences"]
    clustered = results["propose"]["clustered_sentences"]
    named = results["catalog"]["sentences_with_a_descriptor"]
    usable, kept = results["match"]["usable_descriptors"], results["catalog"]["kept"]
    return [
        f"{named:,} of {results['corpus']['sentences']:,} sentences belong to a descriptor.",
        f"{ungrouped:,} of {clustered:,} sentences that groups were formed of are in none.",
        f"{usable:,} of {kept:,} descriptors have enough sentences in every split to be matched.",
        *(f"{count:,} {what}." for what, count in counted.items() if count),
    ]
