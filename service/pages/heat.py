"""Sentences cut into tokens that are coloured by activation: red above zero, blue below."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from neurons.records import Tail
from service.views.records import ActivationRecord, TextAnswer, TextNeuron

STEPS = 10
_NAMED = 3


@dataclass(frozen=True, slots=True)
class HeatPiece:
    """A piece of a sentence; `activation` is None between tokens, and `step` is 0 there."""

    text: str
    activation: float | None = None
    step: int = 0

    @property
    def sign(self) -> str:
        """The class that says which side of zero it is on."""
        if self.activation is None or self.step == 0:
            return ""
        return "is-above" if self.activation > 0 else "is-below"


@dataclass(frozen=True, slots=True)
class _Read:
    """A text and where its tokens are active."""

    text: str
    tokens: tuple[str, ...]
    starts: tuple[int, ...]
    activations: tuple[float, ...]


def extent_of(records: Iterable[ActivationRecord]) -> float:
    """The largest activation of any token, above or below zero; 0 without tokens."""
    return max((abs(value) for record in records for value in record.activations), default=0.0)


def heat_of(
    read: ActivationRecord | TextAnswer, extent: float, neuron: TextNeuron | None = None
) -> tuple[HeatPiece, ...]:
    """A text in pieces, coloured in steps of `extent`; of a text answer for one of its neurons.

    Where tokens overlap (the bytes of one emoji), the later begins where the earlier ends.
    """
    own = _of(read, neuron)
    pieces: list[HeatPiece] = []
    place = 0
    for token, start, activation in zip(own.tokens, own.starts, own.activations, strict=True):
        first, last = max(start, place), min(start + len(token), len(own.text))
        if last <= first:
            continue
        if first > place:
            pieces.append(HeatPiece(own.text[place:first]))
        step = round(STEPS * min(1.0, abs(activation) / extent)) if extent else 0
        pieces.append(HeatPiece(own.text[first:last], activation, step))
        place = last
    if place < len(own.text):
        pieces.append(HeatPiece(own.text[place:]))
    return tuple(pieces)


def strongest_of(
    read: ActivationRecord | TextAnswer, tail: Tail, neuron: TextNeuron | None = None
) -> tuple[tuple[str, float], ...]:
    """The few tokens that drive a tail most, for those who cannot see colours."""
    own = _of(read, neuron)
    sign = 1.0 if tail is Tail.POSITIVE else -1.0
    pairs = zip(own.tokens, own.activations, strict=True)
    ranked = sorted(pairs, key=lambda pair: -sign * pair[1])
    return tuple(pair for pair in ranked[:_NAMED] if sign * pair[1] > 0)


def _of(read: ActivationRecord | TextAnswer, neuron: TextNeuron | None) -> _Read:
    activations = read.activations if isinstance(read, ActivationRecord) else None
    if activations is None:
        assert neuron is not None
        activations = neuron.activations
    return _Read(read.text, read.tokens, read.starts, activations)
