"""The page of a run's evaluation."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from eval.control_verdicts import judge_protocols
from eval.evaluation_settings import ProtocolName
from eval.report_tables import evaluation_tables
from eval.variant_words import without_curves
from eval.verdicts import headline_figures, judge_facets
from service.api.schemas import RunPath
from service.api.state import state_of
from service.pages.charts import judged_chart
from service.pages.queries import asked
from service.pages.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/runs/{run}/evaluation")
def evaluation(request: Request, run: RunPath) -> Response:
    """What the protocols found, and every figure of the one that is chosen."""
    figures = state_of(request).runs.open(run).evaluation()
    protocols = judge_protocols(figures)
    known = [each.protocol for each in protocols]
    wanted = asked(request).get("protocol", "")
    chosen = wanted if wanted in known else ""
    whole = without_curves(figures)
    return page(
        request,
        "evaluation.html",
        run=run,
        protocols=protocols,
        protocol_names=[each.value for each in ProtocolName],
        verdicts=judge_facets(whole),
        headline=headline_figures(whole),
        tables=evaluation_tables([each for each in figures if each.protocol == chosen]),
        chosen=chosen,
        data=judged_chart(protocols),
    )
