"""Figures layer by layer: described, learned, and right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from eval.facets import FALLBACK, HEADLINE, MINIMUM_NEURONS, Cutoff
from eval.lexical import LexicalControl
from eval.plot_canvas import (
    BASELINE,
    NULL,
    VALUE,
    Ink,
    Plot,
    draw,
    legend,
    name_in,
    sample,
    shown_name,
)
from eval.plot_panels import columns_for, control_ticks, grid, quiet_grid, share_axis
from eval.plot_words import decimals, interval, left_out
from eval.records import Figure
from eval.table import TextTable
from eval.variant_words import VariantWords
from eval.variants import Reading

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

MOST_PANELS = 6
_BAR_WIDTH = 0.68
_BAR_OPACITY = 0.55
_CUTOFFS = (
    HEADLINE,
    Cutoff(FALLBACK.tau, HEADLINE.k),
    Cutoff(HEADLINE.tau, FALLBACK.k),
    FALLBACK,
)
_TITLES = {
    "described": "Neurons described",
    "learned": "Matches beyond random weights",
}
_ABOUT = (
    "One bar for each layer, from the input to the output of the model; the thin line is its 95 % "
    "interval. “Described” is the share of neurons that got a description at all. “Beyond random "
    "weights” is the share of first matches that are stronger than the same architecture reaches "
    "without any training, that is, by words alone. Precision@k asks whether the first k "
    f"descriptors name labels the neuron carries. Layers with fewer than {MINIMUM_NEURONS} neurons "
    "to judge have no bar."
)


@dataclass(frozen=True, slots=True)
class _Panel:
    """One quantity of one site, by layer."""

    title: str
    layers: tuple[tuple[int, Figure], ...]


def layer_plots(figures: Iterable[Figure]) -> tuple[Plot, ...]:
    """One plot for each site with figures whose variant names a layer (`layer=3`).

    Shown are the metrics `described` and `learned`, and `P` for each facet at the cutoff that most
    layers reach with `MINIMUM_NEURONS`. Low tails and controls are left out.
    """
    return tuple(_plot(site, panels) for site, panels in _panels(figures).items())


def _plot(site: str, panels: list[_Panel]) -> Plot:
    shown = panels[:MOST_PANELS]
    columns = columns_for(len(shown))
    height = 70 + 215 * -(-len(shown) // columns)
    layers = sorted({layer for each in panels for layer, _ in each.layers})
    title = f"Layer by layer, site {site}" if site else "Layer by layer"

    def paint(canvas: Canvas) -> None:
        drawn = grid(canvas, len(shown), columns, sharey=True)
        for panel, own in zip(drawn, shown, strict=True):
            _paint(panel, own, layers, name_in(columns))
            panel.label_outer()
        legend(canvas, _legend(shown))

    alt = f"{title}. " + " ".join(_in_words(each) for each in shown)
    return Plot(
        name=f"layers-{site}" if site else "layers",
        question="Which layers can be described, and how well?",
        title=title,
        about=_ABOUT + left_out(len(panels) - len(shown), "facets"),
        alt=alt,
        svg=draw(title, alt, height, paint),
        height=height,
        table=_table(panels),
    )


def _panels(figures: Iterable[Figure]) -> dict[str, list[_Panel]]:
    found: dict[str, dict[_Quantity, dict[int, Figure]]] = {}
    for figure in figures:
        words = VariantWords.parse(figure.variant)
        layer = words.number("layer")
        quantity = _quantity(figure, words)
        if layer is None or quantity is None or figure.value is None or words.is_negative_tail:
            continue
        if figure.n >= MINIMUM_NEURONS:
            site = found.setdefault(words.settings.get("site", ""), {})
            site.setdefault(quantity, {}).setdefault(int(layer), figure)
    return {
        site: [
            _Panel(quantity.title, tuple(sorted(quantities[quantity].items())))
            for quantity in _leading(quantities)
        ]
        for site, quantities in found.items()
    }


@dataclass(frozen=True, slots=True)
class _Quantity:
    """What a panel shows; precision by its facet, at one cutoff."""

    metric: str
    facet: str = ""
    cutoff: Cutoff | None = None

    @property
    def title(self) -> str:
        """The panel's title."""
        if self.cutoff is None:
            return _TITLES[self.metric]
        return f"Precision@{self.cutoff.k} (τ {self.cutoff.tau:g}), {self.facet or 'labels'}"


def _leading(quantities: Mapping[_Quantity, Mapping[int, Figure]]) -> list[_Quantity]:
    """Shares first, then precision of each facet at the cutoff that most layers reach."""
    shares = [each for metric in _TITLES for each in quantities if each.metric == metric]
    facets = dict.fromkeys(each.facet for each in quantities if each.cutoff is not None)
    best = [
        max(
            (each for each in quantities if each.facet == facet and each.cutoff in _CUTOFFS),
            # The first in `_CUTOFFS` among equals.
            key=lambda each: (len(quantities[each]), -_CUTOFFS.index(each.cutoff or HEADLINE)),
        )
        for facet in facets
    ]
    return [*shares, *best]


def _quantity(figure: Figure, words: VariantWords) -> _Quantity | None:
    if figure.metric == "P" and not words.plain:
        cutoff = Cutoff(words.number("tau") or 0.0, figure.k or 0)
        return _Quantity("P", figure.facet, cutoff) if cutoff in _CUTOFFS else None
    if figure.metric == "learned" and words.plain == (LexicalControl.RANDOM_WEIGHTS,):
        return _Quantity("learned")
    if figure.metric == "described" and words.plain in ((), (Reading.EVERY_NEURON,)):
        return _Quantity("described")
    return None


def _paint(panel: Axes, own: _Panel, layers: Sequence[int], longest: int) -> None:
    for layer, figure in own.layers:
        if figure.value is not None:
            bar = panel.bar(layer, figure.value, width=_BAR_WIDTH, color=VALUE.ink, linewidth=0)
            bar[0].set_alpha(_BAR_OPACITY)
        if figure.ci_low is not None and figure.ci_high is not None:
            ends = [figure.ci_low, figure.ci_high]
            panel.plot([layer, layer], ends, color=Ink.TEXT, linewidth=1.4)
        control_ticks(panel, layer, figure, _BAR_WIDTH)
    panel.set_title(shown_name(own.title, longest))
    share_axis(panel, "y", "Share")
    quiet_grid(panel, only="y")
    panel.set_xticks(layers, [f"L{layer}" for layer in layers])
    panel.set_xlim(layers[0] - 0.6, layers[-1] + 0.6)
    panel.set_xlabel("Layer")


def _legend(panels: Iterable[_Panel]) -> list[tuple[str, Artist]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figures = [figure for each in panels for _, figure in each.layers]
    entries: list[tuple[str, Artist]] = [
        ("share", Patch(facecolor=VALUE.ink, alpha=_BAR_OPACITY)),
        ("95 % interval", Line2D([], [], color=Ink.TEXT, linewidth=1.4)),
    ]
    if any(figure.null is not None for figure in figures):
        entries.append(("null", sample(NULL.bare)))
    if any(figure.baseline is not None for figure in figures):
        entries.append(("baseline", sample(BASELINE.bare)))
    return entries


def _in_words(own: _Panel) -> str:
    said = ", ".join(f"L{layer} {decimals(figure.value)}" for layer, figure in own.layers)
    return f"{own.title}: {said}."


def _table(panels: Iterable[_Panel]) -> TextTable:
    rows = [
        (
            own.title,
            f"L{layer}",
            interval(figure),
            decimals(figure.null),
            decimals(figure.baseline),
            f"{figure.n:,}",
        )
        for own in panels
        for layer, figure in own.layers
    ]
    header = ("Figure", "Layer", "Value [interval]", "Null", "Baseline", "n")
    return TextTable("", header, tuple(rows), n_left=2)
