"""Results as a person reads them in a terminal: on stdout, plain where it is not a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from indexer.errors import RunError

if TYPE_CHECKING:
    from descriptors.records import Descriptor
    from eval.records import Figure
    from service.doctor import Diagnosis
    from service.overview import RunOverview, TailCounts
    from service.pipeline import RunSummary
    from service.plan import Plan


_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?%?")


def new_console() -> Console:
    """A console that never reads text as markup and never guesses what to colour."""
    return Console(markup=False, highlight=False, emoji=False)


def table_of(title: str, header: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Group:
    """A table under its title; cells are plain text, columns of numbers lie right."""
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    drawn = Table(box=None, pad_edge=False, show_header=any(header))
    for column, name in enumerate(header):
        numeric = bool(cells) and all(_NUMBER.fullmatch(row[column].plain) for row in cells)
        drawn.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*row)
    # A table's own title would be folded to the width of its columns.
    return Group(*([Text(title, style="bold")] if title else []), drawn)


def show_run(summary: RunSummary) -> None:
    """Show what a run found: funnel, evaluation, best neurons, and where the report is.

    Raises:
        RunError: a file of the run is missing or damaged.
    """
    from service.overview import overview_of

    console = new_console()
    out = Path(summary.out)
    overview = overview_of(out)
    console.print(_funnel(overview))
    console.print()
    console.print(_tails(overview.tails))
    console.print()
    show_figures(headlines(summary.figures))
    if summary.figures:
        console.print(f"all {len(summary.figures):,} figures: neuroscribe evaluate {out}")
    console.print()
    console.print(_best(overview))
    console.print()
    console.print(f"stages: {len(summary.recomputed)} done, {len(summary.reused)} reused unchanged")
    # Printed without wrapping: a path cut in two cannot be copied.
    console.print(f"report: {summary.report}", soft_wrap=True)


def headlines(figures: Sequence[Figure]) -> list[Figure]:
    """Precision and recall of whole populations of positive tails, where there is any neuron.

    Variants are words such as `tau=0.9 tail=+`; a word without a value marks a special reading or
    a control.
    """
    return [
        figure
        for figure in figures
        if figure.metric in {"P", "R", "R_ceiling"}
        and figure.n > 0
        and all("=" in word for word in figure.variant.split())
        and "tail=-" not in figure.variant.split()
    ]


def show_figures(figures: Sequence[Figure]) -> None:
    """Show evaluation figures as tables."""
    from eval.table import terminal_tables

    console = new_console()
    if not figures:
        console.print("no evaluation figures: no labels, or no neuron qualifies")
    for table in terminal_tables(figures):
        console.print(table)


def show_catalog(out: Path, descriptors: Sequence[Descriptor]) -> None:
    """Show the kept descriptors, those with most supporting sentences first.

    Raises:
        RunError: the descriptors in `out` cannot be read.
    """
    from service.overview import descriptor_counts

    console = new_console()
    kept = sorted(
        (descriptor for descriptor in descriptors if descriptor.kept),
        key=lambda descriptor: (-len(descriptor.support), descriptor.text),
    )
    rows = [
        (descriptor.text, descriptor.proposer, str(len(descriptor.support))) for descriptor in kept
    ]
    console.print(table_of("descriptors", ("descriptor", "proposer", "sentences"), rows))
    counts = descriptor_counts(out)
    console.print()
    console.print(f"{counts.kept:,} of {counts.proposed:,} kept; {_rejected(counts.rejections)}")
    console.print(f"catalog: {out / 'descriptors.parquet'}", soft_wrap=True)


def show_plan(plan: Plan) -> None:
    """Show what a run would take."""
    splits = ", ".join(f"{count:,} {split}" for split, count in plan.splits.items())
    rows = [
        ("sentences", f"{plan.sentences:,} from {plan.texts:,} texts ({splits})"),
        ("documents", f"{plan.documents:,}"),
        (
            "tokens",
            f"about {plan.tokens:,}; {plan.truncated_share:.1%} of "
            f"{plan.sampled_sentences:,} sampled sentences are longer than the model reads",
        ),
        ("neurons", f"{plan.neurons:,}"),
        (
            "disk",
            f"{plan.activations_gb:.2f} GB of activations, {plan.embeddings_mb:.1f} MB of "
            f"embeddings; {plan.free_gb:.1f} GB are free",
        ),
        ("groups", f"at most {plan.groups_at_most:,}"),
        ("LM requests", f"{plan.lm_requests:,}"),
        (
            "time",
            f"about {_duration(plan.minutes.total)}: activations "
            f"{_duration(plan.minutes.activations)}, embeddings "
            f"{_duration(plan.minutes.embeddings)}, matching {_duration(plan.minutes.matching)}",
        ),
    ]
    new_console().print(table_of("", ("", ""), [(name, value) for name, value in rows]))


def show_diagnosis(diagnosis: Diagnosis) -> None:
    """Show every check, and advice for those that failed."""
    console = new_console()
    rows = []
    for check in diagnosis.checks:
        verdict = "ok" if check.ok else "FAILED" if check.required else "note"
        style = {"ok": "green", "FAILED": "bold red", "note": "yellow"}[verdict]
        advice = f"; {check.advice}" if check.advice else ""
        rows.append((Text(verdict, style=style), check.name, check.found + advice))
    console.print(table_of("", ("", "check", "found"), rows))


def _funnel(overview: RunOverview) -> Group:
    sentences = ", ".join(f"{count:,} {split}" for split, count in overview.sentences.items())
    counts = overview.descriptors
    described = sum(tail.described for tail in overview.tails)
    tails = sum(tail.neurons for tail in overview.tails)
    if tails == 0:
        raise RunError("the run explains no neurons: explanations.parquet is empty; run it again")
    rows = [
        ("sentences", f"{sum(overview.sentences.values()):,}", sentences),
        ("descriptors proposed", f"{counts.proposed:,}", ""),
        ("descriptors kept", f"{counts.kept:,}", _rejected(counts.rejections)),
        ("neuron tails described", f"{described:,}", f"{described / tails:.1%} of {tails:,}"),
    ]
    return table_of("the run at a glance", ("", "number", ""), rows)


def _tails(tails: Sequence[TailCounts]) -> Group:
    rows = [
        (
            f"{counts.site} {counts.tail}",
            f"{counts.neurons:,}",
            f"{counts.described:,}",
            _reasons({reason.value: count for reason, count in counts.abstentions.items()}),
        )
        for counts in tails
    ]
    return table_of(
        "neurons by site and tail",
        ("site", "neurons", "described", "not described, by reason"),
        rows,
    )


def _best(overview: RunOverview) -> Group:
    rows = [
        (
            f"{best.neuron} {best.tail}",
            best.match.descriptor,
            f"{best.match.auroc:.3f}",
            f"[{best.match.ci_low:.3f}, {best.match.ci_high:.3f}]",
        )
        for best in overview.best
    ]
    title = "best explained neurons, one a descriptor (AUROC on test)"
    return table_of(title, ("neuron", "descriptor", "AUROC", "95% interval"), rows)


def _reasons(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in counts.items())


def _rejected(counts: dict[str, int]) -> str:
    return f"rejected: {_reasons(counts) or 'none'}"


def _duration(minutes: float) -> str:
    seconds = round(minutes * 60)
    return f"{seconds} s" if seconds < 120 else f"{minutes:.0f} min"
