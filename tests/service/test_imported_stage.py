"""Runs on activations from files of NeuroX instead of a model."""

import json
import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import InputError, RunError
from neurons.neurox import NeuroxSentence
from neurons.neurox_json import NeuroxJson
from neurons.records import LayerSite, Site
from neurons.store import ActivationStore
from service import cli
from service.evaluation import evaluate_run
from service.export import export_neurox
from service.finished_run import FinishedRun
from service.imported_stage import PREFIX, CheckedSource
from service.pipeline import report_run, run_pipeline
from service.plan import plan_run
from service.settings import RunSettings

pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.fixture(scope="module")
def activations(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `export --format neurox-json` writes; the tests of NeuroX files cover NeuroX's own."""
    path = tmp_path_factory.mktemp("neurox") / "acts.json"
    export_neurox(FinishedRun(small_run, "cpu"), path)
    return path


def settings_on(small_settings: RunSettings, activations: Path) -> RunSettings:
    sentences = activations.with_name("acts.sentences.txt")
    return RunSettings.model_validate(
        {
            **small_settings.model_dump(),
            "corpus": str(sentences),
            "model": f"{PREFIX}{activations}",
            "reading": {"segment": "none"},
        }
    )


@pytest.fixture(scope="module")
def settings(small_settings: RunSettings, activations: Path) -> RunSettings:
    return settings_on(small_settings, activations)


@pytest.fixture(scope="module")
def imported(
    settings: RunSettings,
    tmp_path_factory: pytest.TempPathFactory,
    run_stages: tuple[str, ...],
) -> Path:
    out = tmp_path_factory.mktemp("imported") / "run"
    summary = run_pipeline(settings, out)
    assert summary.complete
    assert summary.recomputed == run_stages
    return out


@pytest.fixture
def beside(activations: Path, tmp_path: Path) -> Path:
    """A copy of the file and its sentences, free to be changed."""
    for path in activations.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / activations.name


def test_the_store_holds_the_pooled_words_of_the_file(imported: Path, activations: Path) -> None:
    store = ActivationStore.open(imported / "activations")
    assert list(map(str, store.layer_sites)) == ["L0.hidden", "L1.hidden"]
    sentences = list(NeuroxJson.open(activations).sentences())
    assert store.n_sentences == len(sentences)
    for row in (0, 7, len(sentences) - 1):
        for layer in (0, 1):
            expected = sentences[row].activations[layer].max(axis=0).astype(np.float16)
            np.testing.assert_array_equal(store.array(LayerSite(layer, Site.HIDDEN))[row], expected)


def test_it_is_a_run_like_any_other(settings: RunSettings, imported: Path) -> None:
    run = FinishedRun(imported, "cpu")
    assert any(each.matches for each in run.explanations.values())
    assert run.neuron_groups.groups
    report = report_run(imported).read_bytes()
    assert b"acts.json" in report
    assert isinstance(evaluate_run(imported), list)
    assert run_pipeline(settings, imported).recomputed == ()


def test_resumes_to_the_same_bytes(settings: RunSettings, imported: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(imported, tmp_path / "run"))
    for name in ("extract", "match"):
        (copy / "stages" / f"{name}.json").unlink()
    (copy / "activations" / "L1.hidden.npy").write_bytes(b"cut")
    run_pipeline(settings, copy)
    for name in ("activations/L1.hidden.npy", "explanations.parquet", "exemplars.jsonl"):
        assert (copy / name).read_bytes() == (imported / name).read_bytes()


def test_questions_that_need_no_model_are_answered(
    imported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--run", str(imported), "--device", "cpu", "--json"]
    assert cli.run_command(["explain", "L1.hidden.3", *asked]) == 0
    answer = json.loads(capsys.readouterr().out)
    exemplars = answer["tails"][0]["exemplars"]
    assert exemplars
    assert all(each["tokens"] == [] and each["text"] for each in exemplars)
    assert cli.run_command(["explain", "L1.hidden.3", *asked[:-1]]) == 0
    assert "highest activation" in capsys.readouterr().out
    assert cli.run_command(["explain", "battery life", *asked]) == 0
    assert json.loads(capsys.readouterr().out)["descriptors"]


def test_questions_that_need_the_model_say_so(
    imported: Path, settings: RunSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run_command(["explain", "It broke.", "--run", str(imported)]) == 2
    assert "no model to read a text with" in capsys.readouterr().err
    out = tmp_path / "again.json"
    asked = ["export", str(imported), "--format", "neurox-json", "--out", str(out)]
    assert cli.run_command(asked) == 2
    assert "no model to read a text with" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no model to read a text with"):
        plan_run(settings, tmp_path / "run")


def test_sentences_must_be_those_of_the_file(
    small_settings: RunSettings, beside: Path, tmp_path: Path
) -> None:
    settings = settings_on(small_settings, beside)
    sentences = Path(settings.corpus)
    lines = sentences.read_text(encoding="utf-8").splitlines(keepends=True)
    sentences.write_text("".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(InputError, match=f"has {len(lines) - 1} sentences, .*has {len(lines)}"):
        run_pipeline(settings, tmp_path / "fewer")
    lines[2], lines[3] = lines[3], lines[2]
    sentences.write_text("".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match="sentence 2 of the corpus is"):
        run_pipeline(settings, tmp_path / "swapped")


def test_files_that_cannot_be_imported(
    small_settings: RunSettings, beside: Path, tmp_path: Path
) -> None:
    settings = settings_on(small_settings, beside)
    for model, said in (
        (f"{PREFIX}{tmp_path / 'missing.json'}", "there is no file"),
        (f"{PREFIX}{settings.corpus}", r"ends in \.hdf5 or \.json"),
    ):
        wrong = settings.model_copy(update={"model": model})
        with pytest.raises(InputError, match=said):
            run_pipeline(wrong, tmp_path / "run")
        assert not (tmp_path / "run" / "settings.json").exists()
    lines = beside.read_text(encoding="utf-8").splitlines(keepends=True)
    beside.write_text("".join([*lines[:5], lines[5][:200] + "\n", *lines[6:]]), encoding="utf-8")
    with pytest.raises(InputError, match="line 6"):
        run_pipeline(settings, tmp_path / "cut")


def test_a_file_that_changes_is_read_again(
    small_settings: RunSettings, beside: Path, tmp_path: Path
) -> None:
    settings = settings_on(small_settings, beside)
    out = tmp_path / "run"
    run_pipeline(settings, out)
    lines = beside.read_text(encoding="utf-8").splitlines(keepends=True)
    first = json.loads(lines[0])
    first["features"][0]["layers"][0]["values"][0] = 1000.0
    beside.write_text("".join([json.dumps(first) + "\n", *lines[1:]]), encoding="utf-8")
    assert "extract" in run_pipeline(settings, out).recomputed
    assert np.load(out / "activations" / "L0.hidden.npy")[0, 0] == 1000.0


def test_pooling_by_a_special_token_is_refused(settings: RunSettings, tmp_path: Path) -> None:
    changed = RunSettings.model_validate(
        {**settings.model_dump(), "extraction": {"pooling": "cls"}}
    )
    with pytest.raises(InputError, match="cls pooling"):
        run_pipeline(changed, tmp_path / "run")


def test_a_damaged_store_is_named(imported: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(imported, tmp_path / "run"))
    (copy / "activations" / "L1.hidden.npy").write_bytes(b"cut")
    with pytest.raises(RunError, match=r"L1\.hidden"):
        FinishedRun(copy, "cpu").store  # noqa: B018


@dataclass(frozen=True)
class Held:
    """Sentences in memory."""

    texts: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def sentences(self, first: int = 0) -> Generator[NeuroxSentence, None, None]:
        activations = np.zeros((1, 2, 3), dtype=np.float32)
        for row, text in enumerate(self.texts[first:], first):
            yield NeuroxSentence.from_text(row, text, activations)


def test_white_space_and_lost_texts_are_no_difference(
    imported: Path,
) -> None:
    corpus = FinishedRun(imported, "cpu").corpus
    words = [corpus.text(row).split() for row in range(3)]
    texts = ("  ".join(words[0]), None, " ".join(words[2]))
    checked = CheckedSource(Held(texts), corpus)
    assert len(checked) == 3
    assert [sentence.text for sentence in checked.sentences()] == list(texts)
    assert [sentence.index for sentence in checked.sentences(2)] == [2]
    with pytest.raises(InputError, match="sentence 1 of the corpus is"):
        list(CheckedSource(Held((None, *texts[:1])), corpus).sentences())
