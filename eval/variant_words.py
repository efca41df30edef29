"""The words of a figure's variant one by one, whatever protocol wrote it.

`eval.variants.Variant` names the settings that label recovery shares; the settings of other
protocols (`strength=1.5`, `gold=labels`, `coverage=0.1`) are read here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from eval.records import Figure

_CURVE_SETTINGS = frozenset({"layer", "coverage"})


@dataclass(frozen=True, slots=True)
class VariantWords:
    """`settings` are the words with an equals sign, `plain` all others, both in order."""

    plain: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split a variant; a setting that is given twice keeps its first value as a setting."""
        plain: list[str] = []
        settings: dict[str, str] = {}
        for word in text.split():
            name, equals, value = word.partition("=")
            if equals and name and value and name not in settings:
                settings[name] = value
            else:
                plain.append(word)
        return cls(tuple(plain), settings)

    def number(self, name: str) -> float | None:
        """A setting as a number, None where it is missing or is no finite number."""
        try:
            number = float(self.settings.get(name, "nan"))
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def without(self, *names: str) -> str:
        """The variant without these settings, plain words first."""
        kept = (f"{name}={value}" for name, value in self.settings.items() if name not in names)
        return " ".join((*self.plain, *kept))

    @property
    def is_negative_tail(self) -> bool:
        """Whether the figure is about low activations, which no headline shows."""
        return self.settings.get("tail") == "-"

    @property
    def is_point_of_a_curve(self) -> bool:
        """Whether the figure is one of many that only say something together."""
        return not _CURVE_SETTINGS.isdisjoint(self.settings)


def without_curves(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """Figures that stand for themselves: neither of one layer nor a point of a coverage curve."""
    return tuple(
        figure for figure in figures if not VariantWords.parse(figure.variant).is_point_of_a_curve
    )
