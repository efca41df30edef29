"""Results as a person reads them in a terminal: on stdout, plain where it is not a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from indexer.errors import RunError

if TYPE_CHECKING:
    from descriptors.records import Descriptor
    from eval.records import Figure
    from service.doctor import Diagnosis
    from service.overview import RunOverview, TailCounts
    from service.plan import Plan

EVALUATION = "evaluation.json"
REPORT = "report.html"


def new_console() -> Console:
    """A console that never reads text as markup and never guesses what to colour."""
    return Console(markup=False, highlight=False, emoji=False)


def table_of(title: str, header: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table whose cells are plain text; numbers (cells that begin like one) lie right."""
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    drawn = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for column, name in enumerate(header):
        numeric = bool(cells) and all(row[column].plain[:1] in set("0123456789-+") for row in cells)
        drawn.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*row)
    return drawn


def show_run(out: Path) -> None:
    """Show what the run in `out` found: funnel, evaluation, best neurons, and the report's path.

    Raises:
        RunError: a file of the run is missing or damaged.
    """
    from service.overview import overview_of

    console = new_console()
    overview = overview_of(out)
    console.print(_funnel(overview))
    console.print()
    console.print(_tails(overview.tails))
    if (out / EVALUATION).is_file():
        from eval.evaluation_file import read_evaluation

        console.print()
        show_figures(read_evaluation(out))
    console.print()
    console.print(_best(overview))
    console.print()
    shown = out / REPORT if (out / REPORT).is_file() else out
    # Printed without wrapping: a path cut in two cannot be copied.
    console.print(f"{'report' if shown.name == REPORT else 'run'}: {shown}", soft_wrap=True)


def show_figures(figures: Sequence[Figure]) -> None:
    """Show evaluation figures as tables."""
    from eval.table import terminal_tables

    console = new_console()
    if not figures:
        console.print("no evaluation figures: the corpus has no labels to compare with")
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
    console.print(f"{counts.kept} of {counts.proposed} kept; {_reasons(counts.rejections)}")
    console.print(f"catalog: {out / 'descriptors.parquet'}", soft_wrap=True)


def show_plan(plan: Plan) -> None:
    """Show what a run would take."""
    splits = ", ".join(f"{count:,} {split}" for split, count in plan.splits.items())
    rows = [
        ("sentences", f"{plan.sentences:,} of {plan.texts:,} texts ({splits})"),
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


def _funnel(overview: RunOverview) -> Table:
    sentences = ", ".join(f"{count:,} {split}" for split, count in overview.sentences.items())
    counts = overview.descriptors
    described = sum(tail.described for tail in overview.tails)
    tails = sum(tail.neurons for tail in overview.tails)
    if tails == 0:
        raise RunError("the run explains no neurons: explanations.parquet is empty; run it again")
    rows = [
        ("sentences", f"{sum(overview.sentences.values()):,}", sentences),
        ("descriptors proposed", f"{counts.proposed:,}", ""),
        ("descriptors kept", f"{counts.kept:,}", _reasons(counts.rejections)),
        ("neuron tails described", f"{described:,}", f"{described / tails:.1%} of {tails:,}"),
    ]
    return table_of("the run at a glance", ("", "number", ""), rows)


def _tails(tails: Sequence[TailCounts]) -> Table:
    rows = [
        (
            f"{counts.site} {counts.tail}",
            f"{counts.neurons:,}",
            f"{counts.described:,}",
            _reasons({reason.value: count for reason, count in counts.abstentions.items()}),
        )
        for counts in tails
    ]
    return table_of("neurons by site and tail", ("site", "neurons", "described", "others"), rows)


def _best(overview: RunOverview) -> Table:
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
    if not counts:
        return "none rejected"
    return "without: " + ", ".join(
        f"{count:,} {reason.replace('_', ' ')}" for reason, count in counts.items()
    )


def _duration(minutes: float) -> str:
    seconds = round(minutes * 60)
    return f"{seconds} s" if seconds < 120 else f"{minutes:.0f} min"
