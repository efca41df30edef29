"""Questions to a finished run: about a neuron, about a concept in words, about a text."""

from __future__ import annotations

import re
from contextlib import nullcontext
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from indexer.errors import InputError
from neurons.records import NeuronExemplars, NeuronId, Tail, TokenActivation
from service.explained import (
    ExplainedConcept,
    ExplainedNeuron,
    ExplainedSentence,
    ExplainedTail,
    ExplainedText,
    FiringNeuron,
)

if TYPE_CHECKING:
    from neurons.tokens import TokenActivations
    from service.explanation_table import ExplanationTable
    from service.finished_run import FinishedRun

LONGEST_CONCEPT_WORDS = 6
"""Descriptors have at most as many words; more of them are taken for a text."""

_ADDRESS_LIKE = re.compile(r"L\d+\.\S*")


class Question(StrEnum):
    """What is asked about."""

    NEURON = "neuron"
    CONCEPT = "concept"
    TEXT = "text"


def kind_of(what: str) -> Question:
    """What `what` most likely is: an address, up to six words without a full stop, or a text."""
    stripped = what.strip()
    if _ADDRESS_LIKE.fullmatch(stripped):
        return Question.NEURON
    is_phrase = len(stripped.split()) <= LONGEST_CONCEPT_WORDS and stripped[-1:] not in set(".!?…")
    return Question.CONCEPT if is_phrase else Question.TEXT


def explain_neuron(run: FinishedRun, address: str, n_exemplars: int = 5) -> ExplainedNeuron:
    """Both tails of a neuron: descriptors or the abstention, what drives it, what moves with it.

    Raises:
        InputError: `address` is not a neuron of the run.
        RunError: the run is damaged, or its model has changed.
    """
    from neurons.exemplars import NeuronTail, find_exemplars
    from neurons.plain_exemplars import plain_exemplars
    from service.group_answers import group_of
    from service.imported_stage import is_imported
    from service.joint_answers import carried_together, exemplar_variety
    from service.word_answers import driving_words

    neuron = NeuronId.parse(address.strip())
    sites = run.store.layer_sites
    if neuron.layer_site not in sites or neuron.unit >= run.store.units(neuron.layer_site):
        known = ", ".join(f"{site} (units 0 to {run.store.units(site) - 1})" for site in sites)
        raise InputError(f"the run has no neuron {neuron}; it has {known}")
    tails = [NeuronTail(neuron, tail) for tail in Tail if (neuron, tail) in run.explanations]
    rows = np.arange(len(run.corpus), dtype=np.int64)
    if is_imported(run.settings):
        exemplars = plain_exemplars(run.store, tails, rows, n_exemplars)
    else:
        exemplars = find_exemplars(run.subject, run.store, run.corpus, tails, rows, n_exemplars)
    together = carried_together(run, neuron)
    words = driving_words(run, neuron)
    statistics = run.statistics
    return ExplainedNeuron(
        neuron=str(neuron),
        statistics=None if statistics is None else statistics.of(neuron),
        tails=tuple(
            ExplainedTail(
                tail=tail.tail,
                matches=run.explanations[neuron, tail.tail].matches,
                standings=tuple(
                    run.standing(neuron, tail.tail, match)
                    for match in run.explanations[neuron, tail.tail].matches
                ),
                reason=run.explanations[neuron, tail.tail].reason,
                together=together[tail.tail],
                variety=exemplar_variety(run, tail),
                words=words[tail.tail],
                exemplars=_sentences(run, found),
            )
            for tail, found in zip(tails, exemplars, strict=True)
        ),
        group=group_of(run, neuron),
        groups_sought=not run.neuron_groups.too_few_sentences,
    )


def explain_concept(
    run: FinishedRun,
    concept: str,
    n_descriptors: int = 5,
    n_neurons: int = 10,
    n_groups: int = 5,
) -> ExplainedConcept:
    """The descriptors nearest to `concept`, and the neurons and groups that carry them.

    Raises:
        InputError: `concept` is blank, or the run has kept no descriptor.
        RunError: the run is damaged, or its encoder has changed.
    """
    from service.concept_answers import ConceptAnswers

    check_concept(concept)
    answers = ConceptAnswers(run, _table(run), nullcontext())
    return answers.near(concept, n_descriptors, n_neurons, n_groups)


def explain_text(run: FinishedRun, text: str, n_neurons: int = 10) -> ExplainedText:
    """The described neurons that `text` drives furthest above their usual level.

    Raises:
        InputError: `text` is blank or not valid Unicode.
        RunError: the run is damaged, or its model has changed.
    """
    from service.text_levels import TextLevels

    check_text(text)
    found = TextLevels(run, _table(run), nullcontext()).strongest(text, n_neurons)
    return ExplainedText(
        text=text,
        n_described=found.n_described,
        truncated_tokens=found.tokens.truncated_tokens,
        firing=tuple(
            FiringNeuron(
                neuron=str(level.neuron),
                tail=level.tail,
                match=level.match,
                standing=run.standing(level.neuron, level.tail, level.match),
                activation=level.activation,
                z=level.z,
                percentile=level.percentile,
                tokens=_tokens(found.tokens, place),
            )
            for place, level in enumerate(found.levels)
        ),
    )


def check_concept(concept: str) -> None:
    """Refuse a concept without words.

    Raises:
        InputError: it is blank.
    """
    if not concept.strip():
        raise InputError("the concept is blank; give some words, for example 'refund requests'")


def check_text(text: str) -> None:
    """Refuse a text without words.

    Raises:
        InputError: it is blank.
    """
    if not text.strip():
        raise InputError("the text is blank; give a sentence to explain")


def _table(run: FinishedRun) -> ExplanationTable:
    from service.explanation_table import ExplanationTable

    return ExplanationTable.read(run.path / "explanations.parquet")


def _sentences(run: FinishedRun, found: NeuronExemplars) -> tuple[ExplainedSentence, ...]:
    from descriptors.splits import SPLIT_ORDER

    corpus = run.corpus
    return tuple(
        ExplainedSentence(
            id=corpus.ids[exemplar.row].as_py(),
            text=corpus.text(exemplar.row),
            split=SPLIT_ORDER[corpus.splits[exemplar.row]],
            activation=exemplar.activation,
            tokens=exemplar.tokens,
        )
        for exemplar in found.exemplars
    )


def _tokens(read: TokenActivations, column: int) -> tuple[TokenActivation, ...]:
    return tuple(
        TokenActivation(start=token.start, end=token.end, activation=float(activation))
        for token, activation in zip(read.tokens, read.activations[:, column], strict=True)
    )
