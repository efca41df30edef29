"""What of the recovery of labels is luck: the same runs with groups from other starts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.corpora import shared_corpus
from benchmarks.processes import neuroscribe, watch
from benchmarks.records import Measurement
from benchmarks.recovery import FACETS, OPTIONS, SETUPS, RecoveryTable, renew_page
from eval.intervals import Interval
from eval.variants import Reading
from indexer.arrays import DoubleArray

PAGE = Path(__file__).with_name("luck.md")
SEEDS = tuple(range(5))

BY_TEXT, BY_DEFAULT, UNION = "keyphrase, groups by text", "keyphrase", "embedded + keyphrase"
_SETUPS = (BY_TEXT, BY_DEFAULT, UNION)
LINES = ((0.8, 1), (0.8, 2), (0.9, 1), (0.9, 2))
"""Threshold of the gold labels and k of each line of the page."""

_FEWEST = 30
"""Tails that a line needs: of fewer, one or two descriptors decide."""

_TITLE = f"""# The luck of grouping

Runs as in [recovery.md](recovery.md), with groups from {len(SEEDS)} different starts of the
clusterings (`--grouping-seed`) on the same splits. In brackets the worst and the best; differences
are means over the starts, with 95% intervals (paired t). The first three columns: groups by text
alone, and by text and neurons (the default), with keyphrases as names, which do not count here. The
others: what the phrases themselves say (`named`), by keyphrases and by the embedded generator with
keyphrases, on the default's groups. Lines with fewer than {_FEWEST} tails are left out.
"""
_HEAD = (
    "| facet | tau | metric | by text | default | default less text "
    "| keyphrase, named | both, named | both less keyphrase | n |\n"
    "|---|---|---|---|---|---|---|---|---|---:|"
)


@dataclass(frozen=True)
class Comparison:
    """One figure under two setups, each over the same seeds (`n_seeds`)."""

    one: DoubleArray
    other: DoubleArray

    @property
    def gain(self) -> float:
        """What the other setup has more, on average."""
        return float(np.mean(self.other - self.one))

    @property
    def interval(self) -> Interval:
        """The gain's, 95%, by the paired t; its point where all seeds agree."""
        from scipy.stats import ttest_rel

        gains = self.other - self.one
        if np.ptp(gains) == 0.0:
            return Interval(float(gains[0]), float(gains[0]))
        found = ttest_rel(self.other, self.one).confidence_interval(0.95)
        return Interval(float(found.low), float(found.high))


@dataclass(frozen=True)
class Line:
    """What the page tells of one facet, threshold and k."""

    facet: str
    tau: float
    k: int
    tails: int
    grouping: Comparison
    naming: Comparison


def measure(workspace: Path, corpus: str) -> list[Measurement]:
    """Run on `corpus` once for each seed and setup; also renews its part of `luck.md`.

    Raises:
        FileNotFoundError: the development data is not beside the checkout.
    """
    source = shared_corpus(corpus)
    if source is None:
        raise FileNotFoundError(f"{corpus} is not in ../shared/data")
    out = workspace / f"luck-{corpus}"
    tables: list[list[RecoveryTable]] = []
    for seed in SEEDS:
        tables.append(
            [each for setup in _SETUPS for each in _tables(source, corpus, out, seed, setup)]
        )
        # How many tails there are does not depend on the groups: other starts would tell no more.
        if not list(lines_of(corpus, tables)):
            break
    shutil.rmtree(out)
    lines = list(lines_of(corpus, tables))
    renew_page(PAGE, _TITLE, corpus, section(corpus, lines))
    return [each for line in lines for each in measurements(corpus, line)]


def _tables(source: Path, corpus: str, out: Path, seed: int, setup: str) -> list[RecoveryTable]:
    """One run; it goes on from what the one before has read of the corpus and the neurons."""
    from eval.evaluation_file import read_evaluation

    watch(
        neuroscribe(
            *("run", "--corpus", str(source), "--site", "ffn", "--out", str(out), "--update"),
            *("--lexical-seeds", "0", "--protocol", "label_recovery"),
            *("--grouping-seed", str(seed), *OPTIONS.get(corpus, ()), *SETUPS[setup]),
        )
    )
    figures = read_evaluation(out)
    return [
        RecoveryTable(corpus, facet, setup, tuple(f for f in figures if f.facet == facet))
        for facet in FACETS[corpus]
    ]


def lines_of(corpus: str, tables: Sequence[Sequence[RecoveryTable]]) -> Iterator[Line]:
    """The lines of `corpus` that enough tails have; `tables` are those of each seed."""

    def values(facet: str, setup: str, reading: str, tau: float, k: int) -> DoubleArray:
        own = [
            each.find(tau, reading, "P", k)
            for seed in tables
            for each in seed
            if (each.facet, each.setup) == (facet, setup)
        ]
        return np.array([each.value for each in own if each is not None], dtype=np.float64)

    for facet in FACETS[corpus]:
        first = next(each for each in tables[0] if each.facet == facet)
        for tau, k in LINES:
            figure = first.find(tau, Reading.HEADLINE, "P", k)
            if figure is None or figure.n < _FEWEST:
                continue
            headline, named = (
                [values(facet, setup, reading, tau, k) for setup in _SETUPS]
                for reading in (Reading.HEADLINE, Reading.NAMED)
            )
            yield Line(
                facet=facet,
                tau=tau,
                k=k,
                tails=figure.n,
                grouping=Comparison(headline[0], headline[1]),
                naming=Comparison(named[1], named[2]),
            )


def measurements(corpus: str, line: Line) -> Iterator[Measurement]:
    """Means over the seeds, each beside what it is compared with."""
    what = f"luck.{corpus}.{line.facet}.P@{line.k}.tau{line.tau:g}"
    for name, against, compared in (
        ("groups", "groups by text", line.grouping),
        ("named", "keyphrase", line.naming),
    ):
        reference = float(np.mean(compared.one))
        yield Measurement.of(
            f"{what}.{name}",
            float(np.mean(compared.other)),
            "share",
            against=against if reference else None,
            reference=reference or None,
        )


def section(corpus: str, lines: Sequence[Line]) -> str:
    """The part of `luck.md` that is about `corpus`."""
    options = [f"`{' '.join(OPTIONS[corpus])}`", ""] if corpus in OPTIONS else []
    rows = [_row(line) for line in lines] or [f"No line has {_FEWEST} tails."]
    return "\n".join([f"## {corpus}", "", *options, *([_HEAD] if lines else []), *rows, ""])


def _row(line: Line) -> str:
    cells = [line.facet, f"{line.tau:g}", f"P@{line.k}"]
    for compared in (line.grouping, line.naming):
        interval = compared.interval
        cells += [
            _spread(compared.one),
            _spread(compared.other),
            f"{compared.gain:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})",
        ]
    return f"| {' | '.join([*cells, f'{line.tails:,}'])} |"


def _spread(values: DoubleArray) -> str:
    return f"{np.mean(values):.3f} ({np.min(values):.3f} to {np.max(values):.3f})"
