"""The stage that asks what words alone give."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.lexical import LexicalControl, LexicalSettings, read_lexical
from indexer.engine import LocalEngine
from neurons.auroc import auroc
from neurons.extraction import extract
from neurons.matching import TAILS
from neurons.random_weights import with_random_weights
from neurons.records import LayerSite, Site
from neurons.store import ActivationStore
from service.evaluated_run import EvaluatedRun
from service.imported_stage import PREFIX
from service.lexical_stage import LEXICAL, SCRATCH, LexicalStage
from service.run_directory import RunDirectory
from service.settings import RunSettings

pytestmark = pytest.mark.usefixtures("one_torch_thread")

TWO = LexicalSettings(seeds=2)


@pytest.fixture
def opened(small_run: Path, tmp_path: Path) -> Iterator[Callable[..., LexicalStage]]:
    """Opens the stages of a copy of the small run without what this stage has left there.

    Settings and engine may be others.
    """
    out = Path(shutil.copytree(small_run, tmp_path / "run"))
    (out / LEXICAL).unlink(missing_ok=True)
    directories: list[RunDirectory] = []

    def stages(settings: RunSettings, engine: Any = None) -> LexicalStage:
        for directory in directories:
            directory.close()
        directories.append(RunDirectory.create(out))
        return LexicalStage(directories[-1], settings, False, engine)

    yield stages
    for directory in directories:
        directory.close()


class Interrupted(Exception):
    """Stands for a kill while activations are read."""


class FailingEngine(LocalEngine):
    """Stops after some windows of the first extraction."""

    in_process = False

    def __init__(self, n_windows: int) -> None:
        self._left = n_windows

    def map(self, work: Any, resource: Any, portions: Iterable[Any]) -> Iterator[Any]:
        for answer in super().map(work, resource, portions):
            if not self._left:
                raise Interrupted
            self._left -= 1
            yield answer


def test_it_holds_what_random_models_reach(
    opened: Callable[..., LexicalStage], small_settings: RunSettings, evaluated_run: EvaluatedRun
) -> None:
    stages = opened(small_settings)
    stages.measure_lexical(TWO)
    out = stages.run.path
    record = read_lexical(out / LEXICAL)
    places = [(each.control, each.seed, each.place) for each in record.samples]
    assert places == [
        (LexicalControl.RANDOM_WEIGHTS, seed, (place, tail))
        for seed in (0, 1)
        for place in evaluated_run.store.layer_sites
        for tail in TAILS
    ]
    assert {len(each.best) for each in record.samples} == {32, 48}
    assert not (out / SCRATCH).exists()
    assert stages.run.stages()["lexical"].result["samples"] == len(record.samples)

    # The same, from the model itself: each value is the AUROC on test of some descriptor.
    random = with_random_weights(evaluated_run.subject, 1)
    folder = out.parent / "random"
    extract(random, evaluated_run.corpus, folder, small_settings.extraction, "key")
    place = LayerSite(1, Site.FFN)
    rows = evaluated_run.split_rows.test
    areas = auroc(
        np.asarray(ActivationStore.open(folder).array(place))[rows],
        evaluated_run.membership[:, rows],
    )
    best = {each.place[1]: each.best for each in record.samples if each.place[0] == place}
    for tail, sign in zip(TAILS, (1.0, -1.0), strict=True):
        for unit, value in enumerate(best[tail]):
            own = 0.5 + sign * (areas[:, unit] - 0.5)
            assert value is not None
            assert np.nanmin(np.abs(own - value)) < 1e-6
            assert value <= np.nanmax(own) + 1e-6


def test_it_is_done_once_and_again_for_other_settings(
    opened: Callable[..., LexicalStage], small_settings: RunSettings
) -> None:
    opened(small_settings).measure_lexical(LexicalSettings())
    stages = opened(small_settings)
    before = (stages.run.path / LEXICAL).read_bytes()
    stages.measure_lexical(LexicalSettings())
    assert stages.run.reused == ["lexical"]
    stages.measure_lexical(LexicalSettings(directions=True))
    assert stages.run.recomputed == ["lexical"]
    record = read_lexical(stages.run.path / LEXICAL)
    controls = [each.control for each in record.samples]
    assert controls == sorted(controls, reverse=True)
    assert set(controls) == set(LexicalControl)
    stages.measure_lexical(LexicalSettings())
    assert (stages.run.path / LEXICAL).read_bytes() == before


def test_an_interrupted_one_goes_on_to_the_same_bytes(
    opened: Callable[..., LexicalStage], small_settings: RunSettings
) -> None:
    extraction = small_settings.extraction.model_copy(update={"window_sentences": 60})
    settings = small_settings.model_copy(update={"extraction": extraction})
    stages = opened(settings)
    stages.measure_lexical(TWO)
    expected = (stages.run.path / LEXICAL).read_bytes()
    (stages.run.path / LEXICAL).unlink()

    stages = opened(settings, FailingEngine(2))
    with pytest.raises(Interrupted):
        stages.measure_lexical(TWO)
    left = stages.run.path / SCRATCH / "random_weights-0" / "journal.json"
    assert '"windows_done": 2' in left.read_text() or '"windows_done": 1' in left.read_text()
    stages = opened(settings)
    stages.measure_lexical(TWO)
    assert (stages.run.path / LEXICAL).read_bytes() == expected
    assert not (stages.run.path / SCRATCH).exists()


def test_imported_activations_have_no_model_to_compare_with(
    opened: Callable[..., LexicalStage], small_settings: RunSettings
) -> None:
    stages = opened(small_settings.model_copy(update={"model": f"{PREFIX}acts.json"}))
    stages.measure_lexical(LexicalSettings())
    record = read_lexical(stages.run.path / LEXICAL)
    assert record.samples == ()
    assert "acts.json, and there is no model whose weights could be drawn anew" in record.reason


def test_it_can_be_left_out(
    opened: Callable[..., LexicalStage], small_settings: RunSettings
) -> None:
    stages = opened(small_settings)
    stages.measure_lexical(LexicalSettings(seeds=0))
    assert "read no random-weight model" in read_lexical(stages.run.path / LEXICAL).reason


def test_descriptors_too_small_to_judge_are_told_of(
    opened: Callable[..., LexicalStage], small_settings: RunSettings
) -> None:
    matching = small_settings.matching.model_copy(update={"minimum_discover": 10_000})
    stages = opened(small_settings.model_copy(update={"matching": matching}))
    stages.measure_lexical(LexicalSettings())
    record = read_lexical(stages.run.path / LEXICAL)
    assert "descriptors has enough sentences in every split" in record.reason
