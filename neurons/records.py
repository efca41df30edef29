"""Names of neurons and the records that matching and explaining hand on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from indexer.errors import InputError
from indexer.records import Record

_ADDRESS = re.compile(r"L(\d+)\.([a-z]+)\.(\d+)")


class Site(StrEnum):
    """Where in a block a neuron sits."""

    FFN = "ffn"
    HIDDEN = "hidden"


class Pooling(StrEnum):
    """How token activations become one number per sentence."""

    MAX = "max"
    MEAN = "mean"
    CLS = "cls"


class Tail(StrEnum):
    """Which end of a neuron's activations is looked at."""

    POSITIVE = "+"
    NEGATIVE = "-"


class AbstentionReason(StrEnum):
    """Why a neuron's tail is not described."""

    CONSTANT = "dead"
    NO_MATCH = "no_descriptor_beats_null"
    WEAK = "effect_too_small"
    NOT_REPLICATED = "not_replicated_on_validation"


@dataclass(frozen=True, order=True, slots=True)
class LayerSite:
    """One activation file: a site of one layer, `L4.ffn`."""

    layer: int
    site: Site

    def __str__(self) -> str:
        return f"L{self.layer}.{self.site}"


@dataclass(frozen=True, order=True, slots=True)
class NeuronId:
    """The address of a neuron, `L4.ffn.744`; layers and units count from 0."""

    layer: int
    site: Site
    unit: int

    def __str__(self) -> str:
        return f"L{self.layer}.{self.site}.{self.unit}"

    @property
    def layer_site(self) -> LayerSite:
        """The activation file the neuron is a column of."""
        return LayerSite(self.layer, self.site)

    @classmethod
    def parse(cls, text: str) -> NeuronId:
        """Read an address such as `L4.ffn.744`.

        Raises:
            InputError: `text` is not an address.
        """
        found = _ADDRESS.fullmatch(text)
        if found is None or found[2] not in {site.value for site in Site}:
            sites = " or ".join(site.value for site in Site)
            raise InputError(
                f"{text!r} is not a neuron; expected L<layer>.<site>.<unit> with site {sites}, "
                "for example L4.ffn.744"
            )
        return cls(int(found[1]), Site(found[2]), int(found[3]))


class Match(Record):
    """A descriptor that a neuron's tail responds to.

    AUROC of the activation for the descriptor's sentences on the test split with its 95% interval
    (DeLong); `q` is the Benjamini-Hochberg value over all (neuron, tail, descriptor) pairs of
    `discover`; `exemplar_z` the hypergeometric z of the descriptor among the exemplars there.
    """

    rank: int
    descriptor_id: str
    descriptor: str
    auroc: float
    ci_low: float
    ci_high: float
    q: float
    exemplar_z: float

    @property
    def evidence(self) -> tuple[float, float]:
        """Sorts matches, the surest first, by what discover alone tells of them.

        To choose by the AUROC on test would leave the luckiest, whose AUROC and interval are then
        too high.
        """
        return self.q, -self.exemplar_z


class Explanation(Record):
    """What one tail of a neuron responds to: ranked matches, or an abstention with its reason."""

    neuron: str
    tail: Tail
    matches: tuple[Match, ...] = ()
    reason: AbstentionReason | None = None


class TokenActivation(Record):
    """A token's place in its sentence (characters, end exclusive) and its activation."""

    start: int
    end: int
    activation: float


class Exemplar(Record):
    """A sentence on which a neuron's tail is most active: its corpus row and token activations."""

    row: int
    activation: float
    tokens: tuple[TokenActivation, ...]


class NeuronExemplars(Record):
    """The exemplars of one tail of a neuron, most active first."""

    neuron: str
    tail: Tail
    exemplars: tuple[Exemplar, ...]
