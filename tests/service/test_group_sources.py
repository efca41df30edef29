"""Groups from neurons and from a focus, in runs of a tiny model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service import cli
from service.pipeline import STAGES

pytestmark = pytest.mark.slow

FOCUS = ("--focus", "whether the customer is satisfied")
VIEWS = ("embedding", "neuron", "focus")
OPTIONS = ("--device", "cpu", "--proposer", "keyphrase", "--quiet", "--json")


@pytest.fixture(scope="module")
def build(review_corpus: Path, tiny_model: Callable[[str], Path]) -> Callable[..., Path]:
    """Give a command its corpus and models; the folder it wrote."""

    def run(out: Path, *arguments: str) -> Path:
        folder = str(tiny_model("bert"))
        told = ("--corpus", str(review_corpus), "--model", folder, "--encoder", folder)
        command = arguments[:2] if arguments[0] == "catalog" else arguments[:1]
        options = arguments[len(command) :]
        assert cli.run_command([*command, *told, "--out", str(out), *OPTIONS, *options]) == 0
        return out

    return run


def groups_of(out: Path) -> list[dict[str, object]]:
    lines = (out / "proposals" / "groups.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def compared_groupings(out: Path) -> list[dict[str, Any]]:
    stage = json.loads((out / "stages" / "propose.json").read_text("utf-8"))
    found: list[dict[str, Any]] = stage["result"]["compared_groupings"]
    return found


def stages_of(out: Path) -> set[str]:
    return {path.stem for path in (out / "stages").glob("*.json")}


def test_neurons_and_focus_each_form_groups_of_their_own(
    build: Callable[..., Path], tmp_path: Path
) -> None:
    by_text = build(tmp_path / "text", "catalog", "build", "--groups", "embeddings")
    by_neurons = build(tmp_path / "neurons", "catalog", "build", "--groups", "neurons")
    by_both = build(
        tmp_path / "both", "catalog", "build", "--groups", "embeddings", "--groups", "neurons"
    )
    focused = build(tmp_path / "focus", "catalog", "build", "--groups", "embeddings", *FOCUS)
    catalog = set(STAGES[: STAGES.index("catalog") + 1])
    # Only groups of neurons need activations before there is a catalog.
    for out, needed in ((by_text, False), (by_neurons, True), (by_both, True), (focused, False)):
        assert stages_of(out) == (catalog if needed else catalog - {"extract"})
        assert (out / "activations").exists() == needed
    compared = compared_groupings(by_both)
    assert [each["spaces"] for each in compared] == [
        ["embedding", "embedding_and_neuron"],
        ["embedding"],
    ]
    by_all, by_text_alone = compared
    followed = by_all["correlation"] > by_text_alone["correlation"]
    together = [{"embedding"}, {"embedding", "neuron"}] if followed else [{"embedding"}]
    for out, spaces in (
        (by_text, [{"embedding"}]),
        (by_neurons, [{"neuron"}]),
        (by_both, together),
        (focused, [{"embedding", "focus"}]),
    ):
        assert bool(compared_groupings(out)) == (out is by_both)
        sources = {str(group["source"]) for group in groups_of(out)}
        found = [{view for view in VIEWS if view in source} for source in sources]
        assert all(space in found for space in spaces)
        assert all(each in spaces for each in found)


def test_a_run_with_groups_of_neurons_and_a_focus_goes_on_from_its_catalog(
    build: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run_stages: tuple[str, ...],
) -> None:
    sources = ("--groups", "neurons", *FOCUS)
    out = build(tmp_path / "run", "catalog", "build", *sources)
    capsys.readouterr()
    build(out, "run", *sources)
    summary = json.loads(capsys.readouterr().out)
    upto = STAGES[: STAGES.index("catalog") + 1]
    assert tuple(summary["reused"]) == upto
    assert tuple(summary["recomputed"]) == run_stages[len(upto) :]
    assert (out / "report.html").is_file()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["settings"]["group_sources"] == ["neurons"]
    assert manifest["stages"]["propose"]["inputs"]["focus"] == FOCUS[1]


def test_another_grouping_seed_forms_other_groups_of_what_was_read_before(
    build: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run_stages: tuple[str, ...],
) -> None:
    sources = ("--groups", "embeddings", "--groups", "neurons")
    out = build(tmp_path / "run", "run", *sources)
    corpus, groups = (out / "corpus.parquet").read_bytes(), groups_of(out)
    capsys.readouterr()
    build(out, "run", *sources, "--grouping-seed", "1", "--update")
    recomputed = json.loads(capsys.readouterr().out)["recomputed"]
    read = {"corpus", "embed", "index", "extract"} & set(run_stages)
    assert read
    assert not read & set(recomputed)
    assert "propose" in recomputed
    assert (out / "corpus.parquet").read_bytes() == corpus
    assert groups_of(out) != groups
