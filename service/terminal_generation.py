"""What proposers contributed and LMs will take or took, as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING

from descriptors.lm_forecast import CountedBy

if TYPE_CHECKING:
    from rich.console import Group

    from descriptors.contributions import Contribution
    from descriptors.lm_forecast import LMForecast
    from descriptors.lm_proposer import GenerationUsage
    from eval.proposer_shares import PopulationShares, ProposerShare
    from eval.records import Figure
    from service.plan import Plan
    from service.plan_generation import ProposerForecast
    from service.plan_pilot import Pilot

_COUNTED_BY = {
    CountedBy.TOKENIZER: "counted by its tokenizer",
    CountedBy.STORED_ANSWERS: "estimated from its stored answers",
    CountedBy.ESTIMATE: "estimated, the tokenizer is on the server",
}


def forecast_rows(plan: Plan) -> list[tuple[str, str]]:
    """The lines of a plan about groups and what is asked about them."""
    rows = [("groups", _groups(plan))]
    if not plan.proposers:
        rows.append(("LM requests", "0"))
    for forecast in plan.proposers:
        if forecast.lm is None:
            rows.append((forecast.proposer, _local(forecast)))
            continue
        rows.append((forecast.proposer, _asked(forecast, forecast.lm)))
        if forecast.pilot:
            rows.append(("  its pilot", _piloted(forecast.pilot)))
        if forecast.lm.answered_from_store:
            rows.append(("  the whole run", _whole(forecast, forecast.lm)))
    return rows


def _groups(plan: Plan) -> str:
    if plan.prepared:
        return f"{plan.proposers[0].groups:,}, those of the run"
    if not plan.proposers:
        return f"at most {plan.groups_at_most:,}; --prepare makes it exact"
    formed = f"{plan.proposers[0].groups:,} from embeddings"
    if "neurons" in plan.group_sources:
        formed += "; with neurons, whose activations a plan does not know, about as many"
    return f"{formed}; --prepare makes it exact"


def contribution_tables(
    contributions: Sequence[Contribution], figures: Sequence[Figure]
) -> list[Group]:
    """What each proposer contributed to the catalog and to label recovery.

    None where there is one proposer only.
    """
    from eval.proposer_shares import proposer_shares
    from service.terminal import table_of

    if len(contributions) < 2:
        return []
    rows = []
    for each in contributions:
        counts = (each.proposed, each.kept_alone, each.kept_jointly)
        reason = max(each.rejected, key=each.rejected.__getitem__, default="-").replace("_", " ")
        rows.append((each.proposer, *(f"{count:,}" for count in counts), reason))
    header = ("proposer", "proposed", "kept alone", "kept jointly", "mostly rejected as")
    tables = [table_of("what the proposers contributed", header, rows, right=(1, 2, 3))]
    if shares := proposer_shares(figures):
        tables.append(_shares_table(shares))
    return tables


def _shares_table(shares: Sequence[PopulationShares]) -> Group:
    from service.terminal import table_of

    rows = []
    for item in shares:
        population, cutoff = item.population, item.cutoff
        # Shares come in twos at least, so that the name can stand in two lines.
        where = ", ".join(filter(None, (population.shown_facet, population.site)))
        named = chain((where, f"tau {cutoff.tau:g}, k {cutoff.k}"), repeat(""))
        for name, own in zip(named, item.shares, strict=False):
            rows.append((name, own.proposer, *_share_cells(own)))
    title = "share of the predictions for labelled neurons, and precision of their own"
    return table_of(title, ("", "proposer", "share", "precision", "n"), rows, right=(2, 3, 4))


def _share_cells(own: ProposerShare) -> tuple[str, str, str]:
    share, precision = own.share.value or 0.0, own.precision
    if precision is None or precision.value is None:
        return f"{share:.0%}", "-", "0"
    interval = (
        "" if precision.ci_low is None else f" [{precision.ci_low:.2f}, {precision.ci_high:.2f}]"
    )
    return f"{share:.0%}", f"{precision.value:.2f}{interval}", f"{precision.n:,}"


def usage_table(usages: Mapping[str, GenerationUsage]) -> Group:
    """What each LM took, failures by reason below it."""
    from rich.console import Group

    from service.terminal import table_of

    rows, failed = [], []
    for name, usage in usages.items():
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        counts = (usage.requests, *tokens, usage.retried)
        rows.append((name, *(f"{count:,}" for count in counts)))
        for failure in usage.failures:
            failed.append((name, failure.reason.replace("_", " "), f"{failure.count:,}"))
    header = ("LM", "requests", "prompt tok.", "answer tok.", "retried")
    parts = [table_of("what the LMs took", header, rows, right=range(1, len(header)))]
    if failed:
        parts.append(table_of("requests without an answer", ("LM", "reason", "requests"), failed))
    return Group(*parts)


def _local(forecast: ProposerForecast) -> str:
    if forecast.minutes is None:
        return "asks no LM"
    return f"asks no LM; about {forecast.minutes * 60:.0f} s, measured on a few groups"


def _asked(forecast: ProposerForecast, lm: LMForecast) -> str:
    second = f", {lm.second_attempts:,} of them second attempts" if lm.second_attempts else ""
    stored = f" ({lm.answered_from_store:,} more are in the store)"
    parts = [
        f"{lm.requests:,} requests" + (stored if lm.answered_from_store else "") + second,
        f"about {lm.prompt_tokens:,} prompt tokens ({_COUNTED_BY[lm.counted_by]})",
        f"about {lm.completion_tokens:,} completion tokens, {lm.completion_tokens_at_most:,} at "
        "most",
        "time unknown: give --lm-option tokens_per_second=N"
        if forecast.minutes is None
        else f"about {forecast.minutes:.1f} min",
        "cost unknown: give --price-prompt and --price-completion"
        if forecast.money is None
        else f"costs about {forecast.money:.2f}",
    ]
    return "; ".join(parts)


def _piloted(pilot: Pilot) -> str:
    usage = pilot.usage
    second = f", {usage.retried:,} of them second attempts" if usage.retried else ""
    before = usage.requests - pilot.sent
    stored = f" ({before:,} were answered before)" if before > 0 else ""
    failed = ", ".join(
        f"{failure.count:,} {failure.reason.replace('_', ' ')}" for failure in usage.failures
    )
    parts = [
        f"{pilot.groups:,} groups; {usage.requests:,} requests{second}{stored}",
        f"{usage.prompt_tokens:,} prompt and {usage.completion_tokens:,} completion tokens",
        *([f"without an answer: {failed}; the plan expects as large a share"] if failed else []),
    ]
    return "; ".join(parts)


def _whole(forecast: ProposerForecast, lm: LMForecast) -> str:
    whole = lm.whole
    said = (
        f"{whole.requests:,} requests; about {whole.prompt_tokens:,} prompt and "
        f"{whole.completion_tokens:,} completion tokens, what is stored included"
    )
    return (
        said if forecast.whole_money is None else f"{said}; costs about {forecast.whole_money:.2f}"
    )
