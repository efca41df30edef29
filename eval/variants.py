"""What the variant of an evaluation figure says, read from its words and written back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import quote, unquote

from descriptors.curation import JOINT
from neurons.records import Tail


class Reading(StrEnum):
    """Readings of label recovery; other protocols have words of their own."""

    HEADLINE = ""
    DESCRIBED = "described"
    CONTAINED = "contained"
    RANDOM_DESCRIPTORS = "random_descriptors"
    UPPER_BOUND = "upper_bound"
    EVERY_NEURON = "every_neuron"
    EVERY_LABEL = "every_label"


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant such as `tau=0.9 described tail=+ site=ffn`.

    `reading` holds the words that are no setting, empty for the headline; a setting that is not
    given is None or empty. `proposer` names all proposers of a descriptor as the catalog does,
    `embedded + keyphrase`; it is written as one word, `proposer=embedded+keyphrase`.
    """

    reading: str = Reading.HEADLINE
    tau: float | None = None
    tail: Tail | None = None
    site: str = ""
    proposer: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a variant; a word that is no setting, or repeats one, belongs to the reading."""
        tau: float | None = None
        tail: Tail | None = None
        site = proposer = ""
        reading = []
        for word in text.split():
            name, _, value = word.partition("=")
            if name == "tau" and tau is None and (number := _finite(value)) is not None:
                tau = number
            elif name == "tail" and tail is None and value in set(Tail):
                tail = Tail(value)
            elif name == "site" and not site and value:
                site = value
            elif name == "proposer" and not proposer and value:
                proposer = JOINT.join(unquote(each) for each in value.split("+"))
            else:
                reading.append(word)
        return cls(" ".join(reading), tau, tail, site, proposer)

    def __str__(self) -> str:
        words = (
            "" if self.tau is None else f"tau={self.tau:g}",
            self.reading,
            f"proposer={_one_word(self.proposer)}" if self.proposer else "",
            "" if self.tail is None else f"tail={self.tail}",
            f"site={self.site}" if self.site else "",
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
