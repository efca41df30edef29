"""How the options about generative LMs become settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from indexer.errors import InputError

if TYPE_CHECKING:
    from service.options import RunOptions

_OWN_OPTION = {
    "prompts.focus": "--focus",
    "prompts.style": "--prompt-style",
    "prompts.seed": "--seed",
    "sampling.seed": "--seed",
    "openai.budget.max_requests": "--max-requests",
    "openai.budget.max_tokens": "--max-tokens",
}


def generation_asked(options: RunOptions) -> dict[str, Any]:
    """The settings of generative LMs that `options` ask for, nested, yet to be validated.

    Raises:
        InputError: an `--lm-option` is not KEY=VALUE, names no setting, or is given twice.
    """
    given: dict[str, Any] = {
        "prompts.focus": options.focus,
        "prompts.style": options.prompt_style,
        "prompts.seed": options.seed,
        "sampling.seed": options.seed,
        "openai.budget.max_requests": options.max_requests,
        "openai.budget.max_tokens": options.max_tokens,
    }
    for written in options.lm_option or ():
        key, value = _read(written)
        if key in given:
            raise InputError(f"--lm-option {key} is given twice, the second time as {written!r}")
        given[key] = value
    nested: dict[str, Any] = {}
    for key, value in given.items():
        *outer, last = key.split(".")
        place = nested
        for name in outer:
            place = place.setdefault(name, {})
        place[last] = value
    return nested


def _read(written: str) -> tuple[str, Any]:
    from descriptors.generation_settings import setting_names

    key, separator, value = written.partition("=")
    key = key.strip()
    if not separator:
        raise InputError(f"--lm-option: found {written!r}, expected KEY=VALUE (sampling.top_p=0.9)")
    if key in _OWN_OPTION:
        raise InputError(f"--lm-option: {key} has an option of its own, {_OWN_OPTION[key]}")
    names = [name for name in setting_names() if name not in _OWN_OPTION]
    if key not in names:
        raise InputError(f"--lm-option: found no setting {key!r}; there are {', '.join(names)}")
    return key, _value(value)


def _value(written: str) -> Any:
    """Numbers, true, false, null, lists and objects are written as in JSON; all else is text."""
    try:
        return json.loads(written)
    except ValueError:
        return written
