"""What the LMs of a run took, as the manifest keeps it in the result of the propose stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from descriptors.lm_proposer import GenerationUsage
    from descriptors.proposer import Proposer

USAGE = "generation"
"""The key in the result of the propose stage."""


def usage_result(proposers: Sequence[Proposer]) -> dict[str, Any]:
    """The usage of every proposer that asked an LM, by its name, ready for JSON."""
    from descriptors.lm_proposer import LMProposer

    return {
        proposer.name: proposer.usage.model_dump(mode="json")
        for proposer in proposers
        if isinstance(proposer, LMProposer)
    }


def read_usage(propose_result: Any) -> dict[str, GenerationUsage]:
    """The usage by proposer that a propose stage's result holds; empty where no LM was asked.

    Raises:
        RunError: what it holds was written by another version.
    """
    from pydantic import ValidationError

    from descriptors.lm_proposer import GenerationUsage
    from indexer.errors import RunError

    try:
        return {
            name: GenerationUsage.model_validate(usage)
            for name, usage in (propose_result or {}).get(USAGE, {}).items()
        }
    except ValidationError as error:
        raise RunError(
            f"the run's record of what its LMs took is damaged: {error.error_count()} fields are "
            "not as written; run into another --out"
        ) from error
