"""From the body of a chat completion, as it came over the wire, to an answer."""

from __future__ import annotations

from pydantic import BaseModel, NonNegativeInt, ValidationError

from descriptors.generation import (
    Answer,
    ChatRequest,
    FailureReason,
    FinishReason,
    RequestFailure,
)
from descriptors.token_estimate import estimate_prompt_tokens, estimate_tokens

# Some servers leave the reason out, or give that of an answer in the form of a tool call.
_FINISH = {
    None: FinishReason.STOP,
    "stop": FinishReason.STOP,
    "tool_calls": FinishReason.STOP,
    "function_call": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.REFUSED,
}


class Usage(BaseModel):
    """What an answer cost, where the server says so."""

    prompt_tokens: NonNegativeInt | None = None
    completion_tokens: NonNegativeInt | None = None


class Message(BaseModel):
    """What the model wrote, or why it would not."""

    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    """One answer; requests ask for one only."""

    message: Message
    finish_reason: str | None = None


class Completion(BaseModel):
    """The parts of a chat completion that are read."""

    choices: tuple[Choice, ...]
    usage: Usage | None = None

    @property
    def counts_tokens(self) -> bool:
        """Whether the server says what the answer cost."""
        counts = self.usage or Usage()
        return counts.prompt_tokens is not None and counts.completion_tokens is not None


def read_body(body: str) -> Completion | RequestFailure:
    """Check the body of a response with status 200: servers send pages and halves, too."""
    try:
        return Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "body"
        said = f"the answer is no chat completion ({where}: {first['msg']}): {body[:100]!r}"
        return RequestFailure(reason=FailureReason.CUT_OFF, message=said)


def read_completion(completion: Completion, request: ChatRequest) -> Answer | RequestFailure:
    """The answer in a completion; tokens the server did not count are estimated."""
    if not completion.choices:
        said = "the server answered without any choice"
        return RequestFailure(reason=FailureReason.SERVER_FAILED, message=said)
    choice = completion.choices[0]
    if choice.finish_reason not in _FINISH:
        said = f"the server ended the answer with finish_reason {choice.finish_reason!r}"
        return RequestFailure(reason=FailureReason.CUT_OFF, message=said)
    refusal = choice.message.refusal
    text = refusal or choice.message.content or ""
    usage = completion.usage or Usage()
    prompt_tokens, completion_tokens = usage.prompt_tokens, usage.completion_tokens
    if prompt_tokens is None:
        prompt_tokens = estimate_prompt_tokens(request)
    if completion_tokens is None:
        completion_tokens = estimate_tokens(text)
    return Answer(
        text=text,
        finish=FinishReason.REFUSED if refusal else _FINISH[choice.finish_reason],
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
    )
