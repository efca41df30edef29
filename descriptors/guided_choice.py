"""Chooses each next token of a batch so that every answer fits its request's JSON schema."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from descriptors.generation import SamplingSettings

if TYPE_CHECKING:
    import torch
    from llguidance import LLMatcher, LLTokenizer
    from transformers import LogitsProcessor

# Small models left free to write white space write nothing else.
_ONE_SPACE = {"whitespace_pattern": " "}


@dataclass
class GuidedRow:
    """One answer in the making: where it is in its schema, and how its tokens are drawn."""

    matcher: LLMatcher
    # One generator a row, so that an answer depends on its own seed and not on its neighbours.
    generator: torch.Generator
    # Temperature and top-p as the library computes them; none for the most probable token.
    warpers: tuple[LogitsProcessor, ...]
    n_read: int = field(default=0, init=False)

    @property
    def is_complete(self) -> bool:
        """Whether the schema is satisfied and nothing can follow."""
        return self.matcher.is_stopped() and not self.matcher.is_error()

    def read(self, tokens: Sequence[int]) -> None:
        """Follow the tokens chosen so far, of which the first `n_read` are known."""
        for token in tokens[self.n_read :]:
            if self.matcher.is_stopped():
                break
            self.matcher.consume_token(token)
        self.n_read = len(tokens)

    def choose(self, scores: torch.Tensor) -> int:
        """The next token, given the scores of all tokens (`n_tokens`)."""
        import torch

        bias = torch.frombuffer(bytearray(self.matcher.compute_logit_bias()), dtype=torch.uint8)
        allowed = scores.masked_fill(bias.to(scores.device) == 0, -torch.inf)
        if not self.warpers:
            return int(allowed.argmax())
        row: Any = allowed[None]
        for warper in self.warpers:
            row = warper(None, row)
        probabilities = row[0].softmax(dim=0).cpu()
        return int(torch.multinomial(probabilities, 1, generator=self.generator))


def schema_problem(json_schema: dict[str, Any], tokenizer: LLTokenizer) -> str:
    """Why answers cannot be kept to a schema; empty if they can."""
    from llguidance import LLMatcher

    is_error, messages = LLMatcher.validate_grammar_with_warnings(_grammar(json_schema), tokenizer)
    return messages[0] if is_error else ""


def guided_row(
    json_schema: dict[str, Any], sampling: SamplingSettings, tokenizer: LLTokenizer
) -> GuidedRow:
    """A row at the beginning of its answer, with parameters that no other row shares."""
    import torch
    from llguidance import LLMatcher
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    warpers: tuple[LogitsProcessor, ...] = ()
    if sampling.temperature > 0:
        warpers = (TemperatureLogitsWarper(sampling.temperature), TopPLogitsWarper(sampling.top_p))
    return GuidedRow(
        matcher=LLMatcher(tokenizer, _grammar(json_schema), log_level=0),
        generator=torch.Generator().manual_seed(sampling.seed),
        warpers=warpers,
    )


@dataclass
class GuidedChoice:
    """A logits processor that leaves each row one token: the one chosen within its schema."""

    rows: Sequence[GuidedRow]
    n_prompt_tokens: int

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores (`n_rows, n_tokens`) that are 0 for the chosen tokens and -inf for others."""
        import torch

        chosen = torch.full_like(scores, -torch.inf)
        written = input_ids[:, self.n_prompt_tokens :].tolist()
        for number, (row, tokens) in enumerate(zip(self.rows, written, strict=True)):
            row.read(tokens)
            # A complete row may only end; its schema allows the end alone.
            chosen[number, row.choose(scores[number])] = 0.0
        return chosen


def _grammar(json_schema: dict[str, Any]) -> str:
    from llguidance import LLMatcher

    options: Any = _ONE_SPACE
    return LLMatcher.grammar_from_json_schema(json.dumps(json_schema), overrides=options)
