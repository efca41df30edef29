"""How strong the best matches are in the run, beside its nulls and beside random weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from eval.lexical import LexicalRecord
from eval.null_distributions import N_BINS, OBSERVED, NullDistributions
from eval.plot_canvas import SERIES, Plot, draw, legend, line_style, sample, shown_name
from eval.plot_words import decimals
from eval.table import TextTable
from neurons.records import Explanation, Tail

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

RUN = "this run"
_HEIGHT = 340
_NULLS_ABOUT = (
    "How well does the best descriptor fit each neuron, and how well would the best of so many fit "
    "by luck? Descriptors are ordered by the AUROC that is sure, its lower bound on all but the "
    "test sentences. Every line is the same matcher: once on the run, and on data that were mixed "
    "up so that there is nothing to find. The further the solid line lies to the right of the "
    "others, the less luck explains."
)
_LEXICAL_ABOUT = (
    "A model that was never trained still has words to go by, so some of its neurons match "
    "descriptors too. Here are the matches of such a model beside this run's. Where the lines "
    "overlap, a match tells about words; beyond them, about what the model has learned."
)


@dataclass(frozen=True, slots=True)
class Steps:
    """How many neurons of one run have a value in each bin."""

    name: str
    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        """How many neurons there are."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class HistogramSet:
    """One statistic in several runs, the run itself first; `N_BINS` even bins from 0 to 1.

    `place` says which neurons: a site and a tail; it is part of the plot's name.

    Raises:
        ValueError: a run has another number of bins, or a negative count.
    """

    statistic: str
    place: str
    about: str
    histograms: tuple[Steps, ...]

    def __post_init__(self) -> None:
        for each in self.histograms:
            if len(each.counts) != N_BINS or min(each.counts) < 0:
                raise ValueError(
                    f"{each.name!r} has {len(each.counts)} counts, expected {N_BINS} of 0 or more"
                )


def null_histograms(distributions: NullDistributions) -> tuple[HistogramSet, ...]:
    """High tails of the run and its nulls, one set for each site."""
    found: dict[str, list[Steps]] = defaultdict(list)
    for each in distributions.histograms:
        if each.tail is Tail.POSITIVE:
            name = RUN if each.control == OBSERVED else each.control.replace("_", " ")
            found[each.site].append(Steps(name, each.counts))
    return tuple(
        HistogramSet("Lower bound of the best descriptor's AUROC", site, _NULLS_ABOUT, tuple(own))
        for site, own in found.items()
    )


def lexical_histograms(
    record: LexicalRecord, explanations: Iterable[Explanation]
) -> tuple[HistogramSet, ...]:
    """First matches on high tails, of the run and of each lexical control; a set for each site."""
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in explanations:
        if each.tail is Tail.POSITIVE and each.matches:
            site = each.neuron.split(".")[1]
            values[site][RUN].append(each.matches[0].auroc)
    for part in record.samples:
        if part.tail is Tail.POSITIVE:
            values[part.site][part.control.replace("_", " ")] += part.matched.tolist()
    return tuple(
        HistogramSet(
            "AUROC of the first match on test sentences",
            site,
            _LEXICAL_ABOUT,
            tuple(_steps(name, own) for name, own in runs.items()),
        )
        for site, runs in values.items()
        if len(runs) > 1
    )


def distribution_plots(sets: Iterable[HistogramSet], name: str) -> tuple[Plot, ...]:
    """Step histograms, each as shares of its own neurons; sets without any are left out.

    Args:
        sets: what to draw, one plot each.
        name: what the names of the plots begin with.
    """
    return tuple(
        _plot(own, f"{name}-{own.place}") for own in sets if any(each.n for each in own.histograms)
    )


def median(counts: Sequence[int]) -> float:
    """The median of what was counted, exact to half a bin."""
    middles = (np.arange(N_BINS) + 0.5) / N_BINS
    return float(np.median(np.repeat(middles, counts)))


def _steps(name: str, values: Sequence[float]) -> Steps:
    counts, _ = np.histogram(np.clip(values, 0.0, 1.0), bins=N_BINS, range=(0.0, 1.0))
    return Steps(name, tuple(counts.tolist()))


def _plot(own: HistogramSet, name: str) -> Plot:
    shown = [each for each in own.histograms if each.n][: len(SERIES)]
    title = shown_name(f"{own.statistic}, site {own.place}: this run and its controls", 90)
    joined = _bins_joined(min(each.n for each in shown))
    edges = np.linspace(0.0, 1.0, N_BINS // joined + 1)
    shares = [np.reshape(each.counts, (-1, joined)).sum(axis=1) / each.n for each in shown]
    used = np.flatnonzero(np.sum(shares, axis=0))

    def paint(canvas: Canvas) -> None:
        panel = canvas.subplots()
        entries = []
        for each, own_shares, look in zip(shown, shares, SERIES, strict=False):
            panel.stairs(own_shares, edges, color=look.ink, linestyle=look.dash, linewidth=1.8)
            middle = median(each.counts)
            height = own_shares[np.searchsorted(edges, middle) - 1]
            panel.plot([middle], [height], **line_style(look, line=False))
            entries.append((f"{shown_name(each.name)} (mark: median)", sample(look)))
        panel.set_xlabel(own.statistic)
        panel.set_ylabel(f"Share of neurons in a bin of {joined / N_BINS:g}")
        panel.set_xlim(edges[max(0, used[0] - 1)], edges[min(len(edges) - 1, used[-1] + 2)])
        panel.set_ylim(bottom=0)
        legend(canvas, entries)

    said = ", ".join(
        f"{each.name} has median {decimals(median(each.counts))} over {each.n:,} neurons"
        for each in shown
    )
    alt = f"{title}. {said}."
    return Plot(
        name=name,
        question=_question(own),
        title=title,
        about=own.about,
        alt=alt,
        svg=draw(title, alt, _HEIGHT, paint),
        height=_HEIGHT,
        table=TextTable(
            "",
            ("Run", "Median", "Neurons"),
            tuple((each.name, decimals(median(each.counts)), f"{each.n:,}") for each in shown),
            n_left=1,
        ),
    )


def _bins_joined(n_neurons: int) -> int:
    """How many bins are drawn as one, so that few neurons do not look like a comb."""
    return 1 if n_neurons >= 2000 else 2 if n_neurons >= 500 else 5


def _question(own: HistogramSet) -> str:
    if own.about is _LEXICAL_ABOUT:
        return f"Does training matter, or do words alone explain the matches? ({own.place})"
    return f"Are the matches stronger than luck? ({own.place})"
