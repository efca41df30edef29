"""The route of a run's evaluation."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from eval.records import Figure
from service.api.etags import answer_of_run
from service.api.page_records import FigurePage
from service.api.pagination import Cursor
from service.api.schemas import CursorText, IfNoneMatch, Limit, RunPath, of_a_run
from service.api.strict_routes import strict_router
from service.views.run_view import RunView

router = strict_router("/v1/runs/{run}", "evaluations")
Name = Annotated[str | None, Query(max_length=200)]


@router.get(
    "/evaluation",
    summary="The evaluation of a run",
    response_model=FigurePage,
    responses=of_a_run(),
)
async def list_figures(
    request: Request,
    run: RunPath,
    protocol: Name = None,
    variant: Name = None,
    metric: Name = None,
    split: Name = None,
    limit: Limit = 200,
    cursor: CursorText = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Figures with their intervals, nulls and baselines; only those that pass all filters."""
    given = {"protocol": protocol, "variant": variant, "metric": metric, "split": split}
    wanted = {name: value for name, value in given.items() if value is not None}

    def holds(figure: Figure) -> bool:
        return all(getattr(figure, name) == value for name, value in wanted.items())

    def page(view: RunView) -> FigurePage:
        start = Cursor.read(cursor, etag=view.etag, question=f"figures {sorted(wanted.items())}")
        found = [figure for figure in view.evaluation() if holds(figure)]
        chosen = found[start.offset : start.offset + limit]
        following = start.after(len(chosen), len(found))
        return FigurePage(items=tuple(chosen), total=len(found), next_cursor=following)

    return await answer_of_run(request, run, page)
