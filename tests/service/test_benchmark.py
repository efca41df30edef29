"""Whole benchmarks on a tiny model: rows, resuming, failures, what is left on disk."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from eval.benchmark_records import RecoveryRow
from eval.evaluation_file import read_evaluation
from eval.matchers import MATCHER_NAMES, OURS, TRUE_LABELS
from eval.records import Figure
from indexer.errors import InputError, RunError
from service import benchmark_run
from service.benchmark import BenchmarkSummary, circumstances, run_benchmark
from service.benchmark_settings import BenchmarkSuite, checked_suite
from service.finished_run import FinishedRun
from service.folder_lock import lock_folder

N_TEXTS = 240
COMMAND = "neuroscribe benchmark --corpus sample"


@pytest.fixture(scope="session")
def suite(tiny_model: Callable[[str], Path]) -> BenchmarkSuite:
    """A corpus, a tiny random model, and two proposers that are one another's equals."""
    return told(tiny_model)


def told(tiny_model: Callable[[str], Path], **changes: Any) -> BenchmarkSuite:
    folder = str(tiny_model("bert"))
    asked: dict[str, Any] = {
        "corpora": [{"name": "reviews", "source": "sample", "limit": N_TEXTS}],
        "models": [folder],
        "encoder": folder,
        "proposers": ["keyphrase"],
        "protocols": [],
        "device": "cpu",
        "minimum_neurons": 1,
        "null_neurons": 10,
        "taus": [0.6, 0.9],
        "run": {
            "group_sources": ["embeddings"],
            "membership": {"false_discovery_rate": 0.9},
            "matching": {"null_quantile": 0.6, "minimum_discover": 3, "minimum_auroc": 0.5},
        },
    }
    return checked_suite(asked | changes, "suite")


@pytest.fixture(scope="session")
def done(
    suite: BenchmarkSuite, tmp_path_factory: pytest.TempPathFactory
) -> tuple[BenchmarkSummary, Path]:
    """A benchmark that is done, activations kept; no test may change it."""
    out = tmp_path_factory.mktemp("benchmark") / "out"
    return run_benchmark(suite, out, command=COMMAND, keep=True), out


def figures_at(rows: tuple[RecoveryRow, ...], matcher: str) -> dict[tuple[Any, ...], RecoveryRow]:
    return {
        (row.facet, row.site, row.tail, row.tau, row.k): row
        for row in rows
        if row.matcher == matcher
    }


def test_every_matcher_is_judged_on_the_same_neurons(done: tuple[BenchmarkSummary, Path]) -> None:
    rows = done[0].rows
    places = [set(figures_at(rows, matcher)) for matcher in MATCHER_NAMES]
    assert places[0]
    assert all(each == places[0] for each in places)
    for place, own in figures_at(rows, OURS).items():
        for matcher in MATCHER_NAMES:
            other = figures_at(rows, matcher)[place]
            assert (other.n, other.recall_ceiling) == (own.n, own.recall_ceiling)
            assert other.precision_upper == own.precision_upper
    assert any(row.n > 5 for row in rows)


def test_our_rows_are_those_of_the_evaluation(
    done: tuple[BenchmarkSummary, Path], suite: BenchmarkSuite
) -> None:
    folder = next((done[1] / "runs").iterdir())
    told = {
        (each.facet, each.variant, each.metric, each.k): each
        for each in read_evaluation(folder)
        if each.protocol == "label_recovery"
    }

    def figure(place: tuple[Any, ...], metric: str, reading: str = "") -> Figure:
        facet, site, tail, tau, k = place
        words = f"tau={tau:g} {reading} tail={tail} site={site}".replace("  ", " ")
        return told[(facet, words, metric, k)]

    for place, row in figures_at(done[0].rows, OURS).items():
        assert row.precision == figure(place, "P").value
        assert row.precision_null == figure(place, "P").null
        assert row.recall == figure(place, "R").value
        assert row.recall_upper == figure(place, "R", "upper_bound").value
    for place, row in figures_at(done[0].rows, TRUE_LABELS).items():
        assert row.precision == figure(place, "P", "upper_bound").value
        assert row.precision_low == figure(place, "P", "upper_bound").ci_low
    assert suite.taus == (0.6, 0.9)


def test_the_frequency_matcher_agrees_with_the_baseline(
    done: tuple[BenchmarkSummary, Path],
) -> None:
    ours = figures_at(done[0].rows, OURS)
    for place, row in figures_at(done[0].rows, "frequency").items():
        assert row.precision == ours[place].precision_baseline
        assert row.recall == ours[place].recall_baseline


def test_the_table_holds_all_rows(done: tuple[BenchmarkSummary, Path]) -> None:
    summary, out = done
    table = pq.read_table(out / "table.parquet").to_pylist()
    assert [RecoveryRow.model_validate(row) for row in table] == list(summary.rows)
    figures = pq.read_table(out / "figures.parquet").to_pylist()
    assert {row["corpus"] for row in figures} == {"reviews"}
    assert len(figures) == len(read_evaluation(next((out / "runs").iterdir())))


def test_pages_name_the_command_but_no_folder(
    done: tuple[BenchmarkSummary, Path], suite: BenchmarkSuite
) -> None:
    summary, out = done
    for path in (summary.results, summary.page):
        text = Path(path).read_text(encoding="utf-8")
        assert COMMAND in text
        assert str(out) not in text
        assert str(Path(suite.models[0]).parent) not in text
        assert Path(suite.models[0]).name in text


def test_the_run_is_an_ordinary_one(done: tuple[BenchmarkSummary, Path]) -> None:
    run = FinishedRun(next((done[1] / "runs").iterdir()), "cpu")
    (counted,) = done[0].runs
    assert counted.sentences == len(run.corpus)
    assert counted.neurons == run.store.n_neurons
    assert counted.descriptors == len(run.catalog)
    assert counted.described is not None
    assert 0.0 < counted.described <= 1.0


def test_a_repeat_takes_over_what_is_done(
    done: tuple[BenchmarkSummary, Path], suite: BenchmarkSuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a run that is done was done again")

    monkeypatch.setattr(benchmark_run.RunTask, "do", refuse)
    again = run_benchmark(suite, done[1], command=COMMAND, keep=True)
    assert again.reused == 1
    assert not again.runs[0].continued
    assert again.rows == done[0].rows
    assert again.runs == done[0].runs


def test_other_settings_are_another_key(
    suite: BenchmarkSuite, tiny_model: Callable[[str], Path]
) -> None:
    def key(told: BenchmarkSuite) -> str:
        return benchmark_run.RunTask(told, told.corpora[0], told.models[0], told.proposers[0]).key

    assert key(suite) == key(told(tiny_model))
    for changes in (
        {"matchers": ["ours"]},
        {"taus": [0.8]},
        {"seed": 1},
        {"rivals": {"n_exemplars": 9}},
        {"protocols": ["cosy"]},
        {"corpora": [{"name": "reviews", "source": "sample", "limit": 100}]},
    ):
        assert key(told(tiny_model, **changes)) != key(suite), changes
    # What only tables show does not matter.
    assert key(told(tiny_model, minimum_neurons=5)) == key(suite)


def test_another_content_of_a_file_is_another_key(
    tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    path = tmp_path / "texts.txt"
    told_of_file = told(tiny_model, corpora=[{"name": "texts", "source": str(path)}])
    task = benchmark_run.RunTask(
        told_of_file, told_of_file.corpora[0], told_of_file.models[0], "keyphrase"
    )
    path.write_text("one\n", encoding="utf-8")
    first = task.key
    path.write_text("two\n", encoding="utf-8")
    assert task.key != first


def test_failures_do_not_stop_the_others_and_are_tried_again(
    tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    bare = tmp_path / "bare.jsonl"
    lines = [json.dumps({"text": f"the {word} is good"}) for word in ("case", "cable", "screen")]
    bare.write_text("\n".join(lines * 20), encoding="utf-8")
    chosen = told(
        tiny_model,
        corpora=[
            {"name": "gone", "source": str(tmp_path / "gone.jsonl")},
            {"name": "reviews", "source": "sample", "limit": N_TEXTS},
        ],
        proposers=["keyphrase", "nobody"],
        matchers=["ours", "frequency"],
    )
    out = tmp_path / "out"
    summary = run_benchmark(chosen, out, command=COMMAND)
    reasons = {(run.corpus, run.proposer): run.reason for run in summary.runs}
    assert reasons[("reviews", "keyphrase")] == ""
    assert "does not exist" in reasons[("gone", "keyphrase")]
    assert "nobody" in reasons[("reviews", "nobody")]
    assert len(summary.failed) == 3
    assert str(tmp_path) not in " ".join(summary.failed)
    text = Path(summary.results).read_text(encoding="utf-8")
    assert "gone.jsonl does not exist" in text
    assert {row.corpus for row in summary.rows} == {"reviews"}
    # What takes room is gone; the run counts as one to resume.
    folder = next(path for path in (out / "runs").iterdir() if path.name.startswith("reviews"))
    assert not (folder / "activations").exists()
    assert (folder / "evaluation.json").is_file()
    with pytest.raises(RunError, match="not complete"):
        FinishedRun(folder)
    again = run_benchmark(chosen, out, command=COMMAND)
    assert (again.reused, len(again.failed)) == (1, 3)


def test_a_corpus_without_labels_is_left_out_with_the_reason(
    tiny_model: Callable[[str], Path], review_rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    bare = tmp_path / "bare.jsonl"
    lines = [json.dumps({"text": row["text"]}) + "\n" for row in review_rows]
    bare.write_text("".join(lines), encoding="utf-8")
    chosen = told(
        tiny_model,
        corpora=[{"name": "bare", "source": str(bare)}],
        matchers=["ours", "softwpmi"],
    )
    summary = run_benchmark(chosen, tmp_path / "out", command=COMMAND)
    assert summary.failed == ()
    assert summary.rows == ()
    text = Path(summary.results).read_text(encoding="utf-8")
    assert "no label" in text


def test_a_damaged_result_is_said(
    suite: BenchmarkSuite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(benchmark_run.RunTask, "do", _nothing)
    run_benchmark(suite, out, command=COMMAND)
    (path,) = (out / "results").iterdir()
    path.write_text('{"key": 3}', encoding="utf-8")
    (reason,) = run_benchmark(suite, out, command=COMMAND).failed
    assert "is damaged" in reason
    assert run_benchmark(suite, out, command=COMMAND, again=True).failed == ()


def _nothing(task: benchmark_run.RunTask, *_: object, **__: object) -> Any:
    return task.failed("").model_copy(update={"key": task.key})


def test_foreign_folders_and_a_second_benchmark_are_refused(
    suite: BenchmarkSuite, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "diary.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="holds files"):
        run_benchmark(suite, foreign, command=COMMAND)
    assert [path.name for path in foreign.iterdir()] == ["diary.txt"]
    busy = tmp_path / "busy"
    lock_folder(busy, "benchmark.json", set())
    with pytest.raises(RunError, match="another process is writing"):
        run_benchmark(suite, busy, command=COMMAND)


def test_circumstances_name_the_machine_by_its_parts_only() -> None:
    import platform

    found = circumstances("neuroscribe benchmark --out /home/someone/bench")
    assert found.command == "neuroscribe benchmark --out bench"
    assert found.cores >= 1
    assert found.memory_gb > 0
    assert found.processor
    assert platform.node() not in json.dumps(found.model_dump())
