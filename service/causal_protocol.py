"""The causal protocol on a finished run: its described neurons changed inside the subject model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eval.causal import (
    FEWEST_DESCRIPTORS,
    FEWEST_NEURONS,
    FEWEST_SENTENCES,
    PROTOCOL,
    CausalSettings,
    CausalShifts,
    causal_figures,
    cosine_shifts,
    member_targets,
)
from eval.causal_plan import populations
from eval.records import Figure
from indexer.arrays import DoubleArray, FloatArray, IntArray
from neurons.causal_outputs import CausalOutputs, causal_outputs
from neurons.output_vectors import ModelOutput, SentenceEmbedding, output_vectors, same_space
from neurons.records import LayerSite
from service.causal_sample import CausalSample, Drawn

if TYPE_CHECKING:
    from service.evaluated_run import EvaluatedRun

_TEXT = "target=text"
_COMPARED_TEXTS = 20


def figures(run: EvaluatedRun, settings: CausalSettings) -> list[Figure]:
    """Ablate and steer described neurons; see `eval.causal`.

    Targets are mean outputs of the descriptors' member sentences on discover. Where the subject
    model's sentence embedding is that of the run's encoder, the figures are given again for the
    descriptors' texts as targets, with `target=text` in the variant.

    Refused where the run has imported its activations, where too few neurons can take part, or
    where the test split has too few sentences.

    Raises:
        InputError: a model cannot be loaded.
        RunError: a file of the run is damaged.
    """
    from service.imported_stage import is_imported

    if is_imported(run.settings):
        reason = (
            f"the activations come from {run.settings.model} and there is no model to intervene "
            "in; run with --model and the model itself"
        )
        return [Figure.refused(PROTOCOL, reason)]
    n_test = len(run.split_rows.test)
    if n_test < FEWEST_SENTENCES:
        reason = (
            f"the test split has {n_test} sentences, expected {FEWEST_SENTENCES} or more; "
            "run on a larger corpus"
        )
        return [Figure.refused(PROTOCOL, reason, n=n_test)]
    sample = CausalSample(run, settings)
    if len(sample.described) < FEWEST_NEURONS or len(sample.usable) < FEWEST_NEURONS:
        return [_too_few(sample, settings)]
    comparison = _Comparison(run, settings, sample)
    if len(comparison.descriptors) < FEWEST_DESCRIPTORS:
        reason = (
            f"the neurons drawn share {len(comparison.descriptors)} descriptor, expected "
            f"{FEWEST_DESCRIPTORS} or more, so that they can be exchanged; draw more neurons"
        )
        return [Figure.refused(PROTOCOL, reason, n=len(comparison.descriptors))]
    return comparison.figures()


def _too_few(sample: CausalSample, settings: CausalSettings) -> Figure:
    n_described = len(sample.described)
    n_usable = len(sample.usable) if n_described else 0
    reason = (
        f"{n_described} tails of {settings.site} neurons are described and {n_usable} of them can "
        f"be judged, expected {FEWEST_NEURONS} or more. To be judged, a descriptor must leave out "
        f"{FEWEST_SENTENCES} test sentences and {settings.controls} units of the neuron's layer. "
        "A larger corpus describes more neurons, and a run with the other --site has others"
    )
    return Figure.refused(PROTOCOL, reason, variant=f"site={settings.site}", n=n_usable)


class _Comparison:
    """What the drawn neurons do to the output, seen from their targets."""

    def __init__(self, run: EvaluatedRun, settings: CausalSettings, sample: CausalSample) -> None:
        self._run = run
        self._settings = settings
        self._sample = sample
        self._output: ModelOutput = SentenceEmbedding()
        self._drawn = sample.drawn()

    def figures(self) -> list[Figure]:
        """Of every operation and kind of target."""
        described = [each.described for each in self._drawn]
        groups = populations(described, self._settings.site)
        own = np.searchsorted(self.descriptors, [each.descriptor for each in described])
        targets = {"": self._member_targets()}
        if self._output_is_encoder:
            targets[_TEXT] = self._text_targets()
        found: list[Figure] = []
        for strength in (None, *self._settings.strengths):
            operation = "ablate" if strength is None else f"steer strength={strength:g}"
            outputs = self._outputs(strength)
            for words, vectors in targets.items():
                cosines = [cosine_shifts(each.clean, each.changed, vectors) for each in outputs]
                shifts = CausalShifts(
                    variant=f"{operation} {words}".rstrip(),
                    sign=-1 if strength is None else 1,
                    cosines=np.stack(cosines),
                    own=own.astype(np.int64),
                    n_controls=self._settings.controls,
                )
                found += causal_figures(shifts, groups, seed=self._run.settings.seed)
        return found if self._output_is_encoder else [*found, self._without_text()]

    @cached_property
    def descriptors(self) -> list[int]:
        """Those of the drawn neurons, each once, as positions in the catalog."""
        return sorted({each.described.descriptor for each in self._drawn})

    def _outputs(self, strength: float | None) -> list[CausalOutputs]:
        """Of every drawn neuron, in order; neurons are drawn in the order of their layers."""
        from indexer.progress_bar import counted

        by_site: dict[LayerSite, list[Drawn]] = {}
        for each in self._drawn:
            by_site.setdefault(each.described.neuron.layer_site, []).append(each)
        found: list[CausalOutputs] = []
        layers = counted(
            by_site.items(), desc="intervene", unit="layer", disable=not self._run.progress
        )
        for layer_site, own in layers:
            experiments = [each.experiment(strength) for each in own]
            found += causal_outputs(
                self._run.subject,
                self._output,
                layer_site,
                experiments,
                self._texts([row for each in experiments for row in each.sentences.tolist()]),
                self._sample.moments[layer_site],
                token_budget=self._sample.token_budget,
            )
        return found

    def _texts(self, rows: Sequence[int]) -> dict[int, str]:
        wanted = sorted(set(rows))
        return dict(zip(wanted, self._run.corpus.texts_at(wanted), strict=True))

    def _member_targets(self) -> DoubleArray:
        chosen = [self._sample.target_rows(descriptor) for descriptor in self.descriptors]
        rows = np.unique(
            np.concatenate([part for each in chosen for part in (each.members, each.others)])
        )
        return member_targets(
            self._output_vectors(rows),
            [np.searchsorted(rows, each.members) for each in chosen],
            [np.searchsorted(rows, each.others) for each in chosen],
        )

    def _text_targets(self) -> DoubleArray:
        texts = [self._run.catalog[descriptor].text for descriptor in self.descriptors]
        return self._run.encoder.encode(texts).astype(np.float64)

    @cached_property
    def _output_is_encoder(self) -> bool:
        """Whether the output is the space that the run's encoder puts descriptors into."""
        rows = self._run.split_rows.discover[:_COMPARED_TEXTS]
        encoded = self._run.encoder.encode(self._run.corpus.texts_at(rows))
        return same_space(self._output_vectors(rows), encoded)

    def _output_vectors(self, rows: IntArray) -> FloatArray:
        texts, budget = self._run.corpus.texts_at(rows), self._sample.token_budget
        return output_vectors(self._run.subject, texts, self._output, token_budget=budget)

    def _without_text(self) -> Figure:
        reason = (
            f"the mean-pooled output of {self._run.subject.name} is not the space of the encoder "
            f"{self._run.settings.encoder}, so a text is no target in it; expected the same model "
            "as both"
        )
        return Figure.refused(
            PROTOCOL, reason, variant=f"{_TEXT} site={self._settings.site}", n=len(self._drawn)
        )
