"""The `transformers:` back end: a chat model in this process, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import Field

from descriptors.causal_model import (
    ChatModel,
    ChatTokenizer,
    Device,
    NumberFormat,
    choose_device,
    maximum_tokens,
)
from descriptors.generation import (
    Answer,
    ChatRequest,
    FailureReason,
    FinishReason,
    RequestFailure,
)
from descriptors.guided_choice import GuidedChoice, GuidedRow, guided_row, schema_problem
from indexer.errors import BackendError
from indexer.model_folder import folder_fingerprint, model_folder
from indexer.records import Record
from indexer.storage import file_fingerprint, fingerprint


class TransformersSettings(Record):
    """How the model is run.

    `dtype` auto is float32 on a CPU and the format of the weights on a GPU. `maximum_prompt_tokens`
    None leaves it to the positions the model was made for.
    """

    device: Device = "auto"
    dtype: NumberFormat = "auto"
    batch_size: int = Field(default=8, ge=1)
    maximum_prompt_tokens: int | None = Field(default=None, ge=1)


@dataclass(frozen=True)
class _Prompt:
    """A request as tokens, with its position among the requests."""

    position: int
    request: ChatRequest
    tokens: list[int]

    @property
    def answer_tokens(self) -> int:
        return self.request.sampling.maximum_completion_tokens


class TransformersGenerator:
    """Runs a chat model of the Hub or of a folder; its files are looked for on first use.

    Answers at temperature 0 are the most probable ones; others depend on their seed only, not on
    what they are batched with (in float32; narrower formats round by the shape of the batch).
    """

    def __init__(self, model: str, settings: TransformersSettings | None = None) -> None:
        self.model = model
        self.settings = settings or TransformersSettings()

    @property
    def name(self) -> str:
        """The back end and model as the user writes them."""
        return f"transformers:{self.model}"

    @cached_property
    def fingerprint(self) -> str:
        """The files of the model, its device and its number format."""
        templates = sorted(self._folder.glob("*.jinja"))
        return fingerprint(
            [
                "transformers",
                folder_fingerprint(self._folder),
                [file_fingerprint(template) for template in templates],
                choose_device(self.settings.device).type,
                self.settings.dtype,
            ]
        )

    def count_prompt_tokens(self, requests: Sequence[ChatRequest]) -> list[int]:
        """Tokens of each prompt, exactly; the weights are not read.

        Raises:
            InputError: the model has no tokenizer with a chat template that takes these messages.
        """
        return [len(self._chat.encode(request.messages)) for request in requests]

    def generate(
        self, requests: Sequence[ChatRequest], *, progress: bool = False
    ) -> Iterator[tuple[int, Answer | RequestFailure]]:
        """Yield the position of each request with its outcome, a batch at a time.

        Raises:
            InputError: the model cannot be found, read or used for chats.
            BackendError: the batch does not fit into memory.
        """
        from indexer.progress_bar import ProgressBar

        with ProgressBar(
            total=len(requests), unit=" requests", desc="ask", disable=not progress
        ) as bar:
            prompts = []
            for position, request in enumerate(requests):
                prompt = _Prompt(position, request, self._chat.encode(request.messages))
                if failure := self._problem(prompt):
                    bar.update()
                    yield position, failure
                else:
                    prompts.append(prompt)
            for batch in _batches(prompts, self.settings.batch_size):
                answers = self._answer(batch)
                bar.update(len(batch))
                yield from zip((prompt.position for prompt in batch), answers, strict=True)

    def close(self) -> None:
        """Let go of the weights; the next answer reads them again."""
        self.__dict__.pop("_model", None)

    @cached_property
    def _folder(self) -> Path:
        return model_folder(self.model)

    @cached_property
    def _chat(self) -> ChatTokenizer:
        return ChatTokenizer.load(self.model, self._folder)

    @cached_property
    def _model(self) -> ChatModel:
        return ChatModel.load(self._chat, self._folder, self.settings.device, self.settings.dtype)

    @cached_property
    def _maximum_tokens(self) -> int | None:
        return maximum_tokens(self._folder)

    def _problem(self, prompt: _Prompt) -> RequestFailure | None:
        n_tokens, most = len(prompt.tokens), self.settings.maximum_prompt_tokens
        if most is not None and n_tokens > most:
            said = f"the prompt has {n_tokens} tokens, more than maximum_prompt_tokens {most}"
            return RequestFailure(reason=FailureReason.CONTEXT_OVERFLOW, message=said)
        if self._maximum_tokens and n_tokens + prompt.answer_tokens > self._maximum_tokens:
            said = (
                f"the prompt has {n_tokens} tokens and the answer may have {prompt.answer_tokens}, "
                f"but {self.model} was made for {self._maximum_tokens} together"
            )
            return RequestFailure(reason=FailureReason.CONTEXT_OVERFLOW, message=said)
        if said := schema_problem(prompt.request.json_schema, self._model.guide):
            return RequestFailure(reason=FailureReason.REJECTED, message=said)
        return None

    def _answer(self, batch: Sequence[_Prompt]) -> list[Answer | RequestFailure]:
        import torch

        rows = [
            guided_row(prompt.request.json_schema, prompt.request.sampling, self._model.guide)
            for prompt in batch
        ]
        try:
            written = self._write(batch, rows)
        except torch.OutOfMemoryError as error:
            longest = max(len(prompt.tokens) for prompt in batch)
            raise BackendError(
                f"{self.model} ran out of memory on {len(batch)} prompts of up to {longest} "
                "tokens; use a smaller batch_size, a smaller model or bfloat16. Every answer so "
                "far is kept."
            ) from error
        return [
            self._outcome(prompt, row, tokens)
            for prompt, row, tokens in zip(batch, rows, written, strict=True)
        ]

    def _write(self, batch: Sequence[_Prompt], rows: Sequence[GuidedRow]) -> list[list[int]]:
        """The tokens each row adds to its prompt, with whatever fills up after its end."""
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        model: Any = self._model.model
        end_tokens = list(self._model.end_tokens)
        longest = max(len(prompt.tokens) for prompt in batch)
        # Padding is on the left, so that all prompts end where the answers begin.
        padding = [longest - len(prompt.tokens) for prompt in batch]
        pairs = list(zip(padding, batch, strict=True))
        tokens = torch.tensor([[end_tokens[0]] * n + prompt.tokens for n, prompt in pairs])
        mask = torch.tensor([[0] * n + [1] * len(prompt.tokens) for n, prompt in pairs])
        settings = GenerationConfig(  # type: ignore[no-untyped-call]
            do_sample=False,
            max_new_tokens=batch[0].answer_tokens,
            eos_token_id=end_tokens,
            pad_token_id=end_tokens[0],
        )
        with torch.inference_mode():
            written: torch.Tensor = model.generate(
                tokens.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=settings,
                logits_processor=LogitsProcessorList([GuidedChoice(rows, longest)]),
            )
        answers: list[list[int]] = written[:, longest:].tolist()
        return answers

    def _outcome(
        self, prompt: _Prompt, row: GuidedRow, written: list[int]
    ) -> Answer | RequestFailure:
        ends = [place for place, token in enumerate(written) if token in self._model.end_tokens]
        tokens = written[: ends[0]] if ends else written
        row.read(tokens)
        if row.matcher.is_error():
            said = f"the schema cannot be kept to: {row.matcher.get_error().splitlines()[0]}"
            return RequestFailure(reason=FailureReason.REJECTED, message=said)
        return Answer(
            text=self._chat.tokenizer.decode(tokens, clean_up_tokenization_spaces=False),
            finish=FinishReason.STOP if ends or row.is_complete else FinishReason.LENGTH,
            prompt_tokens=len(prompt.tokens),
            completion_tokens=len(tokens) + bool(ends),
        )


def _batches(prompts: Sequence[_Prompt], batch_size: int) -> Iterator[list[_Prompt]]:
    """Prompts of like length and with the same limit on answers, the longest first."""

    def limit(prompt: _Prompt) -> int:
        return -prompt.answer_tokens

    for _, alike in groupby(sorted(prompts, key=limit), key=limit):
        by_length = sorted(alike, key=lambda prompt: -len(prompt.tokens))
        for start in range(0, len(by_length), batch_size):
            yield by_length[start : start + batch_size]
