import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.luck import (
    BY_DEFAULT,
    BY_TEXT,
    UNION,
    Comparison,
    lines_of,
    measurements,
    section,
)
from benchmarks.recovery import RecoveryTable, renew_page
from eval.records import Figure
from eval.variants import Reading, Variant
from neurons.records import Tail


def table(setup: str, value: float, named: float, tails: int = 40) -> RecoveryTable:
    """P@1 at 0.8 and nothing else."""
    figures = tuple(
        Figure(
            protocol="label_recovery",
            variant=str(Variant(reading, 0.8, Tail.POSITIVE, "ffn")),
            metric="P",
            k=1,
            split="test",
            facet="intent",
            value=each,
            n=tails,
        )
        for reading, each in ((Reading.HEADLINE, value), (Reading.NAMED, named))
    )
    return RecoveryTable("banking77", "intent", setup, figures)


TABLES = [
    [table(BY_TEXT, 0.5, 0.0), table(BY_DEFAULT, 0.75, 0.2), table(UNION, 0.75, 0.3)],
    [table(BY_TEXT, 0.6, 0.0), table(BY_DEFAULT, 0.65, 0.4), table(UNION, 0.65, 0.4)],
]


def test_a_gain_is_paired_by_seed() -> None:
    compared = Comparison(np.array([0.5, 0.6, 0.4]), np.array([0.6, 0.65, 0.55]))
    gains = np.array([0.1, 0.05, 0.15])
    assert compared.gain == pytest.approx(0.1)
    half = stats.t.ppf(0.975, 2) * stats.sem(gains)
    assert compared.interval.low == pytest.approx(0.1 - half)
    assert compared.interval.high == pytest.approx(0.1 + half)


def test_where_no_seed_changes_anything_the_interval_is_a_point() -> None:
    interval = Comparison(np.full(3, 0.5), np.full(3, 0.5)).interval
    assert (interval.low, interval.high) == (0.0, 0.0)


def test_a_line_tells_both_groupings_and_both_namings() -> None:
    (line,) = lines_of("banking77", TABLES)
    page = section("banking77", [line])
    assert "| intent | 0.8 | P@1 | 0.550 (0.500 to 0.600) | 0.700 (0.650 to 0.750) |" in page
    # Gains of 0.25 and 0.05: the half width is t(0.975; 1) times their standard error of 0.1.
    half = math.tan(math.pi * 0.475) * 0.1
    assert f"| +0.150 ({0.15 - half:+.3f} to {0.15 + half:+.3f}) |" in page
    assert "| 0.300 (0.200 to 0.400) | 0.350 (0.300 to 0.400) | +0.050" in page
    assert page.rstrip().endswith("| 40 |")
    groups, named = measurements("banking77", line)
    assert (groups.value, groups.ratio) == (pytest.approx(0.7), pytest.approx(0.7 / 0.55))
    assert (named.value, named.ratio) == (pytest.approx(0.35), pytest.approx(0.35 / 0.3))


def test_few_tails_make_no_line() -> None:
    few = [[table(each, 0.5, 0.5, tails=29) for each in (BY_TEXT, BY_DEFAULT, UNION)]]
    assert list(lines_of("banking77", few)) == []
    assert "No line has 30 tails." in section("banking77", [])


def test_a_corpus_takes_its_place_among_the_others_on_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for corpus in ("goemotions", "clinc150", "banking77"):
        renew_page(page, "# Title\n", corpus, f"## {corpus}\n\nold\n")
    renew_page(page, "# Title\n", "banking77", "## banking77\n\nnew\n")
    assert page.read_text("utf-8") == (
        "# Title\n\n## clinc150\n\nold\n\n## banking77\n\nnew\n\n## goemotions\n\nold\n"
    )
