"""The sample corpus that is shipped with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

SAMPLE = "sample"
"""The source that stands for the shipped corpus."""


def sample_corpus_path() -> Path:
    """Where the shipped corpus of product reviews lies, as JSON Lines."""
    return Path(str(files("descriptors") / "sample_data" / "reviews.jsonl"))


def resolve_source(source: str) -> str:
    """The path for `sample`; any other source as it is."""
    return str(sample_corpus_path()) if source == SAMPLE else source
