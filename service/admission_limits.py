"""How large the numbers of a job may be: what a job costs must not be for its author to choose.

Every number of `RunSettings` is bounded, here or by its own field; a test holds this table against
the settings. The bounds are far above what a sensible run asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from indexer.errors import InputError

MAXIMUM_ITEMS = 50
"""Items of any list of settings."""

MAXIMUM_TEXT_CHARACTERS = 300
"""Characters of any setting that is text."""

LARGEST_SEED = 2**32 - 1

LIMITS: Mapping[str, float] = {
    "reading.limit": 10**9,
    "grouping.n_components": 4096,
    "grouping.minimum_group": 10_000,
    "grouping.mean_group": 10_000,
    "grouping.minimum_groups": 4096,
    "grouping.maximum_groups": 4096,
    "grouping.maximum_parts": 4096,
    "grouping.standard_errors": 100,
    "grouping.repeats": 20,
    "grouping.restarts": 20,
    "grouping.part_restarts": 20,
    "grouping.maximum_sentences": 200_000,
    "grouping.contrast_groups": 64,
    "grouping.contrast_per_group": 100,
    "grouping.neurons_weight": 1000,
    "grouping.focus_weight": 1000,
    "generation.prompts.n_sentences": 200,
    "generation.prompts.n_contrast": 200,
    "generation.prompts.maximum_characters": 10_000,
    "generation.prompts.n_paper_sentences": 50,
    "generation.sampling.maximum_completion_tokens": 8192,
    "generation.openai.concurrency": 64,
    "generation.openai.timeout_seconds": 3600,
    "generation.openai.maximum_retries": 20,
    "generation.openai.budget.max_requests": 10**9,
    "generation.openai.budget.max_tokens": 10**12,
    "generation.transformers.batch_size": 256,
    "generation.transformers.maximum_prompt_tokens": 10**6,
    "generation.vllm.tensor_parallel_size": 8,
    "generation.vllm.pipeline_parallel_size": 8,
    "generation.vllm.max_model_len": 10**6,
    "generation.tokens_per_second": 10**9,
    "extraction.token_budget": 10**6,
    "extraction.window_sentences": 65_536,
    "extraction.maximum_tokens": 10**5,
    "matching.matches": 50,
    "matching.candidates": 1000,
    "matching.standard_errors": 100,
    "matching.null_neurons": 16_384,
    "matching.null_repeats": 64,
    "matching.minimum_discover": 10**6,
    "matching.minimum_held_out": 10**6,
    "lexical.seeds": 10,
    "evaluation.label_recovery.ks": 1000,
    "evaluation.label_recovery.taus": 1,
    "evaluation.label_recovery.layer_ks": 1000,
    "evaluation.label_recovery.minimum_positives": 10**6,
    "evaluation.label_recovery.concept_units": 10_000,
    "evaluation.label_recovery.coverages": 1,
    "evaluation.label_recovery.coverage_taus": 1,
    "evaluation.controls.repeats": 50,
    "evaluation.controls.minimum_neurons": 10**6,
    "evaluation.observational.k": 50,
    "evaluation.observational.minimum_members": 10**6,
    "evaluation.observational.minimum_neurons": 10**6,
    "evaluation.observational.nearest_sizes": 1000,
    "evaluation.stability.repeats": 50,
    "evaluation.stability.k": 50,
    "evaluation.stability.neurons": 100_000,
    "evaluation.stability.minimum_neurons": 10**6,
    "evaluation.stability.fewest_exemplars": 10**5,
    "evaluation.polysemanticity.k": 50,
    "evaluation.polysemanticity.neurons": 100_000,
    "evaluation.polysemanticity.analysed_neurons": 100_000,
    "evaluation.polysemanticity.minimum_neurons": 10**6,
    "evaluation.polysemanticity.fewest_exemplars": 10**5,
    "evaluation.polysemanticity.nearest_sizes": 1000,
    "evaluation.polysemanticity.groups.maximum_groups": 100,
    "evaluation.polysemanticity.groups.shuffles": 1000,
    "evaluation.polysemanticity.joint.maximum_descriptors": 50,
    "evaluation.polysemanticity.joint.standard_errors": 100,
    "evaluation.polysemanticity.joint.minimum_discover": 10**6,
    "evaluation.polysemanticity.joint.minimum_validation": 10**6,
    "evaluation.polysemanticity.joint.shuffles": 1000,
    "evaluation.planted.units": 10_000,
    "evaluation.planted.strengths": 1000,
    "evaluation.planted.number_shares": 1,
    "evaluation.planted.minimum_positives": 10**6,
    "evaluation.planted.ks": 1000,
    "evaluation.planted_model.units": 1000,
    "evaluation.planted_model.minimum_positives": 10**6,
    "evaluation.planted_model.fitted_positives": 10**5,
    "evaluation.planted_model.fitted_others": 10**5,
    "evaluation.planted_model.natural_units": 10**5,
    "evaluation.judges.neurons": 10_000,
    "evaluation.judges.texts": 1000,
    "evaluation.judges.pool": 100_000,
    "evaluation.judges.swaps": 50,
    "evaluation.cosy.k": 50,
    "evaluation.cosy.concept_texts": 10_000,
    "evaluation.cosy.control_texts": 100_000,
    "evaluation.cosy.neurons": 100_000,
    "evaluation.cosy.minimum_neurons": 10**6,
    "evaluation.cosy.nearest_sizes": 1000,
    "evaluation.causal.neurons": 10_000,
    "evaluation.causal.sentences": 1000,
    "evaluation.causal.strengths": 1000,
    "evaluation.causal.controls": 100,
    "evaluation.causal.directions": 100,
    "evaluation.causal.target_sentences": 10_000,
    "evaluation.causal.other_sentences": 100_000,
    "evaluation.causal.moment_sentences": 100_000,
}
"""The largest value of a setting, or of each item where it is a list, by its dotted name."""


def leaves(settings: BaseModel, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting that is no record itself, by its dotted name."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def check_sizes(settings: BaseModel) -> None:
    """Check the size of every number, text and list.

    Raises:
        InputError: one is larger than this service allows; the message names the setting.
    """
    for name, value in leaves(settings):
        items = value if isinstance(value, tuple) else (value,)
        if len(items) > MAXIMUM_ITEMS:
            raise InputError(
                f"{name}: found {len(items)} items; this service allows at most {MAXIMUM_ITEMS}"
            )
        for item in items:
            _check_size(name, item)


def _check_size(name: str, item: Any) -> None:
    if isinstance(item, str) and len(item) > MAXIMUM_TEXT_CHARACTERS:
        raise InputError(
            f"{name}: found {len(item):,} characters; this service allows at most "
            f"{MAXIMUM_TEXT_CHARACTERS}"
        )
    if not isinstance(item, int | float) or isinstance(item, bool):
        return
    limit = LARGEST_SEED if name.split(".")[-1] == "seed" else LIMITS.get(name)
    if limit is not None and not abs(item) <= limit:
        raise InputError(f"{name}: found {item:g}; this service allows at most {limit:,}")
