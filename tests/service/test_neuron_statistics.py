"""Statistics of the neurons of a run: the file, what `explain` and `export` make of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from neurons.records import NeuronId
from neurons.statistics_file import STATISTICS_FILE
from neurons.statistics_records import QUANTILES, NeuronStatistics
from service.explain import explain_neuron
from service.exported_rows import neuron_rows
from service.finished_run import FinishedRun
from service.pipeline import run_pipeline
from service.settings import RunSettings
from service.terminal_explain import statistics_line

NEURON = "L1.ffn.7"


@pytest.fixture
def run(small_run: Path) -> FinishedRun:
    return FinishedRun(small_run, "cpu")


def test_the_statistics_are_those_of_the_store(run: FinishedRun) -> None:
    neuron = NeuronId.parse(NEURON)
    values = run.store.array(neuron.layer_site)[:, neuron.unit].astype(np.float64)
    found = explain_neuron(run, NEURON).statistics
    assert found is not None
    assert found.n_sentences == len(values) == len(run.corpus)
    assert found.mean == pytest.approx(values.mean())
    assert found.deviation == pytest.approx(values.std())
    assert found.quantiles == pytest.approx(np.quantile(values, QUANTILES).tolist())
    assert found.median == pytest.approx(np.median(values))
    assert [each.row for each in found.top_positive[:3]] == np.argsort(-values, kind="stable")[
        :3
    ].tolist()


def test_exported_neurons_have_their_distribution(run: FinishedRun) -> None:
    [row] = neuron_rows(run, lambda neuron: str(neuron) == NEURON)
    expected = explain_neuron(run, NEURON).statistics
    assert expected is not None
    assert (row.mean, row.median, row.maximum) == (expected.mean, expected.median, expected.maximum)


def test_an_older_run_is_explained_without_and_gets_them_by_one_stage(
    small_settings: RunSettings, small_run: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(small_run, old)
    (old / STATISTICS_FILE).unlink()
    assert explain_neuron(FinishedRun(old, "cpu"), NEURON).statistics is None
    [row] = neuron_rows(FinishedRun(old, "cpu"), lambda neuron: str(neuron) == NEURON)
    assert row.mean is None
    (old / "stages" / "statistics.json").unlink()
    assert run_pipeline(small_settings, old).recomputed == ("statistics",)
    assert (old / STATISTICS_FILE).read_bytes() == (small_run / STATISTICS_FILE).read_bytes()


def test_the_distribution_in_words() -> None:
    found = NeuronStatistics(
        neuron=NEURON,
        n_sentences=1200,
        mean=0.5,
        deviation=1.0,
        skewness=0.1,
        excess_kurtosis=2.0,
        minimum=-0.17,
        maximum=8.125,
        zero_share=0.0,
        positive_share=0.254,
        quantiles=(-0.16, -0.15, -0.1, 0.0, 0.25, 1.0, 2.0, 3.5, 8.0),
        constant=False,
        top_positive=(),
        top_negative=(),
    )
    assert statistics_line(found) == (
        "activation on 1,200 sentences: median 0.25, 98% between -0.15 and 3.5, extremes -0.17 "
        "and 8.12; above 0 on 25%"
    )
    dead = found.model_copy(update={"constant": True, "mean": 0.0})
    assert statistics_line(dead) == "activation: 0 on all 1,200 sentences"
