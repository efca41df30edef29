"""How well runs recover labels they never saw, on labelled development data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpora import shared_corpus
from benchmarks.processes import neuroscribe, watch
from benchmarks.records import Measurement
from eval.variants import Reading, Variant
from indexer.storage import atomic_path
from neurons.records import Tail

if TYPE_CHECKING:
    from eval.records import Figure

PAGE = Path(__file__).with_name("recovery.md")
FACETS = {
    "clinc150": ("intent", "domain"),
    "banking77": ("intent",),
    "dbpedia14": ("class",),
    "news_topics41": ("topic",),
    "device_reviews": ("category", "stars", "sentiment"),
    "goemotions": ("emotion",),
    "sentiment_sentences": ("sentiment", "domain"),
}
OPTIONS = {
    "dbpedia14": ("--limit", "5000"),
    "news_topics41": ("--limit", "8000"),
    "device_reviews": ("--segment", "none", "--limit", "5000"),
    "goemotions": ("--limit", "15000"),
}
"""What differs from the defaults: very large sets are cut; a review's labels are of the whole."""

_KEYPHRASE = ("--proposer", "keyphrase")
_EMBEDDED = ("--proposer", "embedded")
_BY_TEXT = ("--groups", "embeddings")
SETUPS = {
    "keyphrase, groups by text": (*_KEYPHRASE, *_BY_TEXT),
    "keyphrase": _KEYPHRASE,
    "embedded": _EMBEDDED,
    "embedded + keyphrase": (*_EMBEDDED, *_KEYPHRASE),
}
"""Ways to propose; groups are formed by text and neurons unless the setup says otherwise."""

_KS = (1, 2)
_TAUS = (0.8, 0.9)
_GOALS = {
    ("clinc150", "intent", 0.9, "P", 2): ">= 0.65",
    ("clinc150", "intent", 0.9, "R", 2): ">= 0.43",
}
_BASELINE_GOAL = "< 0.05"
_TITLE = "# Label recovery\n"
_HEAD = (
    "| tau | metric | setup | value "
    "| 95% interval | null | baseline | upper bound | ceiling | contained | named "
    "| n |\n|---|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True)
class RecoveryTable:
    """The figures of one facet of one corpus under one setup."""

    corpus: str
    facet: str
    setup: str
    figures: tuple[Figure, ...]

    def find(self, tau: float, reading: str, metric: str, k: int) -> Figure | None:
        """The figure for the positive tails under one reading, if it was computed."""
        variant = str(Variant(reading, tau, Tail.POSITIVE, "ffn"))
        found = [
            figure
            for figure in self.figures
            if (figure.variant, figure.metric, figure.k) == (variant, metric, k)
        ]
        return found[0] if found else None

    def rows(self) -> Iterator[tuple[float, Figure]]:
        """Threshold and headline figure of each line, precision before recall."""
        for tau in _TAUS:
            for metric in ("P", "R"):
                for k in _KS:
                    figure = self.find(tau, Reading.HEADLINE, metric, k)
                    if figure is not None:
                        yield tau, figure


def measure(workspace: Path, corpus: str) -> list[Measurement]:
    """Run on `corpus` and evaluate; also renews its part of `recovery.md`.

    Raises:
        FileNotFoundError: the development data is not beside the checkout.
    """
    from eval.evaluation_file import read_evaluation

    source = shared_corpus(corpus)
    if source is None:
        raise FileNotFoundError(f"{corpus} is not in ../shared/data")
    out = workspace / f"recovery-{corpus}"
    tables: list[RecoveryTable] = []
    seconds = 0.0
    for setup, options in SETUPS.items():
        command = neuroscribe(
            *("run", "--corpus", str(source), "--site", "ffn", "--out", str(out), "--update"),
            *("--lexical-seeds", "0", "--protocol", "label_recovery"),
            *OPTIONS.get(corpus, ()),
            *options,
        )
        # Only the first run reads the corpus and the neurons; the others go on from its stages.
        seconds += watch(command).seconds
        figures = read_evaluation(out)
        tables += [
            RecoveryTable(corpus, facet, setup, tuple(f for f in figures if f.facet == facet))
            for facet in FACETS[corpus]
        ]
    shutil.rmtree(out)
    renew_page(PAGE, _TITLE, corpus, section(corpus, tables))
    return [
        Measurement.of(f"recovery.{corpus}.seconds", seconds, "s"),
        *(each for table in tables for each in measurements(table)),
    ]


def measurements(table: RecoveryTable) -> Iterator[Measurement]:
    """The headline figures that are defined, each against the true labels as descriptors."""
    for tau, figure in table.rows():
        if figure.value is None or figure.k is None:
            continue
        setup = table.setup.replace(" ", "").replace(",", ".")
        what = f"{figure.metric}@{figure.k}.tau{tau:g}"
        name = f"recovery.{table.corpus}.{table.facet}.{setup}.{what}"
        goal = _GOALS.get((table.corpus, table.facet, tau, figure.metric, figure.k))
        upper = table.find(tau, Reading.UPPER_BOUND, figure.metric, figure.k)
        reachable = upper.value if upper is not None and upper.value else None
        yield Measurement.of(
            name,
            figure.value,
            "share",
            goal=goal,
            against=None if reachable is None else "true labels as descriptors",
            reference=reachable,
        )
        if goal is not None and figure.baseline is not None:
            yield Measurement.of(
                f"{name}.commonest_descriptors", figure.baseline, "share", goal=_BASELINE_GOAL
            )


def section(corpus: str, tables: Sequence[RecoveryTable]) -> str:
    """The part of `recovery.md` that is about `corpus`."""
    lines = [f"## {corpus}", ""]
    if corpus in OPTIONS:
        lines += [f"`{' '.join(OPTIONS[corpus])}`", ""]
    for facet in FACETS[corpus]:
        own = [table for table in tables if table.facet == facet]
        lines += [f"### {facet}", "", _HEAD]
        by_line = zip(*(table.rows() for table in own), strict=True)
        for same in by_line:
            lines += [
                _line(table, tau, figure) for table, (tau, figure) in zip(own, same, strict=True)
            ]
        lines += [""]
    return "\n".join(lines)


def _line(table: RecoveryTable, tau: float, figure: Figure) -> str:
    def value(reading: str, metric: str) -> float | None:
        found = table.find(tau, reading, metric, figure.k or 0)
        return None if found is None else found.value

    cells = [
        f"{tau:g}",
        f"{figure.metric}@{figure.k}",
        table.setup,
        _number(figure.value),
        "" if figure.ci_low is None else f"{figure.ci_low:.3f} to {figure.ci_high:.3f}",
        _number(figure.null),
        _number(figure.baseline),
        _number(value(Reading.UPPER_BOUND, figure.metric)),
        _number(value(Reading.HEADLINE, "R_ceiling") if figure.metric == "R" else None),
        _number(value(Reading.CONTAINED, figure.metric)),
        _number(value(Reading.NAMED, figure.metric)),
        f"{figure.n:,}",
    ]
    return f"| {' | '.join(cells)} |"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def renew_page(page: Path, title: str, corpus: str, section: str) -> None:
    """Replace the section of `corpus`; the others stay, in the order of `FACETS`."""
    sections = {corpus: section}
    if page.exists():
        for part in page.read_text(encoding="utf-8").split("\n## ")[1:]:
            sections.setdefault(part.splitlines()[0], f"## {part.rstrip()}\n")
    ordered = [sections[name] for name in FACETS if name in sections]
    with atomic_path(page) as partial:
        partial.write_text("\n".join([title, *ordered]), encoding="utf-8")
