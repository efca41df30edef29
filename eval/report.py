"""The report of a run as one HTML file that opens anywhere, offline.

Every text from a corpus or an LM is escaped by the template. As a second fence the page carries a
content security policy that runs the one script and the one style sheet put in here, by their
hashes, and loads nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from eval.control_verdicts import Outcome, judge_protocols
from eval.facets import MINIMUM_NEURONS, leading_populations, shared_notes
from eval.figures import (
    AUROC_AXIS,
    COLOUR_STEPS,
    MAP_HEIGHT,
    MAP_WIDTH,
    SHARE_AXIS,
    Bubble,
    bubbles,
    colour_legend,
    colour_step,
)
from eval.lexical import LexicalControl, LexicalLabel
from eval.plot_canvas import WIDTH
from eval.plots import evaluation_plots
from eval.proposer_shares import proposer_shares
from eval.protocol_words import protocol_words
from eval.records import Figure
from eval.report_content import HeatMap, ReportContent
from eval.report_tables import evaluation_tables
from eval.variant_words import without_curves
from eval.verdicts import Standing, headline_figures, judge_facets
from eval.web_page import page_part, page_templates, policy_hash, showable
from indexer.storage import atomic_path
from neurons.records import AbstentionReason, Explanation, Tail

if TYPE_CHECKING:
    from jinja2 import Environment

HIGHLIGHT_STEPS = 10
EXAMPLES_NAMED = 4
REASONS_NAMED = 3
_LOOK_OF_PLOTS = "plot_"
"""What the names of modules begin with that plots are drawn by."""
MEANING_OF_REASON = {
    AbstentionReason.CONSTANT: (
        "The activation is the same on every sentence, so there is nothing to explain."
    ),
    AbstentionReason.NO_MATCH: (
        "No descriptor fits better than chance would let one of so many fit."
    ),
    AbstentionReason.WEAK: (
        "A descriptor fits better than chance, but too weakly to call it what the neuron is about."
    ),
    AbstentionReason.NOT_REPLICATED: (
        "A descriptor fits on the sentences it was found on, but not on sentences held back."
    ),
}
_FOLDER = "templates"


def page_fingerprint() -> str:
    """A short text that changes with the look of the page, so that old reports are rebuilt."""
    package = resources.files("eval")
    digest = hashlib.sha256()
    for name in sorted(item.name for item in package.joinpath("templates").iterdir()):
        digest.update(page_part(_FOLDER, name).encode("utf-8"))
    for name in sorted(item.name for item in package.iterdir()):
        if name.startswith(_LOOK_OF_PLOTS):
            digest.update(package.joinpath(name).read_bytes())
    return digest.hexdigest()


def render_report(content: ReportContent) -> str:
    """The report as an HTML page; the same content gives the same text."""
    style = page_part(_FOLDER, "report.css") + page_part(_FOLDER, "charts.css")
    script = page_part(_FOLDER, "report.js") + page_part(_FOLDER, "map.js")
    whole = without_curves(content.figures)
    page = (
        report_environment()
        .get_template("report.html.j2")
        .render(
            content=content,
            examples=_examples(content),
            verdicts=judge_facets(whole),
            protocols=judge_protocols(content.figures),
            populations=leading_populations(whole),
            headline=headline_figures(whole),
            tables=evaluation_tables(content.figures),
            plots=evaluation_plots(
                content.figures, nulls=content.nulls, first_matches=content.first_matches
            ),
            learned=_learned(content.figures),
            shares=proposer_shares(whole),
            bubbles=_bubbles(content),
            map_legend=colour_legend(
                max((entry.neurons for entry in content.descriptors), default=0)
            ),
            style=style,
            script=script,
            style_hash=policy_hash(style),
            script_hash=policy_hash(script),
        )
    )
    return showable(page)


def write_report(path: Path, content: ReportContent) -> None:
    """Write the report to `path`, atomically.

    Raises:
        RunError: the file cannot be written.
    """
    page = render_report(content)
    with atomic_path(path) as partial:
        partial.write_bytes(page.encode("utf-8"))


def _examples(content: ReportContent) -> list[Explanation]:
    """A few of the best explanations, each with another first descriptor."""
    first: dict[str, Explanation] = {}
    for each in content.best:
        first.setdefault(each.explanation.matches[0].descriptor_id, each.explanation)
    return list(first.values())[:EXAMPLES_NAMED]


def _learned(figures: Sequence[Figure]) -> Figure | None:
    """The share of all matches that go beyond random weights."""
    return next(
        (
            figure
            for figure in figures
            if figure.metric == LexicalLabel.LEARNED
            and figure.variant == LexicalControl.RANDOM_WEIGHTS
            and figure.value is not None
        ),
        None,
    )


def _bubbles(content: ReportContent) -> tuple[Bubble, ...]:
    import numpy as np

    entries = content.descriptors
    places = np.array([(entry.horizontal, entry.vertical) for entry in entries]).reshape(-1, 2)
    return bubbles(
        places,
        [entry.text for entry in entries],
        [entry.sentences for entry in entries],
        [entry.neurons for entry in entries],
    )


def report_environment() -> Environment:
    """The templates of the report with the filters and words they use; other pages share them."""
    environment = page_templates(_FOLDER)
    environment.filters.update(
        whole=lambda number: f"{number:,}",
        decimals=_decimals,
        share=_share,
        chance=_chance,
        duration=_duration,
        highlight_step=lambda strength: round(strength * HIGHLIGHT_STEPS),
    )
    environment.globals.update(
        auroc_axis=AUROC_AXIS,
        share_axis=SHARE_AXIS,
        colour_step=colour_step,
        colour_steps=COLOUR_STEPS,
        commonest=_commonest,
        largest_cell=_largest_cell,
        map_width=MAP_WIDTH,
        map_height=MAP_HEIGHT,
        minimum_neurons=MINIMUM_NEURONS,
        meaning_of_reason=MEANING_OF_REASON,
        protocol_words=protocol_words,
        plot_width=WIDTH,
        outcome=Outcome,
        reasons_named=REASONS_NAMED,
        shared_notes=shared_notes,
        standing=Standing,
        tail=Tail,
    )
    return environment


def _commonest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The commonest reasons with their counts, equals by name."""
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:REASONS_NAMED]


def _largest_cell(heat_map: HeatMap) -> int:
    return max((count for row in heat_map.rows for count in row.counts), default=0)


def _decimals(number: float | None, places: int = 2) -> str:
    """A number with its places and a true minus sign; a dash where it is undefined."""
    return "–" if number is None else f"{number:.{places}f}".replace("-", "\N{MINUS SIGN}")


def _share(part: int, whole: int) -> str:
    """A percentage of one decimal below ten, never rounded to none or all; a dash of nothing."""
    if not whole:
        return "–"
    percent = 100.0 * part / whole
    if 99.5 <= percent < 100:
        return "> 99 %"
    if 0 < percent < 0.05:
        return "< 0.1 %"
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"


def _chance(probability: float) -> str:
    """A q-value to two significant figures, with its sign of relation."""
    return "< 0.001" if probability < 0.001 else f"= {probability:.2g}"


def _duration(seconds: float) -> str:
    """Seconds below two minutes, else minutes."""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
