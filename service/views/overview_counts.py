"""The overview of an opened run, counted from its columns as `service.overview` does from files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from descriptors.contributions import contributions
from descriptors.records import Split
from neurons.matching import TAILS
from service.explanation_table import REASONS, SITES
from service.overview import BestNeuron, DescriptorCounts, RunOverview, TailCounts

if TYPE_CHECKING:
    from service.views.opened_run import OpenedRun

_BEST = 10


def overview(run: OpenedRun) -> RunOverview:
    """What a run has read, proposed and described."""
    return RunOverview(
        sentences={split: len(run.corpus.rows(split)) for split in Split},
        descriptors=_descriptor_counts(run),
        tails=_tail_counts(run),
        best=_best(run),
    )


def _descriptor_counts(run: OpenedRun) -> DescriptorCounts:
    reasons = Counter(each.reason for each in run.descriptors if not each.kept)
    return DescriptorCounts(
        proposed=len(run.descriptors),
        kept=len(run.catalog),
        rejections=dict(reasons.most_common()),
        contributions=tuple(contributions(run.descriptors)),
    )


def _tail_counts(run: OpenedRun) -> tuple[TailCounts, ...]:
    table = run.explanations
    counts = []
    for site_number, site in enumerate(SITES):
        for tail_number, tail in enumerate(TAILS):
            own = (table.site == site_number) & (table.tail == tail_number)
            reasons = Counter(REASONS[code] for code in table.reason[own] if code >= 0)
            if own.any():
                counts.append(
                    TailCounts(
                        site=site,
                        tail=tail,
                        neurons=int(own.sum()),
                        described=int(table.described[own].sum()),
                        abstentions=dict(reasons.most_common()),
                    )
                )
    return tuple(sorted(counts, key=lambda each: (each.site, each.tail)))


def _best(run: OpenedRun) -> tuple[BestNeuron, ...]:
    """The described tails whose first descriptor is surest, one a descriptor."""
    table = run.explanations
    first = table.first[:-1][table.described]
    columns = table.matches
    surest = first[np.lexsort((-columns.exemplar_z[first], columns.q[first]))]
    _, places = np.unique(columns.descriptor[surest], return_index=True)
    found = []
    for number in surest[np.sort(places)[:_BEST]].tolist():
        neuron, tail = table.key(int(columns.tail[number]))
        found.append(BestNeuron(neuron=str(neuron), tail=tail, match=table.match(number)))
    return tuple(found)
