"""What the variant of an evaluation figure says, read from its words and written back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self
from urllib.parse import quote, unquote

from descriptors.curation import JOINT
from neurons.records import Tail


class Reading(StrEnum):
    """Readings of label recovery; other protocols have words of their own."""

    HEADLINE = ""
    DESCRIBED = "described"
    CONTAINED = "contained"
    NAMED = "named"
    RANDOM_DESCRIPTORS = "random_descriptors"
    UPPER_BOUND = "upper_bound"
    EVERY_NEURON = "every_neuron"
    EVERY_LABEL = "every_label"
    CONCEPT = "concept"
    CONCEPT_UPPER_BOUND = "concept upper_bound"
    CONCEPT_CHANCE = "concept chance"
    RISK_COVERAGE = "risk_coverage"
    RISK_COVERAGE_EVERY_NEURON = "risk_coverage every_neuron"


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant such as `tau=0.9 described tail=+ site=ffn`.

    `reading` holds the words that are no setting, empty for the headline; a setting that is not
    given is None or empty. `proposer` names all proposers of a descriptor as the catalog does,
    `embedded + keyphrase`; it is written as one word, `proposer=embedded+keyphrase`. `coverage` is
    the share of the described neurons that a figure is over, the surest first. A `layer`, counted
    from 0, is given where a figure is over one layer of a site instead of all.
    """

    reading: str = Reading.HEADLINE
    tau: float | None = None
    tail: Tail | None = None
    site: str = ""
    proposer: str = ""
    coverage: float | None = None
    layer: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a variant; a word that is no setting, or repeats one, belongs to the reading."""
        settings: dict[str, Any] = {}
        reading = []
        for word in text.split():
            name, _, value = word.partition("=")
            setting = _READERS[name](value) if name in _READERS and name not in settings else None
            if setting is None:
                reading.append(word)
            else:
                settings[name] = setting
        return cls(" ".join(reading), **settings)

    def __str__(self) -> str:
        words = (
            "" if self.tau is None else f"tau={self.tau:g}",
            self.reading,
            f"proposer={_one_word(self.proposer)}" if self.proposer else "",
            "" if self.coverage is None else f"coverage={self.coverage:g}",
            "" if self.tail is None else f"tail={self.tail}",
            f"site={self.site}" if self.site else "",
            "" if self.layer is None else f"layer={self.layer}",
        )
        return " ".join(word for word in words if word)


def _one_word(proposer: str) -> str:
    """Names of models may hold blanks and plus signs, which are written as in an address."""
    return "+".join(quote(each, safe="/:") for each in proposer.split(JOINT))


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _tail(text: str) -> Tail | None:
    return Tail(text) if text in set(Tail) else None


def _site(text: str) -> str | None:
    return text or None


def _proposer(text: str) -> str | None:
    return JOINT.join(unquote(each) for each in text.split("+")) if text else None


def _layer(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() else None


_READERS: dict[str, Callable[[str], Any]] = {
    "tau": _finite,
    "tail": _tail,
    "site": _site,
    "proposer": _proposer,
    "coverage": _finite,
    "layer": _layer,
}
"""What reads a setting, None where the text is none."""
