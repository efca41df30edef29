"""How groups of sentences are formed."""

from __future__ import annotations

from pydantic import Field

from indexer.records import Record


class GroupingSettings(Record):
    """How groups are formed; sizes are in sentences.

    `neurons_weight` and `focus_weight` are the lengths of these views beside the embedding's 1.
    The number of clusters is the smallest whose silhouette is within `standard_errors` of the best.
    `repeats` clusterings of each space and granularity vote on which clusters are stable, each the
    best of `restarts`, or of `part_restarts` where only parts of groups come from it. Clusters
    below `minimum_stability` become groups only while less than `coverage` of the sentences is in a
    group, and parts of groups while there are fewer than `minimum_groups`. A group's handicap is
    `instability_handicap` times what its stability lacks to 1. Up to `maximum_parts` more,
    whose stability among clusterings as fine as they are is `minimum_stability`, have
    `part_handicap`. Another `seed` starts the clusterings elsewhere, and leaves the splits and all
    else to the seed of the run.
    """

    n_components: int = Field(default=128, ge=2)
    whitening_power: float = Field(default=0.5, ge=0.0, le=1.0)
    minimum_group: int = Field(default=8, ge=2)
    mean_group: int = Field(default=12, ge=2)
    minimum_groups: int = Field(default=48, ge=2)
    maximum_groups: int = Field(default=512, ge=2)
    standard_errors: float = Field(default=2.0, ge=0.0)
    repeats: int = Field(default=3, ge=2)
    restarts: int = Field(default=3, ge=1)
    part_restarts: int = Field(default=1, ge=1)
    minimum_stability: float = Field(default=0.5, ge=0.0, le=1.0)
    maximum_parts: int = Field(default=256, ge=0)
    instability_handicap: float = Field(default=0.1, ge=0.0, le=0.5)
    part_handicap: float = Field(default=0.15, ge=0.0, le=0.5)
    coverage: float = Field(default=0.8, ge=0.0, le=1.0)
    maximum_overlap: float = Field(default=0.5, gt=0.0, le=1.0)
    maximum_sentences: int = Field(default=20_000, ge=100)
    contrast_groups: int = Field(default=4, ge=1)
    contrast_per_group: int = Field(default=5, ge=1)
    seed: int = Field(default=0, ge=0)
    neurons_weight: float = Field(default=0.75, gt=0.0)
    focus_weight: float = Field(default=1.5, gt=0.0)
