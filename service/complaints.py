"""What is wrong with settings, said in the words of the command line."""

from __future__ import annotations

from typing import Any

_OPTION_OF_SETTING = {
    "reading.mapping.text": "--text-field",
    "reading.mapping.id": "--id-field",
    "reading.mapping.labels": "--labels-field",
    "reading.mapping.document": "--document-field",
    "reading.seed": "--seed",
    "proposers": "--proposer",
    "group_sources": "--groups",
    "generation.prompts.focus": "--focus",
    "generation.prompts.style": "--prompt-style",
    "generation.prompts.seed": "--seed",
    "generation.sampling.seed": "--seed",
    "generation.openai.budget.max_requests": "--max-requests",
    "generation.openai.budget.max_tokens": "--max-tokens",
    "generation": "--lm-option",
    "extraction.sites": "--site",
    "lexical.seeds": "--lexical-seeds",
    "grouping.seed": "--grouping-seed",
    "evaluation.protocols": "--protocol",
}


def complaints(errors: list[Any]) -> list[str]:
    """One sentence for each wrong setting, under the name of its option.

    Args:
        errors: of a `pydantic.ValidationError` about `RunSettings`.
    """
    found = []
    # A list whose items were all refused is also called too short, which says nothing new.
    telling = [error for error in errors if error["type"] != "too_short"] or errors
    for error in telling:
        message = error["msg"].removeprefix("Value error, ")
        # Places in a list and kinds of a union are not part of a setting's name.
        names = [part for part in error["loc"] if isinstance(part, str)]
        if not names:
            # It is about several settings together, and names their options itself.
            found.append(message)
            continue
        setting = ".".join(names)
        fallback = "--" + names[-1].replace("_", "-")
        option = next(
            (name for known, name in _OPTION_OF_SETTING.items() if setting.startswith(known)),
            fallback,
        )
        if option == "--lm-option":
            option += " " + setting.removeprefix("generation.")
        found.append(f"{option}: found {error['input']!r}; {message}")
    return list(dict.fromkeys(found))
