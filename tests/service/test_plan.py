"""A plan agrees with what a run really finds, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from descriptors.grouping_settings import GroupingSettings
from descriptors.groups import form_groups
from descriptors.records import Split
from descriptors.views import Space, WeightedView
from indexer.errors import InputError
from neurons.batching import tokenize
from neurons.reading import ExtractionSettings
from neurons.records import Site
from neurons.subject import SubjectModel
from service.plan import free_bytes, groups_at_most, plan_run
from service.plan_generation import Prices
from service.settings import RunSettings
from service.terminal import show_plan

NOUNS = ("battery", "phone", "screen", "case", "button", "charger", "sound", "price", "money")
QUALITIES = (
    "good",
    "bad and late",
    "not very loud at all",
    "broke",
    "slow again",
    "two weeks late",
    "fast",
    "quiet",
)
TEXTS = [f"the {noun} was {quality}." for noun in NOUNS for quality in QUALITIES]


@pytest.fixture
def settings(tmp_path: Path, tiny_model: Callable[[str], Path]) -> RunSettings:
    source = tmp_path / "texts.txt"
    source.write_text("\n".join([*TEXTS, "", "  "]), encoding="utf-8")
    return RunSettings(corpus=str(source), model=str(tiny_model("bert")), device="cpu")


def test_plan_counts_what_is_there(settings: RunSettings, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "mine"
    plan = plan_run(settings, out)
    subject = SubjectModel.load(settings.model, "cpu")
    tokens = sum(read.n_tokens for read in tokenize(subject, TEXTS, subject.maximum_tokens))
    assert plan.sentences == len(TEXTS)
    assert plan.sampled_sentences == len(TEXTS)
    assert plan.tokens == tokens
    assert sum(plan.splits.values()) == len(TEXTS)
    # Two layers of 48 FFN units and 32 hidden units.
    assert plan.neurons == 2 * (48 + 32)
    assert plan.activations_gb == pytest.approx(len(TEXTS) * 160 * 2 / 1e9)
    assert plan.embeddings_mb == pytest.approx(len(TEXTS) * 384 * 2 / 1e6)
    assert plan.lm_requests == 0
    assert 0 < plan.minutes.total < 1
    assert not out.parent.exists()


def test_an_lm_is_planned_with_the_groups_of_the_run(settings: RunSettings, tmp_path: Path) -> None:
    pytest.importorskip("openai")
    from service.pipeline import run_pipeline

    settings = settings.model_copy(update={"group_sources": ("embeddings",)})
    told = settings.model_copy(update={"proposers": ("openai:any", "keyphrase")})
    plan = plan_run(told, tmp_path / "x", prices=Prices(prompt=2.0, completion=10.0))
    asked, local = plan.proposers
    summary = run_pipeline(settings, tmp_path / "run", until="propose")
    assert asked.groups == local.groups == summary.results["propose"]["groups"]
    assert asked.lm is not None
    assert asked.lm.requests == plan.lm_requests == asked.groups
    assert asked.lm.completion_tokens <= asked.lm.completion_tokens_at_most
    cost = asked.lm.prompt_tokens * 2.0 + asked.lm.completion_tokens * 10.0
    assert asked.money == pytest.approx(cost / 1e6)
    assert asked.minutes is None
    assert plan.minutes.proposing is None
    assert local.lm is None
    assert local.minutes is not None
    assert not (tmp_path / "x").exists()


def test_sites_decide_neurons(settings: RunSettings, tmp_path: Path) -> None:
    only = settings.model_copy(update={"extraction": ExtractionSettings(sites=(Site.FFN,))})
    assert plan_run(only, tmp_path).neurons == 96


def test_tokens_are_extrapolated_from_the_sample(
    settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = plan_run(settings, tmp_path).tokens
    monkeypatch.setattr("service.plan.SAMPLE_SENTENCES", 15)
    sampled = plan_run(settings, tmp_path)
    assert sampled.sampled_sentences == 15
    assert sampled.tokens == pytest.approx(exact, rel=0.15)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"proposers": ("crystal-ball",)}, "what works: embedded, keyphrase, transformers:ID"),
        ({"model": "./nothing-here"}, "nothing-here"),
        ({"corpus": "./nothing.csv"}, "nothing.csv"),
    ],
)
def test_what_a_run_would_refuse_is_refused(
    settings: RunSettings, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        plan_run(settings.model_copy(update=change), tmp_path)


@pytest.mark.parametrize("n_discover", [100, 300, 1000])
@pytest.mark.parametrize("minimum_groups", [2, 48])
def test_groups_stay_within_their_bound(n_discover: int, minimum_groups: int) -> None:
    settings = GroupingSettings(minimum_group=2, minimum_groups=minimum_groups, restarts=1)
    random = np.random.default_rng(n_discover)
    vectors = random.standard_normal((n_discover + 20, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    grouping = form_groups(
        [Space((WeightedView("embeddings", vectors.__getitem__),))],
        np.arange(n_discover),
        np.arange(n_discover, n_discover + 20),
        settings,
        seed=0,
    )
    assert 0 < len(grouping.groups) <= groups_at_most(n_discover, settings)


def test_free_bytes_of_a_folder_yet_to_be_made(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "a" / "b") == pytest.approx(free_bytes(tmp_path), rel=0.05)


def test_plan_is_shown(
    settings: RunSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_run(settings, tmp_path)
    show_plan(plan)
    shown = capsys.readouterr().out
    assert f"{plan.splits[Split.DISCOVER]} discover" in shown
    assert f"about {plan.tokens}" in shown
