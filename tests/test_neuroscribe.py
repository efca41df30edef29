"""The Python API, used as a reader of the README would: `import neuroscribe as ns`."""

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import neuroscribe as ns

SENTENCES = 240


@pytest.fixture(scope="module")
def settings(tiny_model: Callable[[str], Path]) -> ns.RunSettings:
    """A run of a second: the shipped corpus and a tiny model, which is its encoder as well."""
    folder = str(tiny_model("bert"))
    return ns.RunSettings.model_validate(
        {
            "corpus": "sample",
            "model": folder,
            "encoder": folder,
            "device": "cpu",
            "reading": {"limit": SENTENCES},
            "membership": {"false_discovery_rate": 0.9},
            "matching": {"null_quantile": 0.6, "minimum_discover": 3, "minimum_auroc": 0.5},
        }
    )


@pytest.fixture(scope="module")
def out(settings: ns.RunSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("api") / "run"
    summary = ns.run(settings, place)
    assert summary.complete
    assert summary.report == str(place / "report.html")
    assert list(summary.figures) == ns.read_evaluation(place)
    return place


def test_a_plan_tells_what_the_run_then_holds(settings: ns.RunSettings, out: Path) -> None:
    plan = ns.plan(settings, out.parent / "planned")
    assert not (out.parent / "planned").exists()
    corpus = ns.read_corpus(out / "corpus.parquet")
    assert plan.sentences == len(corpus)
    assert plan.texts == SENTENCES
    explained = ns.read_explanations(out / "explanations.parquet")
    assert 2 * plan.neurons == len(explained)


def test_the_files_of_a_run_can_be_read(settings: ns.RunSettings, out: Path) -> None:
    corpus = ns.read_corpus(out / "corpus.parquet")
    labels = ns.read_labels(out / "corpus.parquet")
    assert labels.facets == ("category", "sentiment", "stars", "theme")
    assert labels.membership.shape == (len(labels), len(corpus))
    kept = {
        each.id: each.text for each in ns.read_descriptors(out / "descriptors.parquet") if each.kept
    }
    matches = [
        match
        for each in ns.read_explanations(out / "explanations.parquet")
        for match in each.matches
    ]
    assert matches
    assert all(kept[match.descriptor_id] == match.descriptor for match in matches)
    run = ns.FinishedRun(out)
    assert run.settings == settings
    assert set(run.manifest.fingerprints) == {"corpus", "encoder", "model"}


def test_questions_are_answered(out: Path) -> None:
    run = ns.FinishedRun(out, device="cpu")
    described = next(
        each for each in ns.read_explanations(out / "explanations.parquet") if each.matches
    )
    neuron = ns.explain_neuron(run, described.neuron)
    assert neuron.neuron == described.neuron
    assert described.matches in [tail.matches for tail in neuron.tails]
    concept = ns.explain_concept(run, described.matches[0].descriptor)
    assert concept.descriptors[0].descriptor == described.matches[0].descriptor
    assert concept.descriptors[0].similarity == pytest.approx(1.0, abs=1e-3)
    assert concept.descriptors[0].n_neurons > 0
    text = ns.explain_text(run, "The battery was late again and the screen broke in two days.")
    assert text.n_described > 0
    assert all(each.z > 0 for each in text.firing)


def test_evaluating_and_reporting_again_gives_the_same(out: Path) -> None:
    figures = ns.read_evaluation(out)
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    assert ns.report(out) == out / "report.html"
    assert (out / "report.html").read_bytes() == page
    (out / "evaluation.json").unlink()
    assert ns.evaluate(out) == figures
    assert ns.read_evaluation(out) == figures
    assert (out / "report.html").read_bytes() == page
    assert ns.FinishedRun(out).manifest


def test_a_second_run_redoes_nothing(settings: ns.RunSettings, out: Path) -> None:
    assert ns.run(settings, out).recomputed == ()


def test_errors_can_be_caught_by_kind(settings: ns.RunSettings, out: Path, tmp_path: Path) -> None:
    assert issubclass(ns.InputError, ns.NeuroscribeError)
    assert issubclass(ns.RunError, ns.NeuroscribeError)
    assert issubclass(ns.BackendError, ns.NeuroscribeError)
    with pytest.raises(ns.InputError, match="belongs to another run"):
        ns.run(settings.model_copy(update={"seed": 4}), out)
    with pytest.raises(ns.InputError, match="not a run"):
        ns.FinishedRun(tmp_path)
    with pytest.raises(ns.InputError, match="no neuron"):
        ns.explain_neuron(ns.FinishedRun(out), "L7.ffn.1")
    ns.run(settings, tmp_path / "begun", until="corpus")
    for finished in (ns.FinishedRun, ns.evaluate, ns.report):
        with pytest.raises(ns.RunError, match="not complete"):
            finished(tmp_path / "begun")


def test_type_checkers_see_every_name_where_it_comes_from() -> None:
    """Names under TYPE_CHECKING and those loaded when used are written down twice."""
    tree = ast.parse(Path(inspect.getfile(ns)).read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        name.asname: f"{node.module}:{name.name}"
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert set(seen) == set(ns.__all__)
    for name, home in seen.items():
        found = getattr(ns, str(name))
        assert f"{found.__module__}:{found.__name__}" == home


@pytest.mark.parametrize("name", ["run", "plan", "evaluate", "report", "explain_neuron"])
def test_functions_say_what_they_take_and_give(name: str) -> None:
    function = getattr(ns, name)
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(each.annotation is not each.empty for each in signature.parameters.values())
    assert "Raises:" in (function.__doc__ or "")
