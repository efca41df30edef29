"""Results as a person reads them in a terminal: on stdout, plain where it is not a terminal."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from indexer.errors import RunError
from neurons.records import AbstentionReason

if TYPE_CHECKING:
    from descriptors.records import Descriptor
    from eval.records import Figure
    from service.doctor import Diagnosis
    from service.human_check import HumanFiles
    from service.overview import RunOverview, TailCounts
    from service.pipeline import RunSummary
    from service.plan import Plan


_NUMBER = re.compile(r"[-+]?[\d.,]+(e[-+]?\d+)?%?")


def new_console() -> Console:
    """A console that never reads text as markup and never guesses what to colour."""
    return Console(markup=False, highlight=False, emoji=False)


def table_of(
    title: str,
    header: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    right: Collection[int] = (),
) -> Group:
    """A table under its title; cells are plain text, columns of numbers and `right` lie right."""
    cells = [[cell if isinstance(cell, Text) else Text(cell) for cell in row] for row in rows]
    drawn = Table(box=None, pad_edge=False, show_header=any(header))
    for column, name in enumerate(header):
        numeric = bool(cells) and all(_NUMBER.fullmatch(row[column].plain) for row in cells)
        side: Literal["left", "right"] = "right" if numeric or column in right else "left"
        drawn.add_column(Text(name), justify=side, overflow="fold")
    for row in cells:
        drawn.add_row(*row)
    # A table's own title would be folded to the width of its columns.
    return Group(*([Text(title, style="bold")] if title else []), drawn)


def show_run(summary: RunSummary) -> None:
    """Show what a run found: funnel, proposers, best neurons, evaluation, where the report is.

    Raises:
        RunError: a file of the run is missing or damaged.
    """
    from service.generation_usage import read_usage
    from service.overview import overview_of
    from service.terminal_generation import contribution_tables, usage_table

    console = new_console()
    out = Path(summary.out)
    overview = overview_of(out)
    usages = read_usage(summary.results.get("propose"))
    proposing = contribution_tables(overview.descriptors.contributions, summary.figures)
    asked = [usage_table(usages)] if usages else []
    for part in (_funnel(overview), *proposing, *asked, _tails(overview.tails), _best(overview)):
        console.print(part)
        console.print()
    if found := summary.results.get("neuron_groups"):
        line = f"{found['groups']:,} groups of neurons rise and fall together; "
        console.print(f"{line}{found['described']:,} of them carry a descriptor as a group")
        console.print()
    show_figures(summary.figures)
    if summary.figures:
        more = f"all {len(summary.figures):,} figures: neuroscribe evaluate {out} --all"
        console.print(more, soft_wrap=True)
        console.print()
    console.print(f"stages: {len(summary.recomputed)} done, {len(summary.reused)} reused unchanged")
    # Printed without wrapping: a path cut in two cannot be copied.
    console.print(f"report: {summary.report}", soft_wrap=True)


def show_figures(figures: Sequence[Figure], *, everything: bool = False) -> None:
    """Show what leads in each protocol, or `everything`."""
    from eval.protocol_table import protocol_tables
    from eval.table import COMPACT_LEGEND, compact_tables, full_tables, terminal_tables

    console = new_console()
    if not figures:
        console.print("no evaluation figures: no protocol was asked for")
        return
    if everything:
        _print_tables(console, terminal_tables(full_tables(figures)))
        return
    recovered = compact_tables(figures)
    if recovered:
        heading = "evaluation: do descriptors name the labels that neurons carry?"
        console.print(Text(heading, "bold"))
        console.print()
        _print_tables(console, terminal_tables(recovered))
        console.print(Text(COMPACT_LEGEND, style="dim"))
        console.print()
    _print_tables(console, terminal_tables(protocol_tables(figures)))


def _print_tables(console: Console, tables: Sequence[Group]) -> None:
    for table in tables:
        console.print(table)
        console.print()


def show_questions(run: Path, files: HumanFiles) -> None:
    """Show where the questions for people are, and what to do with their answers."""
    console = new_console()
    console.print(
        f"{files.questions} questions; the key stays with you: {files.key}", soft_wrap=True
    )
    console.print(f"as a page to open in a browser: {files.page}", soft_wrap=True)
    console.print(f"as a table to fill in: {files.table}", soft_wrap=True)
    console.print(f"then: neuroscribe evaluate {run} --answers FILE", soft_wrap=True)


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
    from service.terminal_generation import forecast_rows

    minutes = plan.minutes
    proposing = f", proposing {_duration(minutes.proposing)}" if minutes.proposing else ""
    if plan.lm_requests and minutes.proposing is None:
        proposing = "; how long the LM takes is not known and not in it"
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
        *forecast_rows(plan),
        (
            "time",
            f"about {_duration(minutes.total)}: activations {_to_do(minutes.activations)}, "
            f"embeddings {_to_do(minutes.embeddings)}, matching {_duration(minutes.matching)}, "
            f"random weights {_duration(minutes.lexical)}"
            f"{proposing}",
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
    counts = overview.descriptors
    described = sum(tail.described for tail in overview.tails)
    tails = sum(tail.neurons for tail in overview.tails)
    if tails == 0:
        raise RunError("the run explains no neurons: explanations.parquet is empty; run it again")
    splits = ", ".join(f"{count:,} {split}" for split, count in overview.sentences.items())
    rows = [
        (f"{sum(overview.sentences.values()):,}", f"sentences: {splits}"),
        (f"{counts.proposed:,}", "descriptors proposed"),
        *(
            (f"{count:,}", f"rejected: {_words(reason)}")
            for reason, count in counts.rejections.items()
        ),
        (f"{counts.kept:,}", "descriptors kept"),
        (f"{described:,}", f"neuron tails described, {described / tails:.1%} of {tails:,}"),
    ]
    return table_of("the run at a glance", ("", ""), rows, right=(0,))


def _tails(tails: Sequence[TailCounts]) -> Group:
    reasons = [reason for reason in AbstentionReason if any(reason in t.abstentions for t in tails)]
    rows = [
        (
            f"{counts.site} {counts.tail}",
            f"{counts.neurons:,}",
            f"{counts.described:,} ({counts.described / counts.neurons:.1%})",
            *(f"{counts.abstentions.get(reason, 0):,}" for reason in reasons),
        )
        for counts in tails
    ]
    header = ("site", "neurons", "described", *(_words(reason.name.lower()) for reason in reasons))
    return table_of(
        "neurons by site and tail: described, or not for a reason",
        header,
        rows,
        right=range(1, len(header)),
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
    title = "surest explained neurons, one a descriptor (chosen on discover, AUROC on test)"
    return table_of(title, ("neuron", "descriptor", "AUROC", "95% interval"), rows)


def _rejected(counts: dict[str, int]) -> str:
    reasons = ", ".join(f"{count:,} {_words(reason)}" for reason, count in counts.items())
    return f"rejected: {reasons or 'none'}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _to_do(minutes: float) -> str:
    return _duration(minutes) if minutes else "done"


def _duration(minutes: float) -> str:
    seconds = round(minutes * 60)
    return f"{seconds} s" if seconds < 120 else f"{minutes:.0f} min"
