"""What a request looks like, and how it is simplified for a server that rejects a parameter."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from descriptors.generation import ChatRequest
from descriptors.openai_errors import is_context_overflow

if TYPE_CHECKING:
    import openai

_ABOUT_FORMAT = re.compile(r"response.?format|json.?schema|json.?object|grammar", re.IGNORECASE)
_MAY_BE_OMITTED = ("temperature", "top_p", "seed")


class AnswerFormat(StrEnum):
    """What keeps answers to a shape, strictest first."""

    SCHEMA = "json_schema"
    OBJECT = "json_object"
    NONE = "none"


_LOOSER = {AnswerFormat.SCHEMA: AnswerFormat.OBJECT, AnswerFormat.OBJECT: AnswerFormat.NONE}


@dataclass(frozen=True)
class Dialect:
    """Which of the optional parameters a server takes, as far as is known."""

    answer_format: AnswerFormat = AnswerFormat.SCHEMA
    # Few servers know the later name, `max_completion_tokens`; those that insist on it say so.
    length_parameter: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omitted: frozenset[str] = frozenset()

    def parameters(self, model: str, request: ChatRequest) -> dict[str, Any]:
        """The body of a chat completion request."""
        sampling = request.sampling
        drawn = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
        }
        return {
            "model": model,
            "messages": [message.model_dump() for message in request.messages],
            self.length_parameter: sampling.maximum_completion_tokens,
            **{name: value for name, value in drawn.items() if name not in self.omitted},
            **self._response_format(request),
        }

    def without_rejected(self, error: openai.APIStatusError) -> Dialect | None:
        """The dialect that avoids what the server rejected; None if it rejected something else."""
        if error.status_code not in {400, 422} or is_context_overflow(error):
            return None
        if self.length_parameter == "max_tokens" and "max_completion_tokens" in error.message:
            return replace(self, length_parameter="max_completion_tokens")
        if error.param in _MAY_BE_OMITTED and error.param not in self.omitted:
            return replace(self, omitted=self.omitted | {error.param})
        if (looser := _LOOSER.get(self.answer_format)) and _ABOUT_FORMAT.search(
            f"{error.param or ''} {error.message}"
        ):
            return replace(self, answer_format=looser)
        return None

    def difference(self, other: Dialect) -> str:
        """What `other` does otherwise, for the user."""
        if other.answer_format != self.answer_format:
            return (
                f"answers are asked for with response_format {other.answer_format} instead of "
                f"{self.answer_format}; more of them may not fit the schema"
            )
        if other.length_parameter != self.length_parameter:
            return f"the answer's length is limited by {other.length_parameter}"
        dropped = ", ".join(sorted(other.omitted - self.omitted))
        return f"requests go without {dropped}, so a re-run may be answered differently"

    def _response_format(self, request: ChatRequest) -> dict[str, Any]:
        if self.answer_format is AnswerFormat.NONE:
            return {}
        if self.answer_format is AnswerFormat.OBJECT:
            return {"response_format": {"type": "json_object"}}
        schema = {"name": "answer", "schema": request.json_schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
