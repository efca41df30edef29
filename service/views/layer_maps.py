"""A run's layers at a glance: how much is described, with what, and how much of it was learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from indexer.arrays import IntArray
from neurons.matching import TAILS
from neurons.records import LayerSite
from service.explanation_table import SITES
from service.views.records import LayerCell, LayerMap

if TYPE_CHECKING:
    from service.views.opened_run import OpenedRun

_COMMONEST = 3


def layer_map(run: OpenedRun) -> LayerMap:
    """Every layer site, from the first layer on."""
    table = run.explanations
    places = np.unique(np.column_stack([table.layer, table.site]), axis=0).tolist()
    return LayerMap(cells=tuple(_cell(run, *place) for place in places))


def _cell(run: OpenedRun, layer: int, site: int) -> LayerCell:
    table = run.explanations
    own = np.flatnonzero((table.layer == layer) & (table.site == site))
    described = own[table.described[own]]
    first = table.first[described]
    scores = table.matches.auroc[first]
    return LayerCell(
        layer=layer,
        site=SITES[site],
        n_neurons=len(np.unique(table.unit[own])),
        described=len(described) / len(own),
        learned=_learned(run, LayerSite(layer, SITES[site]), described),
        median_score=float(np.median(scores)) if len(scores) else None,
        commonest=_commonest(run, first),
    )


def _learned(run: OpenedRun, layer_site: LayerSite, described: IntArray) -> float | None:
    """The share of the first explanations that is learned; None where none can be judged."""
    if run.lexical is None:
        return None
    table = run.explanations
    judged = learned = 0
    for number, tail in enumerate(TAILS):
        reference = run.lexical.references.get((layer_site, tail))
        if reference is not None:
            first = table.first[described[table.tail[described] == number]]
            judged += len(first)
            learned += int(reference.learned(table.matches.auroc[first]).sum())
    return learned / judged if judged else None


def _commonest(run: OpenedRun, first: IntArray) -> tuple[str, ...]:
    """The descriptors that are first most often, ties in the order of their identifiers."""
    table = run.explanations
    numbers, counts = np.unique(table.matches.descriptor[first], return_counts=True)
    found = [
        (-count, table.identifiers[number]) for number, count in zip(numbers, counts, strict=True)
    ]
    texts = {descriptor.id: descriptor.text for descriptor in run.catalog}
    return tuple(texts[identifier] for _, identifier in sorted(found)[:_COMMONEST])
