"""A small corpus for whole runs."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from descriptors.sample import sample_corpus_path

N_SENTENCES = 240
N_CATEGORIES = 4


def reviews() -> list[dict[str, Any]]:
    """Whole reviews of the shipped corpus about a few kinds of product, labels included."""
    lines = sample_corpus_path().read_text(encoding="utf-8").splitlines()
    documents: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        row = json.loads(line)
        documents[row["document"]].append(row)
    categories = Counter(_category(rows[0]) for rows in documents.values())
    wanted = {category for category, _ in categories.most_common(N_CATEGORIES)}
    chosen: list[dict[str, Any]] = []
    for rows in documents.values():
        if _category(rows[0]) in wanted and len(chosen) < N_SENTENCES:
            chosen += rows
    return chosen


def _category(row: dict[str, Any]) -> str:
    return next(label for label in row["labels"] if label.startswith("category:"))


@pytest.fixture(scope="session")
def review_rows() -> list[dict[str, Any]]:
    """Some 240 sentences with ids, documents and labels of four facets."""
    return reviews()


@pytest.fixture(scope="session")
def review_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a JSON Lines file."""
    path = tmp_path_factory.mktemp("corpus") / "reviews.jsonl"
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in reviews()]
    path.write_text("".join(lines), encoding="utf-8")
    return path
