"""Sentences cut into pieces by how strongly their tokens drive one tail of a neuron."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from neurons.records import Tail, TokenActivation

ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps the activations of one tail of a neuron to strengths between 0 and 1.

    Activations are those of the model, never negated: on the negative tail the lowest is the
    strongest. Strength 0 is an activation of zero, or the weakest token where all have one sign.
    """

    tail: Tail
    weakest: float
    strongest: float

    @classmethod
    def over(cls, tail: Tail, activations: Iterable[float]) -> Scale:
        """The scale of a neuron's tail that spans `activations`, those of all tokens shown."""
        values = [_towards(tail, activation) for activation in activations]
        if not values:
            return cls(tail, 0.0, 0.0)
        low, high = min(values), max(values)
        return cls(tail, 0.0 if low <= 0.0 < high else low, high)

    def strength(self, activation: float) -> float:
        """How strong `activation` is between 0 and 1; 0 where the scale has no extent."""
        extent = self.strongest - self.weakest
        if extent <= 0.0:
            return 0.0
        return min(1.0, max(0.0, (_towards(self.tail, activation) - self.weakest) / extent))


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a sentence; `activation` is None between tokens, and `strength` is 0 there."""

    text: str
    strength: float = 0.0
    activation: float | None = None


def highlight(
    text: str, tokens: Sequence[TokenActivation], scale: Scale, *, max_characters: int | None = None
) -> tuple[Segment, ...]:
    """Cut `text` into segments that together spell it, with the strength of the tokens they show.

    Where tokens overlap (the bytes of one emoji), the strongest shows. Tokens without characters
    show nothing. Of a text longer than `max_characters` only the surroundings of the strongest
    token are kept, with an ellipsis at each cut.

    Raises:
        ValueError: a token lies outside the text, or `max_characters` is below 1.
    """
    for token in tokens:
        if not 0 <= token.start <= token.end <= len(text):
            raise ValueError(f"token {token} lies outside a text of {len(text)} characters")
    shown = [token for token in tokens if token.start < token.end]
    segments = _merge(text, shown, scale)
    if max_characters is None or len(text) <= max_characters:
        return tuple(segments)
    if max_characters < 1:
        raise ValueError(f"max_characters is {max_characters}, expected at least 1")
    return tuple(_excerpt(segments, _peak(shown, scale), max_characters, len(text)))


def shorten(text: str, max_characters: int) -> str:
    """`text` itself, or its beginning with an ellipsis where it is longer.

    Raises:
        ValueError: `max_characters` is below 1.
    """
    if max_characters < 1:
        raise ValueError(f"max_characters is {max_characters}, expected at least 1")
    if len(text) <= max_characters:
        return text
    return text[: max_characters - 1].rstrip() + ELLIPSIS


def _towards(tail: Tail, activation: float) -> float:
    return activation if tail is Tail.POSITIVE else -activation


def _merge(text: str, tokens: list[TokenActivation], scale: Scale) -> list[Segment]:
    edges = sorted({0, len(text), *(edge for token in tokens for edge in (token.start, token.end))})
    waiting = sorted(tokens, key=lambda token: token.start)
    covering: list[TokenActivation] = []
    position = 0
    segments = []
    for start, end in itertools.pairwise(edges):
        while position < len(waiting) and waiting[position].start <= start:
            covering.append(waiting[position])
            position += 1
        covering = [token for token in covering if token.end > start]
        if covering:
            activation = max(
                (token.activation for token in covering),
                key=lambda value: _towards(scale.tail, value),
            )
            segments.append(Segment(text[start:end], scale.strength(activation), activation))
        else:
            segments.append(Segment(text[start:end]))
    return segments


def _peak(tokens: list[TokenActivation], scale: Scale) -> int:
    """Where the strongest token is (its middle), 0 without tokens."""
    if not tokens:
        return 0
    strongest = max(tokens, key=lambda token: _towards(scale.tail, token.activation))
    return (strongest.start + strongest.end) // 2


def _excerpt(segments: list[Segment], peak: int, width: int, length: int) -> list[Segment]:
    start = max(0, min(peak - width // 2, length - width))
    end = start + width
    kept = [Segment(ELLIPSIS)] if start > 0 else []
    offset = 0
    for segment in segments:
        piece = segment.text[max(0, start - offset) : max(0, end - offset)]
        if piece:
            kept.append(Segment(piece, segment.strength, segment.activation))
        offset += len(segment.text)
    if end < length:
        kept.append(Segment(ELLIPSIS))
    return kept
