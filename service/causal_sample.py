"""What the causal protocol changes in a finished run: neurons, sentences, controls, all drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from eval.causal import FEWEST_SENTENCES, CausalSettings
from eval.causal_plan import (
    DescribedTail,
    SplitMembers,
    described_tails,
    matched_units,
    namesakes,
    random_directions,
    spread_over_layers,
)
from indexer.arrays import BoolArray, FloatArray, IntArray
from neurons.exemplars import NeuronTail, top_rows
from neurons.experiments import Ablation, Experiment, Operation, Steering
from neurons.intervention import written_lengths
from neurons.reading import token_budget
from neurons.records import LayerSite, NeuronId, Tail
from neurons.token_moments import TokenMoments, token_moments

if TYPE_CHECKING:
    from service.evaluated_run import EvaluatedRun

_ORDER_STREAM = 1


@dataclass(frozen=True, eq=False)
class Drawn:
    """A described tail, the test sentences it is changed on and what it is compared with.

    `firing` are those where it is most active, `others` some that its descriptor does not hold for.
    """

    described: DescribedTail
    firing: IntArray
    others: IntArray
    controls: IntArray
    directions: FloatArray

    def experiment(self, strength: float | None) -> Experiment:
        """Its ablation where `strength` is None, else its steering by so many deviations."""
        operation: Operation = Ablation()
        if strength is not None:
            upwards = self.described.tail is Tail.POSITIVE
            operation = Steering(strength if upwards else -strength)
        return Experiment(
            unit=self.described.neuron.unit,
            operation=operation,
            sentences=self.firing if strength is None else self.others,
            controls=self.controls,
            directions=self.directions,
        )


class CausalSample:
    """Draws from a run; what many neurons need is found once."""

    def __init__(self, run: EvaluatedRun, settings: CausalSettings) -> None:
        self._run = run
        self._settings = settings
        self._members: dict[int, tuple[SplitMembers, SplitMembers]] = {}
        self._free: dict[tuple[int, LayerSite], BoolArray] = {}

    @cached_property
    def described(self) -> list[DescribedTail]:
        """The described tails at the site."""
        identifiers = [descriptor.id for descriptor in self._run.catalog]
        return described_tails(self._run.explanations, identifiers, self._settings.site)

    @cached_property
    def usable(self) -> list[DescribedTail]:
        """Those that have sentences, a target and neurons to be compared with."""
        return [each for each in self.described if self._is_usable(each)]

    @property
    def token_budget(self) -> int:
        """Padded tokens of a batch, as in the run's extraction."""
        return token_budget(self._run.subject, self._run.settings.extraction)

    @cached_property
    def moments(self) -> Mapping[LayerSite, TokenMoments]:
        """Of the units of every layer, over the tokens of some discover sentences."""
        sites = sorted({each.neuron.layer_site for each in self.described})
        rows = self._discover_order[: self._settings.moment_sentences]
        texts = self._run.corpus.texts_at(rows)
        return token_moments(self._run.subject, texts, sites, token_budget=self.token_budget)

    def drawn(self) -> list[Drawn]:
        """Some usable tails, spread over the layers, in the order of the neurons."""
        generator = np.random.default_rng(self._run.settings.seed)
        chosen = spread_over_layers(self.usable, self._settings.neurons, generator)
        return [self._completed(each, generator) for each in chosen]

    def target_rows(self, descriptor: int) -> SplitMembers:
        """Discover sentences that make a descriptor's target; most others are common to all."""
        discover, _ = self._split_members(descriptor)
        return SplitMembers(
            discover.members[: self._settings.target_sentences],
            discover.others[: self._settings.other_sentences],
        )

    def _is_usable(self, described: DescribedTail) -> bool:
        discover, test = self._split_members(described.descriptor)
        place = described.neuron.layer_site
        return bool(
            len(discover.members)
            and len(discover.others)
            and len(test.others) >= FEWEST_SENTENCES
            and self._alive[place][described.neuron.unit]
            and self._comparable(described.descriptor, place).sum() >= self._settings.controls
        )

    def _completed(self, described: DescribedTail, generator: np.random.Generator) -> Drawn:
        settings = self._settings
        _, test = self._split_members(described.descriptor)
        n_others = min(settings.sentences, len(test.others))
        return Drawn(
            described=described,
            firing=top_rows(
                self._run.store,
                NeuronTail(described.neuron, described.tail),
                self._run.split_rows.test,
                settings.sentences,
            ),
            others=np.sort(generator.choice(test.others, size=n_others, replace=False)),
            controls=matched_units(
                self._comparable(described.descriptor, described.neuron.layer_site),
                settings.controls,
                generator,
            ),
            directions=random_directions(
                settings.directions, self._run.subject.architecture.hidden_units, generator
            ),
        )

    @cached_property
    def _discover_order(self) -> IntArray:
        # A stream of its own, so that it matters not what is asked for first.
        generator = np.random.default_rng([self._run.settings.seed, _ORDER_STREAM])
        return generator.permutation(self._run.split_rows.discover)

    @cached_property
    def _namesakes(self) -> Mapping[str, set[NeuronId]]:
        return namesakes(self._run.explanations)

    @cached_property
    def _alive(self) -> Mapping[LayerSite, BoolArray]:
        """Units whose activation changes and matters (`n_units`)."""
        architecture = self._run.subject.architecture
        return {
            layer_site: (moments.deviation > 0.0) & (written_lengths(architecture, layer_site) > 0)
            for layer_site, moments in self.moments.items()
        }

    def _split_members(self, descriptor: int) -> tuple[SplitMembers, SplitMembers]:
        """Of discover, in a random order, and of test."""
        if descriptor not in self._members:
            self._members[descriptor] = (
                SplitMembers.of(self._run.membership, descriptor, self._discover_order),
                SplitMembers.of(self._run.membership, descriptor, self._run.split_rows.test),
            )
        return self._members[descriptor]

    def _comparable(self, descriptor: int, layer_site: LayerSite) -> BoolArray:
        """Units that are alive and that the descriptor does not name (`n_units`)."""
        key = (descriptor, layer_site)
        if key not in self._free:
            free = self._alive[layer_site].copy()
            for neuron in self._namesakes[self._run.catalog[descriptor].id]:
                if neuron.layer_site == layer_site:
                    free[neuron.unit] = False
            self._free[key] = free
        return self._free[key]
