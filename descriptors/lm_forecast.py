"""What asking an LM will take, found without asking it and without loading its weights.

Answers that the store holds, of a pilot or of a run that was stopped, stand for those to come: for
their lengths, for how often a first answer is bad and asked for again, and, where the tokenizer is
on a server, for the tokens of a prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from descriptors.generation import Answer, TextGenerator
from descriptors.prompt_data import as_json
from descriptors.prompts import EXAMPLE_DESCRIPTORS
from descriptors.token_estimate import estimate_tokens
from indexer.records import Record

if TYPE_CHECKING:
    from descriptors.lm_proposer import Standing
    from descriptors.proposer import GroupTexts
    from descriptors.proposer_factory import ProposerContext, ProposerSpec


class CountedBy(StrEnum):
    """Where the number of prompt tokens comes from."""

    TOKENIZER = "tokenizer"
    STORED_ANSWERS = "stored_answers"
    ESTIMATE = "estimate"


class LMTotals(Record):
    """Requests and tokens, counted as in `GenerationUsage`."""

    requests: int = Field(ge=0)
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)

    def plus(self, answers: Sequence[Answer]) -> LMTotals:
        """The sum with the requests that have these answers."""
        return LMTotals(
            requests=self.requests + len(answers),
            prompt_tokens=self.prompt_tokens + sum(each.prompt_tokens for each in answers),
            completion_tokens=self.completion_tokens
            + sum(each.completion_tokens for each in answers),
        )


class LMForecast(LMTotals):
    """What an LM will be asked and how much it will answer.

    `requests` are those to be sent, `second_attempts` of them because a first answer is bad, which
    is foreseen only from stored answers. `answered_from_store` are paid for already. Tokens are of
    `requests`; `completion_tokens` takes answers to be as long as those in the store, or as the
    example in the prompt, `completion_tokens_at_most` takes every first answer to be bad and all
    to be of full length. `whole` is with what is stored.
    """

    second_attempts: int = Field(ge=0)
    answered_from_store: int = Field(ge=0)
    completion_tokens_at_most: int = Field(ge=0)
    counted_by: CountedBy
    whole: LMTotals


def forecast_lm(
    spec: ProposerSpec,
    groups: Sequence[GroupTexts],
    context: ProposerContext,
    unanswered_share: float = 0.0,
) -> LMForecast:
    """Render the prompts of `groups`, look up what the store holds, and count.

    `unanswered_share` of the requests are taken to fail; they are sent and cost no tokens.

    Raises:
        InputError: the LM's tokenizer cannot be loaded.
        RunError: the store of answers cannot be read.
    """
    from descriptors.lm_proposer import LMProposer
    from descriptors.proposer_factory import BackEnd, create_generator
    from descriptors.response_store import ResponseStore

    generator, settings = create_generator(spec, context), context.generation
    store = None if context.responses is None else ResponseStore(context.responses)
    proposer = LMProposer(generator, settings.prompts, settings.sampling, store)
    standings = proposer.standings(groups)
    counted_by, scale = CountedBy.TOKENIZER, 1.0
    if spec.back_end is BackEnd.OPENAI:
        counted_by, scale = _learnt_scale(standings, generator)
    first = _Attempt.of([each for each in standings if not each.second], generator, scale)
    second = _Attempt.of([each for each in standings if each.second], generator, scale)
    passing = 1.0 - unanswered_share
    first_length = first.answer_length or _example_tokens(settings.prompts.n_phrases)
    second_length = second.answer_length or first_length
    bad_share = second.size / len(first.answers) if first.answers else 0.0
    foreseen = bad_share * passing * first.waiting
    to_send = LMTotals(
        requests=first.waiting + second.waiting + round(foreseen),
        prompt_tokens=round(
            passing * (first.waiting_tokens + second.waiting_tokens)
            + foreseen * second.prompt_length
        ),
        completion_tokens=round(
            passing * (first.waiting * first_length + second.waiting * second_length)
            + foreseen * second_length
        ),
    )
    return LMForecast(
        **to_send.model_dump(),
        second_attempts=to_send.requests - first.waiting,
        answered_from_store=len(first.answers) + len(second.answers),
        completion_tokens_at_most=settings.sampling.maximum_completion_tokens
        * (2 * first.waiting + second.waiting),
        counted_by=counted_by,
        whole=to_send.plus([*first.answers, *second.answers]),
    )


@dataclass(frozen=True)
class _Attempt:
    """The requests of a first or a second attempt; `waiting` of them have no stored answer.

    `waiting_tokens` are the tokens of their prompts, as the LM counts them.
    """

    answers: tuple[Answer, ...]
    waiting: int
    waiting_tokens: float

    @classmethod
    def of(cls, standings: Sequence[Standing], generator: TextGenerator, scale: float) -> _Attempt:
        waiting = [each.request for each in standings if not each.answer]
        return cls(
            answers=tuple(each.answer for each in standings if each.answer),
            waiting=len(waiting),
            waiting_tokens=scale * sum(generator.count_prompt_tokens(waiting)),
        )

    @property
    def size(self) -> int:
        """All requests."""
        return len(self.answers) + self.waiting

    @property
    def answer_length(self) -> float | None:
        """Mean tokens of an answer; None where there is none."""
        lengths = [answer.completion_tokens for answer in self.answers]
        return sum(lengths) / len(lengths) if lengths else None

    @property
    def prompt_length(self) -> float:
        """Mean tokens of a prompt; 0 where there is none."""
        answered = sum(answer.prompt_tokens for answer in self.answers)
        return (answered + self.waiting_tokens) / self.size if self.size else 0.0


def _learnt_scale(
    standings: Sequence[Standing], generator: TextGenerator
) -> tuple[CountedBy, float]:
    """What turns estimated prompt tokens into those that a server counts, and how it is known."""
    known = [(each.request, each.answer.prompt_tokens) for each in standings if each.answer]
    if not known:
        return CountedBy.ESTIMATE, 1.0
    estimated = sum(generator.count_prompt_tokens([request for request, _ in known]))
    return CountedBy.STORED_ANSWERS, sum(tokens for _, tokens in known) / estimated


def _example_tokens(n_phrases: int) -> int:
    """The length of an answer like the one that a prompt shows."""
    repeated = EXAMPLE_DESCRIPTORS * n_phrases
    return estimate_tokens(as_json({"descriptors": list(repeated[:n_phrases])}))
