"""A small corpus for whole runs."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from descriptors.sample import sample_corpus_path
from eval.evaluation_settings import EvaluationSettings
from indexer.engine import LocalEngine
from service.evaluated_run import EvaluatedRun
from service.finished_run import FinishedRun
from service.settings import RunSettings

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


@pytest.fixture(scope="session")
def small_settings(tiny_model: Callable[[str], Path]) -> RunSettings:
    """A run of seconds: part of the shipped corpus and a tiny model, which encodes it as well."""
    folder = str(tiny_model("bert"))
    return RunSettings.model_validate(
        {
            "corpus": "sample",
            "model": folder,
            "encoder": folder,
            "device": "cpu",
            "proposers": ("keyphrase",),
            "group_sources": ("embeddings",),
            "reading": {"limit": N_SENTENCES},
            "membership": {"false_discovery_rate": 0.9},
            "matching": {"null_quantile": 0.6, "minimum_discover": 3, "minimum_auroc": 0.5},
        }
    )


@pytest.fixture(scope="session")
def small_run(small_settings: RunSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of such a run; no test may change it."""
    from service.pipeline import run_pipeline

    out = tmp_path_factory.mktemp("small") / "run"
    run_pipeline(small_settings, out)
    return out


@pytest.fixture(scope="session")
def run_stages() -> tuple[str, ...]:
    """Every stage of a run with default protocols, in order, each protocol one of them."""
    from service.evaluation_stage import stage_name
    from service.pipeline import STAGES

    evaluated = STAGES.index("evaluate")
    parts = map(stage_name, EvaluationSettings().protocols)
    return (*STAGES[:evaluated], *parts, *STAGES[evaluated:])


@pytest.fixture
def evaluated_run(small_run: Path) -> EvaluatedRun:
    """The same as protocols see it."""
    finished = FinishedRun(small_run, "cpu")
    return EvaluatedRun(
        small_run,
        finished.settings,
        subject=lambda: finished.subject,
        encoder=lambda: finished.encoder,
        engine=LocalEngine(),
    )
