"""What LMs will take and took, as it is shown."""

import pytest

from descriptors.lm_forecast import CountedBy, LMForecast, LMTotals
from descriptors.lm_proposer import GenerationUsage, LMProposer
from descriptors.openai_backend import OpenAIGenerator
from descriptors.proposer import RejectionCount
from indexer.errors import RunError
from service.generation_usage import USAGE, read_usage, usage_result
from service.plan_generation import Prices, ProposerForecast, money
from service.plan_pilot import Pilot
from service.terminal import new_console
from service.terminal_generation import _asked, _piloted, usage_table

FORECAST = LMForecast(
    requests=50, second_attempts=2, answered_from_store=6, prompt_tokens=40_000,
    completion_tokens=1_300, completion_tokens_at_most=8_000, counted_by=CountedBy.ESTIMATE,
    whole=LMTotals(requests=56, prompt_tokens=44_000, completion_tokens=1_450),
)  # fmt: skip


def test_money_needs_both_prices() -> None:
    assert money(FORECAST, Prices(prompt=1.0)) is None
    assert money(FORECAST, Prices(prompt=1.0, completion=10.0)) == pytest.approx(0.053)


def test_what_is_unknown_is_said_to_be() -> None:
    forecast = ProposerForecast(
        proposer="openai:m", groups=56, lm=FORECAST, minutes=None, money=None
    )
    said = _asked(forecast, FORECAST)
    assert "50 requests (6 more are in the store), 2 of them second attempts" in said
    assert "time unknown" in said
    assert "cost unknown" in said


def test_a_pilot_is_shown_with_its_failures() -> None:
    usage = GenerationUsage(
        requests=8, prompt_tokens=4_000, completion_tokens=150,
        retried=1, failures=(RejectionCount("server_failed", 2),),
    )  # fmt: skip
    pilot = Pilot(groups=7, usage=usage, sent=5, wave=2, wave_seconds=3.0, start_seconds=1.0)
    said = _piloted(pilot)
    assert said.startswith("7 groups; 8 requests, 1 of them second attempts (3 were answered")
    assert "without an answer: 2 server failed" in said
    assert pilot.unanswered_share == 0.25
    # Seven requests take four waves of two.
    assert pilot.minutes(7) == pytest.approx((1.0 + 4 * 3.0) / 60)


def test_usage_is_shown_with_failures(capsys: pytest.CaptureFixture[str]) -> None:
    usage = GenerationUsage(
        requests=56, prompt_tokens=41_234, completion_tokens=1_250,
        retried=2, failures=(RejectionCount("server_failed", 3),),
    )  # fmt: skip
    kept = {USAGE: {"openai:m": usage.model_dump(mode="json")}}
    assert read_usage(kept) == {"openai:m": usage}
    new_console().print(usage_table(read_usage(kept)))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["openai:m", "56", "41,234", "1,250", "2"] in lines
    assert ["openai:m", "server", "failed", "3"] in lines


def test_only_proposers_that_ask_an_lm_have_usage() -> None:
    proposer = LMProposer(OpenAIGenerator("m"))
    assert usage_result([proposer]) == {"openai:m": GenerationUsage().model_dump(mode="json")}
    assert read_usage({"groups": 3}) == {}
    with pytest.raises(RunError, match="1 fields"):
        read_usage({USAGE: {"openai:m": {"requests": "many"}}})
