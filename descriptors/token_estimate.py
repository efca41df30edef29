"""How many tokens a text has, roughly, when the tokenizer that decides is out of reach."""

from __future__ import annotations

import math

from descriptors.generation import ChatRequest

BYTES_PER_TOKEN = 4.0
TOKENS_PER_MESSAGE = 4
TOKENS_PER_PROMPT = 3


def estimate_tokens(text: str) -> int:
    """UTF-8 bytes over `BYTES_PER_TOKEN`, rounded up.

    Byte-pair vocabularies spend about four bytes a token on English prose. Counting bytes rather
    than characters keeps the estimate usable for scripts with two or three bytes a character.
    """
    return math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN)


def estimate_prompt_tokens(request: ChatRequest) -> int:
    """The tokens of all messages, of the marks around each, and of those that open the answer."""
    contents = sum(
        estimate_tokens(message.content) + TOKENS_PER_MESSAGE for message in request.messages
    )
    return contents + TOKENS_PER_PROMPT
