"""The controls of a finished run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from eval.controls import ControlSettings, goal, holds
from eval.lexical import LEXICAL_FILE, LexicalControl, LexicalSettings, write_lexical
from eval.null_distributions import DISTRIBUTIONS_FILE, OBSERVED, read_distributions
from eval.null_memberships import NullKind
from eval.records import Figure
from indexer.engine import LocalEngine
from neurons.rank_arithmetic import NUMPY_RANKS
from neurons.records import LayerSite, Site
from service.controls_protocol import figures
from service.evaluated_run import EvaluatedRun
from service.finished_run import FinishedRun
from service.imported_stage import PREFIX
from service.lexical_stage import LexicalTask, lexical_record
from service.pipeline import run_pipeline
from service.settings import RunSettings

pytestmark = pytest.mark.usefixtures("one_torch_thread")


def evaluated(out: Path, settings: RunSettings | None = None) -> EvaluatedRun:
    finished = FinishedRun(out, "cpu")
    return EvaluatedRun(
        out,
        settings or finished.settings,
        subject=lambda: finished.subject,
        encoder=lambda: finished.encoder,
        engine=LocalEngine(),
    )


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> EvaluatedRun:
    """A copy of the small run that a test may write into."""
    return evaluated(Path(shutil.copytree(small_run, tmp_path / "run")))


def one(found: list[Figure], variant: str, metric: str) -> Figure:
    own = [each for each in found if (each.variant, each.metric) == (variant, metric)]
    assert len(own) == 1, (variant, metric)
    return own[0]


def with_baseline(run: EvaluatedRun) -> None:
    settings = run.settings
    task = LexicalTask(
        run.corpus,
        run.corpus.fingerprint,
        settings.extraction,
        run.membership,
        run.handicaps,
        run.split_rows,
        settings.matching,
        settings.seed,
        run.watched("lexical baseline"),
        NUMPY_RANKS,
        run.engine,
    )
    record = lexical_record(run.subject, task, LexicalSettings(), run.path / "scratch")
    write_lexical(run.path / LEXICAL_FILE, record)


def test_nulls_and_baseline_of_a_run(run: EvaluatedRun) -> None:
    with_baseline(run)
    found = figures(run, ControlSettings())
    described = {
        tail: np.array([bool(run.explanations[(neuron, tail)].matches) for neuron in run.neurons])
        for _, tail in run.explanations
    }
    for kind in NullKind:
        for tail, own in described.items():
            is_ffn = np.array([neuron.site is Site.FFN for neuron in run.neurons])
            figure = one(found, f"{kind} tail={tail} site=ffn", "described")
            assert figure.baseline == pytest.approx(own[is_ffn].mean())
            assert figure.n == is_ffn.sum()
        figure = one(found, f"{kind} q=0.05", "false_discovery_share")
        assert goal(figure) == 0.05
    learned = one(found, "random_weights", "learned")
    assert learned.n == sum(own.sum() for own in described.values())
    assert learned.value is not None
    assert learned.null == pytest.approx(0.05, abs=0.06)
    record = read_distributions(run.path)
    assert [each.control for each in record.calibrations] == [OBSERVED, *NullKind]
    assert figures(run, ControlSettings()) == found


def test_a_run_without_its_baseline_says_so(run: EvaluatedRun) -> None:
    (run.path / LEXICAL_FILE).unlink(missing_ok=True)
    found = figures(run, ControlSettings())
    refused = [figure for figure in found if figure.reason]
    assert [figure.variant for figure in refused] == ["random_weights"]
    assert f"no {LEXICAL_FILE}" in refused[0].reason


def test_a_run_with_nothing_to_match_is_refused(small_run: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(small_run, tmp_path / "run"))
    settings = FinishedRun(out, "cpu").settings
    matching = settings.matching.model_copy(update={"minimum_discover": 10_000})
    found = figures(
        evaluated(out, settings.model_copy(update={"matching": matching})), ControlSettings()
    )
    assert [figure.variant for figure in found] == [*NullKind, LexicalControl.RANDOM_WEIGHTS]
    assert all("enough sentences in every split" in figure.reason for figure in found)
    assert read_distributions(out).reason == found[0].reason
    assert (out / DISTRIBUTIONS_FILE).exists()


N_UNITS = 120


@pytest.mark.slow
def test_the_whole_pipeline_describes_nothing_where_nothing_is_there(tmp_path: Path) -> None:
    """Two runs on activations from a file, also used to form groups: real ones and permuted."""
    settings = RunSettings.model_validate(
        {
            "corpus": "sample",
            "device": "cpu",
            "proposers": ("keyphrase",),
            "extraction": {"sites": ("hidden",)},
        }
    )
    run_pipeline(settings, tmp_path / "trained", until="extract")
    run = EvaluatedRun(
        tmp_path / "trained",
        settings,
        subject=lambda: pytest.fail("no model is needed"),
        encoder=lambda: pytest.fail("no encoder is needed"),
        engine=LocalEngine(),
    )
    units = np.asarray(run.store.array(LayerSite(5, Site.HIDDEN))[:, :N_UNITS], dtype=np.float64)
    order = np.random.default_rng(0).permutation(len(units))
    shares = {}
    for name, activations in (("real", units), ("permuted", units[order])):
        folder = tmp_path / name
        folder.mkdir()
        sentences = _write_neurox(folder, run, activations)
        imported = {
            **settings.model_dump(),
            "corpus": str(sentences),
            "model": f"{PREFIX}{folder / 'acts.json'}",
            "reading": {"segment": "none"},
        }
        run_pipeline(RunSettings.model_validate(imported), folder / "run")
        explanations = evaluated(folder / "run").explanations
        described = {neuron for (neuron, _), each in explanations.items() if each.matches}
        shares[name] = len(described) / N_UNITS
    assert shares["real"] > 0.15
    assert shares["permuted"] <= 0.05


def _write_neurox(folder: Path, run: EvaluatedRun, activations: np.ndarray) -> Path:
    """A file of NeuroX in which every sentence has one activation, at each of its words."""
    lines = []
    for row, values in enumerate(activations.tolist()):
        layers = [{"index": 0, "values": values}]
        words = run.corpus.text(row).split()
        features = [{"token": word, "layers": layers} for word in words]
        lines.append(json.dumps({"linex_index": row, "features": features}) + "\n")
    (folder / "acts.json").write_text("".join(lines), encoding="utf-8")
    sentences = folder / "acts.sentences.txt"
    texts = (" ".join(run.corpus.text(row).split()) for row in range(len(activations)))
    sentences.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return sentences


def test_only_nulls_hold_or_not(run: EvaluatedRun) -> None:
    found = figures(run, ControlSettings(levels=(0.1,)))
    assert {holds(each) for each in found if each.variant == "random_weights"} == {None}
    nulls = [each for each in found if each.metric == "false_discovery_share"]
    assert [each.variant for each in nulls] == [f"{kind} q=0.1" for kind in NullKind]
