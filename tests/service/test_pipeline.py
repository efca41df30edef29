"""A whole run of the bundled model, its files opened by other readers than the ones under test."""

import json
import random
import re
import shutil
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_matrix, load_npz
from sklearn.metrics import roc_auc_score

from eval.evaluation_file import read_evaluation
from eval.evaluation_settings import EvaluationSettings
from indexer.errors import InputError, RunError
from service.evaluation import evaluate_run
from service.pipeline import STAGES, RunSummary, report_run, run_pipeline
from service.settings import RunSettings

CORPUS_COLUMNS = ["id", "text", "labels", "document", "split"]
DESCRIPTOR_COLUMNS = [
    "id",
    "text",
    "proposer",
    "group",
    "support",
    "kept",
    "reason",
    "locked",
    "renamed_from",
    "handicap",
]
EXPLANATION_COLUMNS = [
    "neuron",
    "tail",
    "rank",
    "descriptor_id",
    "descriptor",
    "auroc",
    "ci_low",
    "ci_high",
    "q",
    "exemplar_z",
    "reason",
]
FIGURE_KEYS = {
    "protocol",
    "variant",
    "metric",
    "k",
    "split",
    "facet",
    "value",
    "ci_low",
    "ci_high",
    "null",
    "baseline",
    "n",
    "reason",
}
UNITS = {"ffn": 1536, "hidden": 384}
# Files that may differ when only labels do: they hold labels, or what was found with them.
LABELLED = {
    "corpus.parquet",
    "evaluation.json",
    "manifest.json",
    "report.html",
    "settings.json",
    "stages/corpus.json",
    "stages/evaluate.json",
    "stages/evaluate-label_recovery.json",
    "stages/report.json",
    "evaluation/label_recovery.json",
}
MATCHING = {"null_quantile": 0.8, "minimum_discover": 3, "minimum_auroc": 0.6}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_torch_thread")]


def settings_for(corpus: Path, **changes: Any) -> RunSettings:
    """Lenient where few sentences leave little evidence, so that there is something to compare.

    With some seeds 120 sentences make groups that next to no neuron tells apart; not with this.
    """
    return RunSettings.model_validate(
        {
            "corpus": str(corpus),
            "device": "cpu",
            "seed": 2,
            "proposers": ("keyphrase",),
            "group_sources": ("embeddings",),
            "membership": {"false_discovery_rate": 0.9},
            "extraction": {"window_sentences": 50},
            "matching": MATCHING,
            **changes,
        }
    )


@dataclass(frozen=True)
class Finished:
    """A finished run that no test may change."""

    out: Path
    settings: RunSettings
    summary: RunSummary


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, review_corpus: Path) -> Finished:
    out = tmp_path_factory.mktemp("whole") / "run"
    settings = settings_for(review_corpus)
    return Finished(out, settings, run_pipeline(settings, out))


@pytest.fixture
def copied(done: Finished, tmp_path: Path) -> Path:
    """The finished run, free to be changed."""
    return Path(shutil.copytree(done.out, tmp_path / "copy"))


def contents(out: Path) -> dict[str, bytes]:
    """Every file but those that may differ between two runs."""
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in files.items()
        if name not in {"timings.json", ".lock"}
    }


def corpus_of(out: Path) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pq.read_table(out / "corpus.parquet").to_pydict()
    return columns


def explanations_of(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(out / "explanations.parquet").to_pylist()
    return rows


def kept_of(out: Path) -> list[dict[str, Any]]:
    return [row for row in pq.read_table(out / "descriptors.parquet").to_pylist() if row["kept"]]


def membership_of(out: Path) -> csr_matrix:
    return csr_matrix(load_npz(out / "membership.npz"))


def without_extract(stages: tuple[str, ...]) -> tuple[str, ...]:
    """The stages of a catalog whose groups come from sentences alone."""
    return tuple(stage for stage in stages if stage != "extract")


def layer_site_of(neuron: str) -> tuple[str, int]:
    layer_site, _, unit = neuron.rpartition(".")
    return layer_site, int(unit)


def test_the_run_holds_the_files_of_the_design_and_nothing_half_written(
    done: Finished, run_stages: tuple[str, ...]
) -> None:
    found = set(contents(done.out))
    sites = {f"activations/L{layer}.{site}.npy" for layer in range(6) for site in UNITS}
    assert found == {
        "manifest.json",
        "corpus.parquet",
        "index/embeddings.npy",
        "index/sentences.faiss",
        "index/manifest.json",
        "index/whitening.safetensors",
        "index/vectors.npy",
        "activations/journal.json",
        "activations/manifest.json",
        *sites,
        "descriptors.parquet",
        "membership.npz",
        "explanations.parquet",
        "neuron_groups.json",
        "neurons.parquet",
        "evaluation.json",
        "report.html",
        "proposals/groups.jsonl",
        "proposals/proposals.jsonl",
        "exemplars.jsonl",
        "settings.json",
        *(f"stages/{name}.json" for name in run_stages),
        *(f"evaluation/{name}.json" for name in EvaluationSettings().protocols),
        "lexical.json",
        "null_distributions.json",
    }
    assert {path.name for path in done.out.iterdir() if path.name.startswith(".")} == {".lock"}


def test_the_summary_says_what_was_done(done: Finished, run_stages: tuple[str, ...]) -> None:
    summary = done.summary
    assert summary.complete
    assert summary.recomputed == run_stages
    assert summary.reused == ()
    assert tuple(summary.results) == STAGES
    assert summary.report == str(done.out / "report.html")
    assert [figure.model_dump() for figure in summary.figures] == json.loads(
        (done.out / "evaluation.json").read_text()
    )


def test_corpus_has_its_columns_and_splits_by_document(
    done: Finished, review_rows: list[dict[str, Any]]
) -> None:
    corpus = corpus_of(done.out)
    assert list(corpus) == CORPUS_COLUMNS
    assert corpus["text"] == [row["text"] for row in review_rows]
    assert corpus["labels"] == [row["labels"] for row in review_rows]
    assert corpus["document"] == [row["document"] for row in review_rows]
    assert set(corpus["split"]) == {"discover", "validation", "test"}
    splits_of = {}
    for document, split in zip(corpus["document"], corpus["split"], strict=True):
        assert splits_of.setdefault(document, split) == split
    counted = done.summary.results["corpus"]["split_counts"]
    assert counted == {name: corpus["split"].count(name) for name in counted}


def test_embeddings_are_half_precision_unit_vectors_of_every_sentence(done: Finished) -> None:
    embeddings = np.load(done.out / "index" / "embeddings.npy", allow_pickle=False)
    assert embeddings.dtype == np.float16
    assert embeddings.shape == (len(corpus_of(done.out)["id"]), 384)
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=2e-3)


def test_activations_have_a_row_a_sentence_and_a_column_a_unit(done: Finished) -> None:
    n_sentences = len(corpus_of(done.out)["id"])
    for layer in range(6):
        for site, units in UNITS.items():
            path = done.out / "activations" / f"L{layer}.{site}.npy"
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            assert array.dtype == np.float16
            assert array.shape == (n_sentences, units)
            assert np.isfinite(array).all()
    # GELU has a lower bound, which a maximum over tokens keeps.
    assert np.load(done.out / "activations" / "L0.ffn.npy").min() >= -0.2


def test_catalog_and_membership_fit_together(done: Finished) -> None:
    table = pq.read_table(done.out / "descriptors.parquet")
    assert table.column_names == DESCRIPTOR_COLUMNS
    rows = table.to_pylist()
    assert len({row["id"] for row in rows}) == len(rows)
    assert all((row["reason"] == "") == row["kept"] for row in rows)
    kept = kept_of(done.out)
    corpus = corpus_of(done.out)
    assert len(kept) >= 2
    assert all(corpus["split"][place] == "discover" for row in kept for place in row["support"])
    membership = membership_of(done.out)
    assert membership.shape == (len(kept), len(corpus["id"]))
    assert membership.data.min() > 0.0
    assert membership.data.max() <= 1.0
    counted = done.summary.results["catalog"]
    assert counted["kept"] == len(kept)
    assert sum(counted["rejections"].values()) == len(rows) - len(kept)


def test_every_tail_is_explained_or_abstains_with_a_reason(done: Finished) -> None:
    table = pq.read_table(done.out / "explanations.parquet")
    assert table.column_names == EXPLANATION_COLUMNS
    rows = table.to_pylist()
    addresses = list(dict.fromkeys((row["neuron"], row["tail"]) for row in rows))
    assert addresses == [
        (f"L{layer}.{site}.{unit}", tail)
        for layer in range(6)
        for site, units in UNITS.items()
        for unit in range(units)
        for tail in "+-"
    ]
    names = {row["id"]: row["text"] for row in kept_of(done.out)}
    described = [row for row in rows if row["rank"] is not None]
    assert len(described) > 20
    for row in described:
        assert names[row["descriptor_id"]] == row["descriptor"]
        assert row["reason"] is None
        assert 0.0 <= row["ci_low"] <= row["auroc"] <= row["ci_high"] <= 1.0
        assert 0.0 <= row["q"] <= 0.05
    ranks: dict[tuple[str, str], list[int]] = {}
    for row in described:
        ranks.setdefault((row["neuron"], row["tail"]), []).append(row["rank"])
    assert all(own == list(range(1, len(own) + 1)) for own in ranks.values())
    abstaining = [row for row in rows if row["rank"] is None]
    assert len(ranks) + len(abstaining) == len(addresses)
    for row in abstaining:
        assert row["reason"] in {
            "dead",
            "no_descriptor_beats_null",
            "effect_too_small",
            "not_replicated_on_validation",
        }
        assert all(row[name] is None for name in EXPLANATION_COLUMNS[2:10])
    counted = done.summary.results["match"]
    assert counted["neurons"] == 11_520
    assert counted["described_positive"] + counted["described_negative"] == len(ranks)


def test_reported_auroc_is_that_of_test_rows(done: Finished) -> None:
    test = np.flatnonzero(np.array(corpus_of(done.out)["split"]) == "test")
    places = {row["id"]: place for place, row in enumerate(kept_of(done.out))}
    members = membership_of(done.out).toarray() > 0
    described = [row for row in explanations_of(done.out) if row["rank"] is not None]
    tails = set()
    for row in random.Random(0).sample(described, 20):
        layer_site, unit = layer_site_of(row["neuron"])
        activations = np.load(done.out / "activations" / f"{layer_site}.npy")[test, unit]
        towards = activations.astype(np.float64) * (1 if row["tail"] == "+" else -1)
        expected = roc_auc_score(members[places[row["descriptor_id"]], test], towards)
        assert row["auroc"] == pytest.approx(expected, abs=1e-12)
        tails.add(row["tail"])
    assert tails == {"+", "-"}


def test_exemplars_are_the_strongest_sentences_of_described_tails(done: Finished) -> None:
    described = {
        (row["neuron"], row["tail"]) for row in explanations_of(done.out) if row["rank"] is not None
    }
    shown = [json.loads(line) for line in (done.out / "exemplars.jsonl").read_text().splitlines()]
    assert shown
    for tail in shown:
        assert (tail["neuron"], tail["tail"]) in described
        layer_site, unit = layer_site_of(tail["neuron"])
        column = np.load(done.out / "activations" / f"{layer_site}.npy")[:, unit]
        towards = column.astype(np.float64) * (1 if tail["tail"] == "+" else -1)
        found = [exemplar["activation"] for exemplar in tail["exemplars"]]
        assert found == sorted(found, reverse=tail["tail"] == "+")
        np.testing.assert_array_equal(np.abs(found), np.abs(np.sort(towards)[::-1][: len(found)]))
        texts = corpus_of(done.out)["text"]
        for exemplar in tail["exemplars"]:
            assert all(
                0 <= token["start"] < token["end"] <= len(texts[exemplar["row"]])
                for token in exemplar["tokens"]
            )


def test_evaluation_names_split_facet_and_interval_of_every_figure(done: Finished) -> None:
    figures = json.loads((done.out / "evaluation.json").read_text())
    assert isinstance(figures, list)
    assert all(set(figure) == FIGURE_KEYS for figure in figures)
    assert {figure["protocol"] for figure in figures} == set(EvaluationSettings().protocols)
    splits = {figure["split"] for figure in figures}
    assert splits <= {"test", "validation", "discover", "discover+validation"}
    recovered = [figure for figure in figures if figure["protocol"] == "label_recovery"]
    assert {figure["facet"] for figure in recovered} == {"category", "sentiment", "stars", "theme"}
    assert {figure["k"] for figure in recovered} <= {None, 1, 2, 5, 50}
    for figure in figures:
        if figure["ci_low"] is not None:
            assert figure["ci_low"] <= figure["value"] <= figure["ci_high"]


class _Links(HTMLParser):
    """Whatever a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        names = {"script": "src", "img": "src", "link": "href", "iframe": "src"}
        self.fetched += [value or "" for name, value in attrs if name == names.get(tag)]


def test_the_report_fetches_nothing(done: Finished) -> None:
    page = (done.out / "report.html").read_text(encoding="utf-8")
    links = _Links()
    links.feed(page)
    assert "h1" in links.tags
    assert [link for link in links.fetched if not link.startswith("data:")] == []
    assert not re.search(r"url\(\s*['\"]?https?:", page)


def test_the_manifest_holds_settings_seeds_versions_and_stages(
    done: Finished, run_stages: tuple[str, ...]
) -> None:
    manifest = json.loads((done.out / "manifest.json").read_text())
    assert RunSettings.model_validate(manifest["settings"]) == done.settings
    assert manifest["seeds"] == {"run": 2}
    assert set(manifest["stages"]) == set(run_stages)
    assert set(manifest["fingerprints"]) == {"corpus", "encoder", "model"}
    assert {"python", "neuroscribe", "torch", "transformers", "numpy"} <= set(manifest["versions"])
    assert manifest["stages"]["match"]["inputs"]["matching"]["null_quantile"] == 0.8
    assert manifest["stages"]["corpus"]["result"]["documents"] > 20


def test_nothing_in_a_run_says_where_it_lies(done: Finished) -> None:
    for name, content in contents(done.out).items():
        assert str(done.out.parent).encode() not in content, name


def test_a_second_run_reuses_every_stage_and_every_byte(
    done: Finished, run_stages: tuple[str, ...]
) -> None:
    before = contents(done.out)
    again = run_pipeline(done.settings, done.out)
    assert (again.reused, again.recomputed) == (run_stages, ())
    assert again.results == done.summary.results
    assert again.figures == done.summary.figures
    assert contents(done.out) == before


def test_another_matching_setting_redoes_only_what_depends_on_it(
    done: Finished, copied: Path, run_stages: tuple[str, ...]
) -> None:
    stricter = settings_for(
        Path(done.settings.corpus), matching={**MATCHING, "minimum_auroc": 0.85}
    )
    found = run_pipeline(stricter, copied)
    assert found.reused == STAGES[: STAGES.index("match")]
    assert found.recomputed == run_stages[STAGES.index("match") :]
    counts = [each.results["match"]["described_positive"] for each in (found, done.summary)]
    assert counts[0] < counts[1]
    back = run_pipeline(done.settings, copied)
    assert back.reused == found.reused
    assert contents(copied) == contents(done.out)


def test_until_catalog_stops_there_and_the_run_goes_on_from_it(
    done: Finished, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    first = run_pipeline(done.settings, out, until="catalog")
    upto = without_extract(STAGES[: STAGES.index("catalog") + 1])
    assert not first.complete
    assert first.report is None
    assert first.figures == ()
    assert tuple(first.results) == first.recomputed == upto
    assert not (out / "activations").exists()
    assert not (out / "manifest.json").exists()
    with pytest.raises(RunError, match="not complete"):
        evaluate_run(out)
    assert run_pipeline(done.settings, out).reused == upto
    assert contents(out) == contents(done.out)


def test_until_does_not_tell_results_of_other_settings(done: Finished, copied: Path) -> None:
    """What a finished run holds beyond the last stage was found with the settings before."""
    other = settings_for(Path(done.settings.corpus), membership={"false_discovery_rate": 0.5})
    found = run_pipeline(other, copied, until="catalog")
    assert set(found.results) == set(without_extract(STAGES[: STAGES.index("catalog") + 1]))
    assert found.figures == ()


def test_an_unknown_stage_is_refused(done: Finished, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'lunch' is no stage; stages are corpus, embed"):
        run_pipeline(done.settings, tmp_path / "run", until="lunch")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("labelling", ["permuted", "removed"])
def test_labels_never_reach_the_pipeline(
    done: Finished,
    copied: Path,
    tmp_path: Path,
    review_rows: list[dict[str, Any]],
    run_stages: tuple[str, ...],
    labelling: str,
) -> None:
    labels = [row["labels"] for row in review_rows]
    if labelling == "permuted":
        random.Random(1).shuffle(labels)
        rows = [{**row, "labels": own} for row, own in zip(review_rows, labels, strict=True)]
    else:
        rows = [{name: row[name] for name in ("id", "document", "text")} for row in review_rows]
    source = tmp_path / "other.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / "run"
    afresh = run_pipeline(settings_for(source), out)
    assert afresh.recomputed == run_stages
    if labelling == "removed":
        assert afresh.results["evaluate"]["labels"] == 0
        figures = read_evaluation(out)
        recovered = [each for each in figures if each.protocol == "label_recovery"]
        assert [each.metric for each in recovered] == ["refused"]
        assert "no labels" in recovered[0].reason
    before, after = contents(done.out), contents(out)
    assert set(before) == set(after)
    differing = {name for name in before if before[name] != after[name]}
    assert differing <= LABELLED
    assert {"corpus.parquet", "evaluation.json"} <= differing
    for name in ("id", "text", "document", "split"):
        assert corpus_of(out)[name] == corpus_of(done.out)[name]
    # Nor does it cost a run anything but its evaluation when labels come later.
    updated = run_pipeline(settings_for(source), copied, update=True)
    assert updated.recomputed == ("corpus", "evaluate-label_recovery", "evaluate", "report")
    assert contents(copied) == after


def test_evaluate_and_report_are_done_again_to_the_same_bytes(done: Finished, copied: Path) -> None:
    times = {
        name: (copied / name).stat().st_mtime_ns for name in ("evaluation.json", "report.html")
    }
    assert report_run(copied) == copied / "report.html"
    assert (copied / "report.html").stat().st_mtime_ns > times["report.html"]
    assert (copied / "evaluation.json").stat().st_mtime_ns == times["evaluation.json"]
    assert tuple(evaluate_run(copied, again=True)) == done.summary.figures
    assert (copied / "evaluation.json").stat().st_mtime_ns > times["evaluation.json"]
    assert contents(copied) == contents(done.out)


def test_bad_input_to_a_finished_run_harms_nothing(
    done: Finished, copied: Path, tmp_path: Path, run_stages: tuple[str, ...]
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    before = contents(copied)
    for change in (
        {"proposers": ("crystal-ball",)},
        {"encoder": "./nothing-here"},
        {"model": "./nothing-here"},
        {"corpus": str(empty)},
        {"reading": {"mapping": {"text": "body"}}},
        {"reading": {"limit": 5}},
    ):
        wrong = RunSettings.model_validate({**done.settings.model_dump(), **change})
        with pytest.raises(InputError):
            run_pipeline(wrong, copied, update=True)
        assert contents(copied) == before
    assert run_pipeline(done.settings, copied).reused == run_stages


def test_a_corpus_that_has_become_unusable_harms_nothing(
    review_corpus: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copy(review_corpus, tmp_path))
    settings = settings_for(source)
    out = tmp_path / "run"
    run_pipeline(settings, out, until="index")
    before = contents(out)
    whole = source.read_bytes()
    source.write_bytes(whole + b'{"id": "new", "text": "caf\xe9"}\n')
    with pytest.raises(InputError, match="0xe9"):
        run_pipeline(settings, out, until="index")
    assert contents(out) == before
    source.write_bytes(whole)
    assert run_pipeline(settings, out, until="index").recomputed == ()
