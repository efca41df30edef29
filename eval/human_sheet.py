"""A blinded sheet on which people judge explanations, and the key that is kept from them.

Two tasks. *Description*: a neuron's strongest held-out sentences are shown with its description
among distractors; which fits? *Intruder*: the same sentences with a foreign one among them; which
does not belong (Chang et al. 2009)? The first judges the description, the second whether there is
anything to describe.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydantic import Field

from indexer.records import Record
from indexer.storage import fingerprint
from neurons.records import Tail


class HumanTask(StrEnum):
    """What a rater is asked."""

    DESCRIPTION = "description"
    INTRUDER = "intruder"


class HumanSettings(Record):
    """How many questions of each task, and what each shows."""

    items: int = Field(default=20, ge=1)
    exemplars: int = Field(default=5, ge=3)
    distractors: int = Field(default=3, ge=1)


class HumanItem(Record):
    """A question: sentences, and what to choose from (sentences too where one is the intruder)."""

    id: str
    task: HumanTask
    sentences: tuple[str, ...]
    options: tuple[str, ...]


class HumanSheet(Record):
    """What raters see; `id` is a fingerprint of the questions."""

    id: str
    items: tuple[HumanItem, ...]


class KeyEntry(Record):
    """The right option of a question, counted from 0, and the neuron it is about."""

    id: str
    task: HumanTask
    neuron: str
    tail: Tail
    description: str
    right: int
    n_options: int


class HumanKey(Record):
    """The answers, in the order of the sheet with the same `sheet` id.

    `explanations` is a fingerprint of the explanations that the questions are about.
    """

    sheet: str
    explanations: str
    entries: tuple[KeyEntry, ...]


@dataclass(frozen=True)
class Subject:
    """A described tail of a neuron, and what can be asked about it.

    Attributes:
        exemplars: the held-out sentences on which it is most active.
        distractors: descriptors that do not hold for them.
        intruder: a held-out sentence on which it is not active.
    """

    neuron: str
    tail: Tail
    description: str
    exemplars: tuple[str, ...]
    distractors: tuple[str, ...]
    intruder: str


def draw_sheet(
    descriptions: Sequence[Subject], intruders: Sequence[Subject], explanations: str, seed: int
) -> tuple[HumanSheet, HumanKey]:
    """Questions about each subject, with options and questions in random order."""
    generator = np.random.default_rng(seed)
    drawn = [
        *(_description(each, generator) for each in descriptions),
        *(_intruder(each, generator) for each in intruders),
    ]
    order = generator.permutation(len(drawn))
    items, entries = [], []
    for number, place in enumerate(order, start=1):
        item, entry = drawn[place]
        name = f"q{number:03d}"
        items.append(item.model_copy(update={"id": name}))
        entries.append(entry.model_copy(update={"id": name}))
    identity = fingerprint([item.model_dump(mode="json") for item in items])[:16]
    return (
        HumanSheet(id=identity, items=tuple(items)),
        HumanKey(sheet=identity, explanations=explanations, entries=tuple(entries)),
    )


def _description(subject: Subject, generator: np.random.Generator) -> tuple[HumanItem, KeyEntry]:
    options = (subject.description, *subject.distractors)
    return _shuffled(subject, HumanTask.DESCRIPTION, subject.exemplars, options, generator)


def _intruder(subject: Subject, generator: np.random.Generator) -> tuple[HumanItem, KeyEntry]:
    options = (subject.intruder, *subject.exemplars[:-1])
    return _shuffled(subject, HumanTask.INTRUDER, (), options, generator)


def _shuffled(
    subject: Subject,
    task: HumanTask,
    sentences: tuple[str, ...],
    options: tuple[str, ...],
    generator: np.random.Generator,
) -> tuple[HumanItem, KeyEntry]:
    """A question whose right option, the first of `options`, is put in a random place."""
    order = generator.permutation(len(options))
    item = HumanItem(
        id="",
        task=task,
        sentences=tuple(sentences[place] for place in generator.permutation(len(sentences))),
        options=tuple(options[place] for place in order),
    )
    entry = KeyEntry(
        id="",
        task=task,
        neuron=subject.neuron,
        tail=subject.tail,
        description=subject.description,
        right=int(np.flatnonzero(order == 0)[0]),
        n_options=len(options),
    )
    return item, entry
