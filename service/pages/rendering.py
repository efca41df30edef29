"""Templates of the pages: every text escaped, the words and marks those of a run's report."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from eval.report import report_environment
from eval.web_page import showable
from neurons.records import NeuronId, Site
from service.api.key_records import Scope
from service.pages.forms import new_key
from service.pages.heat import extent_of, heat_of, strongest_of
from service.pages.static_files import static_path
from service.pages.words import (
    EDIT_WORDS,
    REASON_TITLES,
    box_of,
    descriptor_reason,
    job_title,
    log_line,
    stage_name,
    state_words,
)
from service.word_answers import WORDS_KEPT

if TYPE_CHECKING:
    from jinja2 import Environment

    from service.api.access import Caller


def page(
    request: Request, template: str, /, *, status: int = 200, run: str = "", **content: Any
) -> HTMLResponse:
    """A page; `run` is the name of the run it is about, which gives it the run's navigation.

    Pages are of one user's moment and are kept by no cache on the way. Those who may not write or
    delete see nothing to do it with.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    text = (
        _environment()
        .get_template(template)
        .render(
            nonce=getattr(request.state, "csp_nonce", ""),
            here=request.url.path,
            run=run,
            caller=caller,
            may_write=_may(caller, Scope.WRITE),
            may_delete=_may(caller, Scope.ADMIN),
            **content,
        )
    )
    headers = {"Cache-Control": "private, no-cache"}
    return HTMLResponse(showable(text), status_code=status, headers=headers)


def _may(caller: Caller | None, wanted: Scope) -> bool:
    """Whether a caller may do what a scope is for; where no key is asked for, anyone may."""
    return caller is not None and (caller.key is None or caller.key.scope.allows(wanted))


@cache
def _environment() -> Environment:
    from jinja2 import ChoiceLoader, PackageLoader

    environment = report_environment()
    own = PackageLoader("service", "pages/templates")
    assert environment.loader is not None
    environment.loader = ChoiceLoader([own, environment.loader])
    environment.filters.update(
        moment=_moment,
        heat=heat_of,
        strongest=strongest_of,
        percent=_percent,
        parsed=NeuronId.parse,
        log_line=log_line,
    )
    environment.globals.update(
        static=static_path,
        extent_of=extent_of,
        box_of=box_of,
        reason_titles=REASON_TITLES,
        descriptor_reason=descriptor_reason,
        edit_words=EDIT_WORDS,
        job_title=job_title,
        stage_name=stage_name,
        new_key=new_key,
        words_kept=WORDS_KEPT,
        state_words=state_words,
        sites=tuple(Site),
    )
    return environment


def _moment(moment: datetime) -> str:
    """A moment as people write it, in UTC."""
    return f"{moment:%-d %b %Y, %H:%M} UTC"


def _percent(share: float | None) -> str:
    """A share as a percentage, rounded neither to none nor to all; a dash where undefined."""
    if share is None:
        return "–"
    percent = 100 * share
    if percent < 0:
        return f"−{_percent(-share)}" if percent <= -0.05 else "> −0.1 %"
    if 0 < percent < 0.05:
        return "< 0.1 %"
    if 99.5 <= percent < 100:
        return f"{min(percent, 99.9):.1f} %"
    return f"{percent:.0f} %" if percent >= 9.95 or percent == 0 else f"{percent:.1f} %"
