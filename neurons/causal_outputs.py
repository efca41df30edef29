"""The model's output on sentences with a neuron changed, and with its controls changed as much.

What an intervention adds to what the layer site writes is, in each content token, some length along
the neuron's own vector. Its controls add as much, token for token, along the vector of another unit
of the site or along a random direction. To ablate another unit by its own activations would be no
fair control: a neuron fires alike in all the words it is compared on, another one up and down, and
what it adds would mostly cancel in the output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import BoolArray, FloatArray, IntArray
from indexer.batching import batches
from neurons.batching import TokenBatch, padded, tokenize
from neurons.capture import captured
from neurons.continuation import BlockAnswer, answer_kept, continued_after
from neurons.experiments import Experiment
from neurons.intervention import (
    DirectionIntervention,
    UnitIntervention,
    intervened,
    written_lengths,
)
from neurons.output_vectors import ModelOutput
from neurons.records import LayerSite
from neurons.subject import SubjectModel
from neurons.token_moments import TokenMoments

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class CausalOutputs:
    """The model's output on an experiment's sentences, as vectors of length 1.

    `clean` is `n_own_sentences, dimension`; `changed` is `n_conditions, n_own_sentences, dimension`
    and begins with the neuron, followed by its controls and the directions.
    """

    clean: FloatArray
    changed: FloatArray


def causal_outputs(
    subject: SubjectModel,
    output: ModelOutput,
    layer_site: LayerSite,
    experiments: Sequence[Experiment],
    texts: Mapping[int, str],
    moments: TokenMoments,
    *,
    token_budget: int = 2048,
) -> list[CausalOutputs]:
    """Run all experiments on neurons of one layer site; one answer for each, in order.

    A sentence goes once through the layers below, and as often as it is changed through the others.

    Args:
        subject: the model.
        output: how its output is read.
        layer_site: where the neurons sit.
        experiments: what is changed on which sentences.
        texts: the text of every sentence that an experiment names.
        moments: of the site's units.
        token_budget: padded tokens of a batch, unless one sentence's changes have more.

    Raises:
        InputError: the model lacks the layer site or a unit, or a text is not valid Unicode.
        ValueError: an experiment has no sentences, or names a unit without an outgoing weight.
    """
    import torch

    if any(not len(each.sentences) for each in experiments):
        raise ValueError("an experiment has no sentences; expected one or more")
    lengths = written_lengths(subject.architecture, layer_site)
    mute = [unit for each in experiments for unit in each.units.tolist() if not lengths[unit]]
    if mute:
        raise ValueError(
            f"{layer_site}.{mute[0]} writes nothing whatever its activation; leave it out"
        )
    runner = _Runner(
        subject, output, layer_site, tuple(experiments), moments, lengths, token_budget
    )
    used = np.unique(np.concatenate([each.sentences for each in experiments])).tolist()
    tokenized = tokenize(subject, [texts[each] for each in used], subject.maximum_tokens)
    n_tokens = np.asarray([text.n_tokens for text in tokenized], dtype=np.int64)
    found = _Found(experiments)
    for positions in batches(n_tokens, token_budget):
        batch = padded(subject, [tokenized[position] for position in positions])
        rows = {used[position]: row for row, position in enumerate(positions)}
        with torch.inference_mode():
            runner.run(batch, found.places(rows), found)
    return found.outputs()


@dataclass(frozen=True)
class _Place:
    """One sentence of an experiment: which of them, and the row of the batch it is in."""

    experiment: int
    sentence: int
    row: int


class _Found:
    """Gathers output vectors, which come in any order."""

    def __init__(self, experiments: Sequence[Experiment]) -> None:
        self._experiments = experiments
        self._clean: dict[tuple[int, int], FloatArray] = {}
        self._changed: dict[tuple[int, int], FloatArray] = {}

    def places(self, rows: Mapping[int, int]) -> list[_Place]:
        """Where experiments use the sentences of a batch, given their rows in it."""
        return [
            _Place(number, sentence, rows[text])
            for number, each in enumerate(self._experiments)
            for sentence, text in enumerate(each.sentences.tolist())
            if text in rows
        ]

    def add(self, place: _Place, clean: FloatArray, changed: FloatArray) -> None:
        key = (place.experiment, place.sentence)
        self._clean[key], self._changed[key] = clean, changed

    def outputs(self) -> list[CausalOutputs]:
        answers = []
        for number, each in enumerate(self._experiments):
            keys = [(number, sentence) for sentence in range(len(each.sentences))]
            clean = np.stack([self._clean[key] for key in keys])
            answers.append(CausalOutputs(clean, np.stack([self._changed[key] for key in keys], 1)))
        return answers


@dataclass(frozen=True, eq=False)
class _Change:
    """A sentence of an experiment, its first row in the batch, what is written (`n_tokens`)."""

    experiment: Experiment
    first: int
    along: FloatArray

    @property
    def unit_rows(self) -> IntArray:
        return self.first + np.arange(len(self.experiment.units))

    @property
    def direction_rows(self) -> IntArray:
        n_units, n_directions = len(self.experiment.units), len(self.experiment.directions)
        return self.first + n_units + np.arange(n_directions)

    def unit_amounts(self, lengths: FloatArray) -> FloatArray:
        """Activations that write as much by each unit (`n_units, n_tokens`)."""
        return self.along[None, :] / lengths[self.experiment.units][:, None]

    @property
    def direction_amounts(self) -> FloatArray:
        return np.tile(self.along, (len(self.experiment.directions), 1))


@dataclass(frozen=True, eq=False)
class _Runner:
    subject: SubjectModel
    output: ModelOutput
    layer_site: LayerSite
    experiments: tuple[Experiment, ...]
    moments: TokenMoments
    lengths: FloatArray
    token_budget: int

    def run(self, batch: TokenBatch, places: Sequence[_Place], found: _Found) -> None:
        """The clean pass over a batch, then its sentences with everything that is changed."""
        architecture, layer = self.subject.architecture, self.layer_site.layer
        keeping: AbstractContextManager[list[BlockAnswer]] = nullcontext([])
        if layer:
            keeping = answer_kept(architecture, layer - 1)
        with captured(architecture, [self.layer_site]) as latest, keeping as answers:
            clean = self.output.of(self.subject, batch).float().cpu().numpy()
            activations = latest[self.layer_site].float().cpu().numpy()
        below = answers[0] if answers else None
        for portion in self._portions(places, batch.token_ids.shape[1]):
            changed = self._changed(batch, portion, activations, below)
            first = 0
            for place in portion:
                last = first + self.experiments[place.experiment].n_conditions
                found.add(place, clean[place.row], changed[first:last])
                first = last

    def _portions(self, places: Sequence[_Place], n_tokens: int) -> Iterator[list[_Place]]:
        portion: list[_Place] = []
        texts = 0
        for place in places:
            own = self.experiments[place.experiment].n_conditions
            if portion and (texts + own) * n_tokens > self.token_budget:
                yield portion
                portion, texts = [], 0
            portion.append(place)
            texts += own
        if portion:
            yield portion

    def _changed(
        self,
        batch: TokenBatch,
        portion: Sequence[_Place],
        activations: FloatArray,
        below: BlockAnswer | None,
    ) -> FloatArray:
        """Output vectors of a portion (`n_conditions of all, dimension`)."""
        import torch

        architecture = self.subject.architecture
        conditions = [self.experiments[place.experiment].n_conditions for place in portion]
        sources = np.repeat([place.row for place in portion], conditions)
        rows = torch.from_numpy(sources).to(batch.token_ids.device)
        many = _taken(batch, rows)
        content = batch.content_mask.cpu().numpy()
        changes = self._interventions(portion, activations, content)
        resumed: AbstractContextManager[None] = nullcontext()
        if below is not None:
            resumed = continued_after(architecture, self.layer_site.layer - 1, below.take(rows))
        with resumed, intervened(architecture, {self.layer_site: changes}, many.content_mask):
            vectors: FloatArray = self.output.of(self.subject, many).float().cpu().numpy()
        return vectors

    def _interventions(
        self, portion: Sequence[_Place], activations: FloatArray, content: BoolArray
    ) -> tuple[UnitIntervention, DirectionIntervention]:
        changes: list[_Change] = []
        first = 0
        for place in portion:
            each = self.experiments[place.experiment]
            along = self._written(each, activations[place.row, :, each.unit])
            changes.append(_Change(each, first, along * content[place.row]))
            first += each.n_conditions
        units = UnitIntervention.steer(
            np.concatenate([each.unit_rows for each in changes]),
            np.concatenate([each.experiment.units for each in changes]),
            np.concatenate([each.unit_amounts(self.lengths) for each in changes]),
        )
        directions = DirectionIntervention(
            np.concatenate([each.direction_rows for each in changes]),
            np.concatenate([each.experiment.directions for each in changes]),
            np.concatenate([each.direction_amounts for each in changes]),
        )
        return units, directions

    def _written(self, experiment: Experiment, activations: FloatArray) -> FloatArray:
        """How far a neuron is moved along its own vector in every token (`n_tokens`)."""
        unit, moments = experiment.unit, self.moments
        mean, deviation = float(moments.mean[unit]), float(moments.deviation[unit])
        added = experiment.operation.amounts(activations, mean, deviation)
        return np.asarray(added * self.lengths[unit], dtype=np.float32)


def _taken(batch: TokenBatch, rows: Tensor) -> TokenBatch:
    return replace(
        batch,
        token_ids=batch.token_ids[rows],
        attention_mask=batch.attention_mask[rows],
        content_mask=batch.content_mask[rows],
    )
