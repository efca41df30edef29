"""What asking an LM will take, found without asking it and without loading its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from descriptors.generation import Answer, ChatRequest, RequestFailure, TextGenerator
from descriptors.prompt_data import as_json
from descriptors.prompts import EXAMPLE_DESCRIPTORS
from descriptors.token_estimate import estimate_tokens
from indexer.errors import InputError
from indexer.records import Record

if TYPE_CHECKING:
    from descriptors.proposer import GroupTexts
    from descriptors.proposer_factory import ProposerContext, ProposerSpec

FEWEST_ANSWERS = 8
"""Stored answers from which their mean length says more than the example in the prompt."""


class CountedBy(StrEnum):
    """Where the number of prompt tokens comes from."""

    TOKENIZER = "tokenizer"
    STORED_ANSWERS = "stored_answers"
    ESTIMATE = "estimate"


class LMForecast(Record):
    """What an LM will be asked, first attempts only: whoever answers badly is asked once more.

    `requests` are those to be sent; `answered_from_store` are paid for already. Tokens are of
    `requests`. `completion_tokens` takes answers to be as long as those in the store, or as the
    example in the prompt.
    """

    requests: int = Field(ge=0)
    answered_from_store: int = Field(ge=0)
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)
    completion_tokens_at_most: int = Field(ge=0)
    counted_by: CountedBy


def forecast_lm(
    spec: ProposerSpec, groups: Sequence[GroupTexts], context: ProposerContext
) -> LMForecast:
    """Render the prompts of `groups` and count.

    Raises:
        InputError: the LM's tokenizer cannot be loaded.
        RunError: the store of answers cannot be read.
    """
    from descriptors.lm_proposer import LMProposer
    from descriptors.proposer_factory import BackEnd

    generator = _generator(spec, context)
    settings = context.generation
    asked = LMProposer(generator, settings.prompts, settings.sampling).plan_requests(groups)
    # Only a running engine tells what its answers are stored under.
    stored = {} if spec.back_end is BackEnd.VLLM else _stored(generator, asked, context)
    waiting = [request for row, request in enumerate(asked) if row not in stored]
    prompt_tokens = float(sum(generator.count_prompt_tokens(waiting)))
    estimated = spec.back_end is BackEnd.OPENAI
    counted_by = CountedBy.ESTIMATE if estimated else CountedBy.TOKENIZER
    per_answer = float(_example_tokens(settings.prompts.n_phrases))
    if len(stored) >= FEWEST_ANSWERS:
        answers = list(stored.values())
        per_answer = sum(answer.completion_tokens for answer in answers) / len(answers)
        if estimated:
            guessed = sum(generator.count_prompt_tokens([asked[row] for row in stored]))
            prompt_tokens *= sum(answer.prompt_tokens for answer in answers) / guessed
            counted_by = CountedBy.STORED_ANSWERS
    return LMForecast(
        requests=len(waiting),
        answered_from_store=len(stored),
        prompt_tokens=round(prompt_tokens),
        completion_tokens=round(per_answer * len(waiting)),
        completion_tokens_at_most=settings.sampling.maximum_completion_tokens * len(waiting),
        counted_by=counted_by,
    )


def _generator(spec: ProposerSpec, context: ProposerContext) -> TextGenerator:
    """What renders and counts like the back end of `spec`, with no more loaded than a tokenizer."""
    from descriptors.proposer_factory import BackEnd, create_generator

    if spec.back_end is BackEnd.VLLM and spec.model is not None:
        tokenizer = _tokenizer(spec.model, context.generation.vllm.revision)
        return _TokenCounter(f"{spec.back_end}:{spec.model}", tokenizer)
    return create_generator(spec, context)


def _tokenizer(model: str, revision: str | None) -> Any:
    from pathlib import Path

    from transformers import AutoTokenizer

    local = Path(model).expanduser()
    try:
        return AutoTokenizer.from_pretrained(
            str(local) if local.exists() else model, revision=revision, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(
            f"the tokenizer of model {model!r} cannot be loaded: {error}. Name a folder or a Hub "
            "id of an instruction-tuned model."
        ) from error


@dataclass(frozen=True)
class _TokenCounter:
    """A model that only its tokenizer is there of."""

    name: str
    _tokenizer: Any

    @property
    def fingerprint(self) -> str:
        return self.name

    def generate(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> Iterator[tuple[int, Answer | RequestFailure]]:
        raise NotImplementedError(f"{self.name} is only planned with")

    def count_prompt_tokens(self, requests: Sequence[ChatRequest]) -> list[int]:
        from descriptors.vllm_backend import prompt_tokens

        return [len(prompt_tokens(self._tokenizer, request.messages)) for request in requests]

    def close(self) -> None:
        """Nothing is held."""


def _stored(
    generator: TextGenerator, requests: Sequence[ChatRequest], context: ProposerContext
) -> dict[int, Answer]:
    """The answers that are in the store, by the position of their request."""
    from descriptors.response_store import ResponseStore, response_key

    if context.responses is None:
        return {}
    store = ResponseStore(context.responses)
    keys = [response_key(generator.fingerprint, request) for request in requests]
    found = ((row, store.read(key)) for row, key in enumerate(keys))
    return {row: answer for row, answer in found if answer is not None}


def _example_tokens(n_phrases: int) -> int:
    """The length of an answer like the one that a prompt shows."""
    repeated = EXAMPLE_DESCRIPTORS * n_phrases
    return estimate_tokens(as_json({"descriptors": list(repeated[:n_phrases])}))
