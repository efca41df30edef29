"""The back end `vllm:ID`: a chat model run by vLLM in this process, on GPUs or on a CPU.

Requests go to the engine as it has room for them, and answers come back one by one, so that an
answer can be stored the moment it is there and the engine never waits for the slowest of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from descriptors.generation import (
    Answer,
    ChatMessage,
    ChatRequest,
    FailureReason,
    FinishReason,
    RequestFailure,
    SamplingSettings,
)
from descriptors.vllm_engine import (
    VLLMSettings,
    engine_arguments,
    engine_failures,
    start_engine,
    stop_engine,
)
from descriptors.vllm_model import load_tokenizer, locate_model, vllm_version
from indexer.errors import InputError
from indexer.progress_bar import ProgressBar
from indexer.storage import fingerprint

# Enough to keep the largest batch of vLLM's defaults full while answers leave and requests enter.
_REQUESTS_IN_ENGINE = 1024
_FINISHES = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}


@dataclass(frozen=True, eq=False)
class VLLMGenerator:
    """A chat model in a vLLM engine of its own, which starts when the first answer is asked for."""

    model_id: str
    fingerprint: str
    _arguments: dict[str, Any] = field(repr=False)
    _tokenizer: Any = field(repr=False)

    @classmethod
    def load(cls, model_id: str, settings: VLLMSettings | None = None) -> Self:
        """Find a local folder or a Hub id and read its tokenizer; weights and vLLM are left alone.

        Raises:
            InputError: vLLM is not installed, or there is no such model, or it takes no chats.
        """
        settings = settings or VLLMSettings()
        version = vllm_version(model_id)
        model = locate_model(model_id, settings.revision)
        tokenizer = load_tokenizer(model_id, model)
        _check_chats(model_id, tokenizer)
        decisive = settings.model_dump(include={"dtype", "quantization", "max_model_len"})
        pinned = settings.model_copy(update={"revision": model.revision})
        return cls(
            model_id=model_id,
            fingerprint=fingerprint(["vllm", version, model.fingerprint, decisive]),
            _arguments=engine_arguments(model.location, pinned),
            _tokenizer=tokenizer,
        )

    @property
    def name(self) -> str:
        """The back end and model as the user writes them."""
        return f"vllm:{self.model_id}"

    @cached_property
    def _engine(self) -> Any:
        return start_engine(self.model_id, self._arguments)

    def close(self) -> None:
        """Stop the engine, if it runs, which frees its memory; the next answer starts another."""
        engine = self.__dict__.pop("_engine", None)
        if engine is not None:
            stop_engine(engine)

    def count_prompt_tokens(self, requests: Sequence[ChatRequest]) -> list[int]:
        """Tokens of each prompt, exact: what `generate` sends; needs no engine."""
        return [len(prompt_tokens(self._tokenizer, request.messages)) for request in requests]

    def generate(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> Iterator[tuple[int, Answer | RequestFailure]]:
        """Yield the position of each request with its answer, in the order they finish.

        Only one call at a time; requests still in the engine when a caller stops are withdrawn.

        Raises:
            InputError: vLLM cannot use the model with these settings.
            BackendError: the engine does not start, mostly for want of memory, or died.
        """
        engine = self._engine.llm_engine
        waiting = iter(enumerate(requests))
        running: set[str] = set()
        try:
            with ProgressBar(total=len(requests), desc=self.name, disable=not progress) as bar:
                while True:
                    for position, request in waiting:
                        refusal = self._submit(str(position), request)
                        if refusal is None:
                            running.add(str(position))
                        else:
                            bar.update()
                            yield position, refusal
                        if len(running) == _REQUESTS_IN_ENGINE:
                            break
                    if not running:
                        return
                    with engine_failures(self.name):
                        outputs = engine.step()
                    for output in outputs:
                        running.remove(output.request_id)
                        bar.update()
                        yield int(output.request_id), answer_of(output)
        finally:
            engine.abort_request(sorted(running))

    def _submit(self, identifier: str, request: ChatRequest) -> RequestFailure | None:
        from vllm.exceptions import VLLMValidationError

        tokens = prompt_tokens(self._tokenizer, request.messages)
        needed = len(tokens) + request.sampling.maximum_completion_tokens
        most = self._engine.model_config.max_model_len
        if needed > most:
            return RequestFailure(
                reason=FailureReason.CONTEXT_OVERFLOW,
                message=f"{len(tokens)} tokens of prompt and up to "
                f"{request.sampling.maximum_completion_tokens} of answer are more than the "
                f"{most} that {self.name} takes",
            )
        prompt = {"type": "token", "prompt_token_ids": tokens}
        try:
            with engine_failures(self.name):
                sampling = sampling_parameters(request.sampling, request.json_schema)
                self._engine.llm_engine.add_request(identifier, prompt, sampling)
        except (ValueError, VLLMValidationError) as error:
            return RequestFailure(reason=FailureReason.REJECTED, message=str(error))
        return None


def sampling_parameters(sampling: SamplingSettings, json_schema: dict[str, Any]) -> Any:
    """The `vllm.SamplingParams` of one request, never shared: vLLM writes into them."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        seed=sampling.seed,
        max_tokens=sampling.maximum_completion_tokens,
        structured_outputs=StructuredOutputsParams(json=json_schema),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def answer_of(output: Any) -> Answer | RequestFailure:
    """What a finished `vllm.RequestOutput` means for us."""
    [completion] = output.outputs
    finish = _FINISHES.get(completion.finish_reason)
    if finish is None:
        return RequestFailure(
            reason=FailureReason.CUT_OFF,
            message=f"vLLM ended the answer with {completion.finish_reason!r} "
            f"after {len(completion.token_ids)} tokens",
        )
    return Answer(
        text=completion.text,
        finish=finish,
        prompt_tokens=len(output.prompt_token_ids),
        completion_tokens=len(completion.token_ids),
    )


def prompt_tokens(tokenizer: Any, messages: Sequence[ChatMessage]) -> list[int]:
    """The chat as tokens, with the model's turn opened.

    Models that can think before they answer are asked not to: the schema binds the first token.
    """
    tokens: list[int] = tokenizer.apply_chat_template(
        [message.model_dump() for message in messages],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
        enable_thinking=False,
    )
    return tokens


def _check_chats(model_id: str, tokenizer: Any) -> None:
    """Refuse a tokenizer that cannot write the kind of chat that the proposer sends."""
    from jinja2 import TemplateError

    turns = (
        ChatMessage(role="system", content="Name things."),
        ChatMessage(role="user", content="What is this?"),
    )
    try:
        prompt_tokens(tokenizer, turns)
    except (ValueError, TemplateError) as error:
        raise InputError(
            f"model {model_id!r} cannot be talked to: {error}. Name an instruction-tuned model "
            "whose tokenizer has a chat template that takes a system message."
        ) from error
