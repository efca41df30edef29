"""`neuron_groups.json`: neurons that move together, and the descriptors each group carries."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from indexer.errors import RunError
from indexer.records import Record
from indexer.storage import read_json, write_json
from neurons.records import AbstentionReason, Match, Tail

NEURON_GROUPS_FILE = "neuron_groups.json"


class NeuronGroupSettings(Record):
    """When neurons make a group; `threshold` is a correlation on discover."""

    threshold: float = Field(default=0.7, gt=0.0, lt=1.0)
    minimum_size: int = Field(default=2, ge=2)


class GroupMember(Record):
    """A neuron of a group; with sign -1 it falls when the first one rises."""

    neuron: str
    sign: Literal[1, -1]


class GroupTail(Record):
    """What one tail of a group's signed mean responds to, or why that is not said."""

    tail: Tail
    matches: tuple[Match, ...] = ()
    reason: AbstentionReason | None = None


class ExplainedGroup(Record):
    """Neurons that move together, in the order of the store, and what their signed mean carries.

    `coherence` is the mean absolute correlation of the members with that mean on validation,
    `null_coherence` the same where each member's sentences are shuffled on their own.
    """

    id: str
    members: tuple[GroupMember, ...]
    coherence: float
    null_coherence: float
    tails: tuple[GroupTail, ...]


class NeuronGroups(Record):
    """All groups of a run, largest first.

    `not_replicated` counts groups left out because validation shows no more coherence than chance.
    `too_few_sentences` says that there was nothing to correlate.
    """

    settings: NeuronGroupSettings
    not_replicated: int = 0
    too_few_sentences: bool = False
    groups: tuple[ExplainedGroup, ...] = ()


def write_neuron_groups(path: Path, groups: NeuronGroups) -> None:
    """Write the groups of a run.

    Raises:
        RunError: the file cannot be written.
    """
    write_json(path, groups.model_dump(mode="json"))


def read_neuron_groups(path: Path) -> NeuronGroups:
    """Read what `write_neuron_groups` wrote.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return NeuronGroups.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise RunError(
            f"{path} is damaged: {first['msg']} at {where}. Remove the file; it is computed again "
            "when it is next asked for"
        ) from error
