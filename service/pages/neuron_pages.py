"""The pages of neurons: a list to filter, one neuron, two side by side."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.status import HTTP_303_SEE_OTHER

from indexer.errors import NotFoundError
from neurons.records import LayerSite, NeuronId
from service.api.schemas import RunPath
from service.api.state import state_of
from service.pages.queries import LIMIT, asked, neuron_filter, offset_of, query_of
from service.pages.rendering import page
from service.views.records import NeuronAnswer, NeuronFilter
from service.views.run_view import RunView

router = APIRouter(include_in_schema=False)

_LONGEST_ADDRESS = 40


@router.get("/runs/{run}/neurons")
def neurons(request: Request, run: RunPath) -> Response:
    """Tails that pass a filter.

    Raises:
        InputError: the filter is none.
    """
    fields = asked(request)
    view = state_of(request).runs.open(run)
    wanted, offset = neuron_filter(fields), offset_of(fields)
    cells = view.layer_map().cells
    return page(
        request,
        "neurons.html",
        run=run,
        wanted=wanted,
        tails=view.tails(wanted, offset=offset, limit=LIMIT),
        offset=offset,
        limit=LIMIT,
        query=query_of(fields),
        layers=sorted({cell.layer for cell in cells}),
        found_sites=list(dict.fromkeys(cell.site for cell in cells)),
        descriptor_text=_descriptor_text(view, wanted),
    )


@router.get("/runs/{run}/neurons/go")
def go(request: Request, run: RunPath, address: str = "") -> Response:
    """To the page of the neuron whose address was typed.

    Raises:
        InputError: it is no address.
    """
    neuron = NeuronId.parse(address.strip()[:_LONGEST_ADDRESS])
    to = f"/runs/{quote(run)}/neurons/{neuron}"
    return RedirectResponse(to, status_code=HTTP_303_SEE_OTHER)


@router.get("/runs/{run}/neurons/{address}")
def neuron(request: Request, run: RunPath, address: str) -> Response:
    """What a neuron responds to, beside another one if that is asked for; not beside itself.

    Raises:
        NotFoundError: the run has no such neuron.
    """
    runs = state_of(request).runs
    fields = asked(request)
    view = runs.open(run)
    answer = _answer(view, address)
    if "beside" in fields:
        other = fields.get("beside_run", run)
        beside = _answer(runs.open(other), fields["beside"])
        if (other, beside.neuron) != (run, answer.neuron):
            return page(
                request,
                "neuron_beside.html",
                run=run,
                neuron=answer,
                beside=beside,
                beside_run=other,
                beside_address=fields["beside"],
                run_names=runs.names(),
            )
    previous, following = _neighbours(view, NeuronId.parse(answer.neuron))
    return page(
        request,
        "neuron.html",
        run=run,
        neuron=answer,
        previous=previous,
        following=following,
        run_names=runs.names(),
    )


def _answer(view: RunView, address: str) -> NeuronAnswer:
    return view.neuron(address.strip()[:_LONGEST_ADDRESS])


def _neighbours(view: RunView, neuron: NeuronId) -> tuple[NeuronId | None, NeuronId | None]:
    """The neurons before and after one in its layer's site, as far as there are such."""
    sizes = {LayerSite(cell.layer, cell.site): cell.n_neurons for cell in view.layer_map().cells}
    last = sizes.get(neuron.layer_site, 0) - 1
    before = replace(neuron, unit=neuron.unit - 1) if neuron.unit else None
    return before, replace(neuron, unit=neuron.unit + 1) if neuron.unit < last else None


def _descriptor_text(view: RunView, wanted: NeuronFilter) -> str:
    """The phrase of the descriptor that is filtered by."""
    if wanted.descriptor is None:
        return ""
    try:
        return view.descriptor(wanted.descriptor).descriptor.text
    except NotFoundError:
        return wanted.descriptor
