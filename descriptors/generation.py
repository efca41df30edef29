"""What a back end that runs a generative LM takes and gives, whichever LM it is.

A back end answers chat requests as a stream, in any order, so that each answer can be kept the
moment it is paid for. What concerns one request is an answer (`RequestFailure`); what concerns all
of them (no server, wrong key, no such model) is a `BackendError`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Literal, Protocol

from pydantic import Field

from indexer.records import Record


class ChatMessage(Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class SamplingSettings(Record):
    """How an answer is drawn; part of what an answer is stored under."""

    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    seed: int = Field(default=0, ge=0)
    maximum_completion_tokens: int = Field(default=160, ge=8)


class ChatRequest(Record):
    """A chat to be continued by one answer that fits a JSON schema."""

    messages: tuple[ChatMessage, ...]
    json_schema: dict[str, Any]
    sampling: SamplingSettings = SamplingSettings()


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    REFUSED = "refused"


class Answer(Record):
    """What the LM wrote, as written, and what it cost in tokens."""

    text: str
    finish: FinishReason
    prompt_tokens: int = Field(ge=0)
    completion_tokens: int = Field(ge=0)


class FailureReason(StrEnum):
    """Why a request has no answer although the back end works."""

    CONTEXT_OVERFLOW = "context_overflow"
    REJECTED = "request_rejected"
    SERVER_FAILED = "server_failed"
    CUT_OFF = "answer_cut_off"


class RequestFailure(Record):
    """A request without an answer, retries included."""

    reason: FailureReason
    message: str


class TextGenerator(Protocol):
    """Answers chat requests with a generative LM."""

    @property
    def name(self) -> str:
        """The back end and model as the user writes them, for example `vllm:Qwen/Qwen3-4B`."""
        ...

    @property
    def fingerprint(self) -> str:
        """Model, revision and whatever else changes its answers; sampling is in the request."""
        ...

    def generate(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> Iterator[tuple[int, Answer | RequestFailure]]:
        """Yield the position of each request with its answer, as they come.

        Raises:
            BackendError: the back end cannot be used, or a budget is spent.
        """
        ...

    def count_prompt_tokens(self, requests: Sequence[ChatRequest]) -> list[int]:
        """Tokens of each prompt, exact where the tokenizer is at hand, else an estimate."""
        ...

    def close(self) -> None:
        """Let go of what the back end holds; it may be used again."""
        ...
