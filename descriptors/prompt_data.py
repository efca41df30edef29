"""How corpus text is put into a prompt: as JSON strings that it cannot leave.

A sentence may hold anything, orders to the LM and a chat template's control tokens among them.
JSON encoding keeps it inside its quotes; `<` and `[` are written as JSON escapes wherever a control
token could begin (`<|im_start|>`, `</s>`, `<start_of_turn>`, `[INST]`), so that no tokenizer finds
one, while whoever parses the JSON gets the sentence back unchanged.
"""

from __future__ import annotations

import json
import re
from typing import Any

_CONTROL_TOKEN_START = re.compile(r"<|\[(?=/?\w+\])")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def shown_text(text: str, maximum_characters: int) -> str:
    """The form in which a text is shown to an LM: single spaces, valid Unicode, shortened.

    A text that is too long ends in `…` and has `maximum_characters` at most.
    """
    clean = " ".join(_LONE_SURROGATE.sub("\ufffd", text).split())
    if len(clean) <= maximum_characters:
        return clean
    return clean[: maximum_characters - 1].rstrip() + "…"


def as_json(content: Any, *, one_item_per_line: bool = False) -> str:
    """`content` as JSON in which no control token can stand."""
    indent = 1 if one_item_per_line else None
    return without_control_tokens(json.dumps(content, ensure_ascii=False, indent=indent))


def without_control_tokens(text: str) -> str:
    """`text` with the first character of anything like a control token as its JSON escape."""
    return _CONTROL_TOKEN_START.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
