"""A prepared plan and its pilot come true in the run that goes on from them."""

import json
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from descriptors.lm_forecast import CountedBy, LMForecast
from descriptors.lm_proposer import GenerationUsage
from indexer.errors import BackendError, InputError
from service import cli
from service.generation_usage import read_usage
from service.pipeline import run_pipeline
from service.plan import Plan, plan_run
from service.settings import RunSettings
from service.terminal import show_plan
from tests.descriptors.lm_fixtures import (
    MODEL,
    Asked,
    ChatServer,
    Reply,
    chat_server,
    completion,
    failure,
)

pytest.importorskip("openai")

PROPOSER = f"openai:{MODEL}"
PILOT = 12
FREE = ("corpus", "embed", "index", "extract")
PHRASES = ("late parcel", "loud sound", "poor battery", "kind staff", "wrong size")


def number(text: str) -> int:
    """Always the same number for a text, spread evenly."""
    return zlib.crc32(text.encode())


def answer(asked: Asked) -> Reply:
    """Phrases in words of their own; prompts count three characters a token."""
    drawn = number(asked.text)
    named = [PHRASES[(drawn + place) % len(PHRASES)] for place in range(1 + drawn % 3)]
    said = json.dumps({"descriptors": named})
    return Reply(body=completion(said, usage=counted(asked, said)))


class Turns:
    """The place of each text in the order in which they are first asked about."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    def of(self, text: str) -> int:
        with self._lock:
            return self._places.setdefault(text, len(self._places))


def counted(asked: Asked, said: str) -> dict[str, int]:
    written = sum(len(message["content"]) for message in asked.body["messages"])
    return {"prompt_tokens": written // 3, "completion_tokens": len(said) // 2}


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server(answer) as running:
        yield running


@pytest.fixture(scope="module")
def settings_for(
    review_corpus: Path, tiny_model: Callable[[str], Path]
) -> Callable[..., RunSettings]:
    """Settings of a run whose LM is at a server; `more` of the settings of that back end."""

    def build(server: ChatServer, **more: Any) -> RunSettings:
        folder = str(tiny_model("bert"))
        return RunSettings.model_validate(
            {
                "corpus": str(review_corpus),
                "model": folder,
                "encoder": folder,
                "device": "cpu",
                "proposers": (PROPOSER, "keyphrase"),
                # Groups enough for a pilot to be a part of them.
                "grouping": {"mean_group": 3, "minimum_group": 2},
                "generation": {"openai": {"base_url": server.base_url, **more}},
            }
        )

    return build


def forecast_of(plan: Plan) -> LMForecast:
    lm = plan.proposers[0].lm
    assert lm is not None
    return lm


def usage_of(settings: RunSettings, out: Path) -> tuple[GenerationUsage, tuple[str, ...], Any]:
    """What the LM of a run took, the stages it reused, and what its propose stage found."""
    summary = run_pipeline(settings, out, until="propose")
    found = summary.results["propose"]
    return read_usage(found)[PROPOSER], summary.reused, found


def test_a_pilot_foretells_what_the_run_takes(
    settings_for: Callable[..., RunSettings], server: ChatServer, tmp_path: Path
) -> None:
    settings = settings_for(server)
    plan = plan_run(settings, tmp_path, pilot=PILOT)
    sent, forecast = len(server.asked), forecast_of(plan)
    assert sent == forecast.answered_from_store == PILOT
    assert forecast.counted_by is CountedBy.STORED_ANSWERS
    usage, reused, found = usage_of(settings, tmp_path)
    assert reused == FREE
    assert plan.proposers[0].groups == found["groups"] > 2 * PILOT
    assert len(server.asked) - sent == forecast.requests
    assert usage.requests == forecast.whole.requests == found["groups"]
    assert usage.prompt_tokens == pytest.approx(forecast.whole.prompt_tokens, rel=0.2)
    assert usage.completion_tokens == pytest.approx(forecast.whole.completion_tokens, rel=0.2)


def test_second_attempts_are_foreseen(
    settings_for: Callable[..., RunSettings], tmp_path: Path
) -> None:
    turns = Turns()

    def answer_badly_at_times(asked: Asked) -> Reply:
        """Every third first answer has no phrase."""
        if "cannot be used" not in asked.text and turns.of(asked.text) % 3 == 0:
            return Reply(body=completion("I am not sure.", usage=counted(asked, "I am not sure.")))
        return answer(asked)

    with chat_server(answer_badly_at_times) as server:
        settings = settings_for(server)
        plan = plan_run(settings, tmp_path, pilot=PILOT)
        pilot, forecast = plan.proposers[0].pilot, forecast_of(plan)
        assert pilot is not None
        assert pilot.usage.retried > 0
        assert pilot.usage.requests == len(server.asked) == PILOT + pilot.usage.retried
        usage, *_ = usage_of(settings, tmp_path)
        assert len(server.asked) == usage.requests
    assert usage.retried > pilot.usage.retried
    assert usage.requests == pytest.approx(forecast.whole.requests, rel=0.2)
    assert usage.prompt_tokens == pytest.approx(forecast.whole.prompt_tokens, rel=0.2)
    assert usage.completion_tokens == pytest.approx(forecast.whole.completion_tokens, rel=0.2)


def test_a_plan_without_a_pilot_knows_the_groups_and_asks_nobody(
    settings_for: Callable[..., RunSettings], server: ChatServer, tmp_path: Path
) -> None:
    focused = settings_for(server).model_copy(update={"group_sources": ("embeddings",)})
    prompts = focused.generation.prompts.model_copy(update={"focus": "how fast it came"})
    generation = focused.generation.model_copy(update={"prompts": prompts})
    focused = focused.model_copy(update={"generation": generation})
    plan = plan_run(focused, tmp_path, prepare=True)
    assert server.asked == []
    assert plan.minutes.embeddings == 0 < plan.minutes.activations
    # Activations take no part in these groups.
    assert not (tmp_path / "activations").exists()
    usage, reused, found = usage_of(focused, tmp_path)
    assert reused == FREE[:3]
    assert forecast_of(plan).requests == usage.requests == found["groups"]


def test_a_second_plan_does_nothing_twice(
    settings_for: Callable[..., RunSettings], server: ChatServer, tmp_path: Path
) -> None:
    settings = settings_for(server)
    first = plan_run(settings, tmp_path, pilot=3)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("stages/*.json")}
    assert {path.stem for path in written} == set(FREE)
    again = plan_run(settings, tmp_path, pilot=3)
    assert len(server.asked) == 3
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("stages/*.json")} == written
    assert forecast_of(again) == forecast_of(first)
    assert again.proposers[0].pilot is not None
    assert again.proposers[0].pilot.sent == 0


def test_a_plan_leaves_a_finished_run_finished(
    settings_for: Callable[..., RunSettings], server: ChatServer, tmp_path: Path
) -> None:
    settings = settings_for(server)
    run_pipeline(settings.model_copy(update={"proposers": ("keyphrase",)}), tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    assert forecast_of(plan_run(settings, tmp_path, pilot=2)).answered_from_store == 2
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_budget_holds_in_a_pilot(
    settings_for: Callable[..., RunSettings], server: ChatServer, tmp_path: Path
) -> None:
    settings = settings_for(server, budget={"max_requests": 5})
    with pytest.raises(BackendError, match=r"max_requests 5.*Every answer so far is kept"):
        plan_run(settings, tmp_path, pilot=PILOT)
    assert len(server.asked) == 5
    assert forecast_of(plan_run(settings, tmp_path, prepare=True)).answered_from_store == 5


def test_failures_of_a_pilot_are_shown_and_expected(
    settings_for: Callable[..., RunSettings],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    turns = Turns()

    def fail_at_times(asked: Asked) -> Reply:
        return failure(400, "no such thing") if turns.of(asked.text) % 4 == 0 else answer(asked)

    with chat_server(fail_at_times) as server:
        settings = settings_for(server)
        plan = plan_run(settings, tmp_path, pilot=PILOT)
        usage, *_ = usage_of(settings, tmp_path)
    pilot, forecast = plan.proposers[0].pilot, forecast_of(plan)
    assert pilot is not None
    [failed] = pilot.usage.failures
    assert (failed.reason, failed.count) == (
        "request_rejected",
        PILOT - forecast.answered_from_store,
    )
    show_plan(plan)
    assert f"without an answer: {failed.count} request rejected" in " ".join(
        capsys.readouterr().out.split()
    )
    assert usage.requests == forecast.whole.requests
    assert usage.prompt_tokens == pytest.approx(forecast.whole.prompt_tokens, rel=0.2)


@pytest.mark.parametrize(
    ("size", "proposers", "said"),
    [(3, ("keyphrase",), "none is among the proposers"), (0, (PROPOSER,), "found 0, expected")],
)
def test_a_pilot_of_nothing_is_refused(
    settings_for: Callable[..., RunSettings],
    server: ChatServer,
    tmp_path: Path,
    size: int,
    proposers: tuple[str, ...],
    said: str,
) -> None:
    settings = settings_for(server).model_copy(update={"proposers": proposers})
    with pytest.raises(InputError, match=said):
        plan_run(settings, tmp_path / "run", pilot=size)
    assert not (tmp_path / "run").exists()


def test_the_command_line_prepares_pilots_and_updates(
    settings_for: Callable[..., RunSettings],
    server: ChatServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, out = settings_for(server), tmp_path / "run"
    told = (
        *("plan", "--corpus", settings.corpus, "--model", settings.model, "--device", "cpu"),
        *("--encoder", settings.encoder, "--proposer", PROPOSER, "--out", str(out)),
        *("--lm-option", f"openai.base_url={server.base_url}", "--quiet"),
        *("--price-prompt", "10", "--price-completion", "30"),
    )
    assert cli.run_command(told) == 0
    assert "--prepare makes it exact" in " ".join(capsys.readouterr().out.split())
    assert not out.exists()
    assert cli.run_command([*told, "--prepare", "--json"]) == 0
    prepared = json.loads(capsys.readouterr().out)
    assert prepared["prepared"] is True
    assert server.asked == []
    assert cli.run_command([*told, "--pilot", "4", "--json"]) == 0
    [forecast] = json.loads(capsys.readouterr().out)["proposers"]
    assert forecast["groups"] == prepared["proposers"][0]["groups"]
    assert forecast["pilot"]["usage"]["requests"] == len(server.asked) == 4
    assert forecast["minutes"] > 0
    assert forecast["whole_money"] > forecast["money"] > 0
    assert cli.run_command([*told, "--prepare", "--seed", "1"]) == 2
    assert "pass --update" in capsys.readouterr().err
    assert cli.run_command([*told, "--prepare", "--seed", "1", "--update"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "those of the run" in shown
    assert "embeddings done" in shown
