"""The run's matcher where there is nothing to find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.sparse import csr_matrix
from scipy.stats import false_discovery_control, mannwhitneyu

from eval import null_distributions
from eval.controls import ControlSettings, goal, holds, null_figures
from eval.controls import null_distributions as drawn
from eval.null_distributions import (
    OBSERVED,
    NullDistributions,
    read_distributions,
    statistic_counts,
    write_distributions,
)
from eval.null_matching import Matched, NullTask, match_nulls
from eval.null_memberships import NullKind
from eval.records import Figure
from indexer.errors import RunError
from neurons import split_rows
from neurons.explanation_file import described_tails
from neurons.matching import MatchingSettings, match
from neurons.records import NeuronId, Site, Tail
from neurons.split_rows import Activations, Block, SplitRows

N_UNITS, N_SETS, N_SENTENCES = 60, 10, 800
LEVELS = (0.01, 0.05, 0.1, 0.2)
NEURONS = [NeuronId(0, Site.FFN, unit) for unit in range(40)] + [
    NeuronId(0, Site.HIDDEN, unit) for unit in range(20)
]


def as_read(activations: np.ndarray) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, activations.shape[1], n_units):
            yield activations[:, first : first + n_units]

    return Activations(activations.shape[1], len(activations), blocks)


def task_of(n_planted: int = 20, repeats: int = 1, seed: int = 0) -> NullTask:
    """The first units answer to a set each with their positive tail; the last unit is constant."""
    generator = np.random.default_rng(seed)
    sets = generator.random((N_SETS, N_SENTENCES)) < generator.uniform(0.1, 0.3, (N_SETS, 1))
    activations = generator.normal(size=(N_SENTENCES, N_UNITS))
    for unit in range(n_planted):
        activations[sets[unit % N_SETS], unit] += 2.0
    activations[:, -1] = 1.0
    parts = np.split(generator.permutation(N_SENTENCES), [N_SENTENCES // 2, N_SENTENCES * 3 // 4])
    return NullTask(
        activations=as_read(activations.astype(np.float16)),
        membership=csr_matrix(sets.astype(np.float64)),
        rows=SplitRows(*(np.sort(part) for part in parts), documents=np.arange(N_SENTENCES)),
        settings=MatchingSettings(),
        seed=seed,
        levels=LEVELS,
        repeats=repeats,
    )


@pytest.fixture(scope="module")
def found() -> tuple[Matched, dict[NullKind, Matched]]:
    return match_nulls(task_of())


@pytest.fixture(scope="module")
def figures(found: tuple[Matched, dict[NullKind, Matched]]) -> list[Figure]:
    return null_figures(*found, NEURONS, ControlSettings(), seed=0)


def test_the_run_is_described_and_its_nulls_are_not(
    found: tuple[Matched, dict[NullKind, Matched]],
) -> None:
    observed, nulls = found
    task = task_of()
    matches = match(task.activations, task.membership, task.rows, task.settings, task.seed)
    np.testing.assert_array_equal(observed.described, described_tails(matches))
    assert observed.described[:20, 0].all()
    assert observed.either.sum() == 20
    assert list(nulls) == list(NullKind)
    for null in nulls.values():
        assert null.either.mean() <= 0.05
        assert null.discovered[1].mean() <= 0.05
        assert not null.varying[-1]
        assert null.varying[:-1].all()


def test_small_q_values_are_those_of_all_pairs(
    found: tuple[Matched, dict[NullKind, Matched]],
) -> None:
    """Checked with scipy's tests and its Benjamini-Hochberg; ours count a hair fewer."""
    task, observed = task_of(), found[0]
    own = task.rows.discover
    block = next(iter(task.activations.blocks(N_UNITS)))[own].astype(np.float64)
    members = task.membership[:, own].toarray() > 0
    p = np.ones((N_SETS, N_UNITS, 2))
    for number, inside in enumerate(members):
        for unit in range(N_UNITS - 1):
            for column, alternative in enumerate(("greater", "less")):
                p[number, unit, column] = mannwhitneyu(
                    block[inside, unit],
                    block[~inside, unit],
                    alternative=alternative,
                    method="asymptotic",
                    use_continuity=False,
                ).pvalue
    p[:, -1] = 0.5
    q = false_discovery_control(p.ravel()).reshape(p.shape)
    for number, level in enumerate(LEVELS):
        expected = (q <= level).sum(axis=(0, 2)) / (2 * N_SETS)
        assert expected[:20].min() >= 1 / (2 * N_SETS)
        np.testing.assert_allclose(
            observed.discovered[number].mean(), expected.mean(), atol=2 / (2 * N_SETS * N_UNITS)
        )


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, nulls = match_nulls(task_of())
    monkeypatch.setattr(split_rows, "_BLOCK_BYTES", 1)
    parts, others = match_nulls(task_of())
    for one, other in ((whole, parts), *((nulls[kind], others[kind]) for kind in NullKind)):
        for field in ("described", "either", "discovered", "varying"):
            np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        for field in fields(one.best):
            np.testing.assert_array_equal(
                getattr(one.best, field.name), getattr(other.best, field.name)
            )


def test_repeats_are_averaged() -> None:
    loose = MatchingSettings(
        minimum_auroc=0.5, null_quantile=0.51, false_discovery_rate=0.99, matches=1
    )
    task = replace(task_of(0), settings=loose)
    once, twice = (match_nulls(replace(task, repeats=repeats))[1] for repeats in (1, 2))
    for kind in NullKind:
        values = set(np.unique(twice[kind].either).tolist())
        assert values <= {0.0, 0.5, 1.0}
        assert np.abs(twice[kind].either - once[kind].either).max() <= 0.5
        assert len(twice[kind].best.statistic) == 2 * N_UNITS
    assert any(0.5 in twice[kind].either for kind in NullKind)


def one(figures: list[Figure], variant: str, metric: str) -> Figure:
    own = [each for each in figures if (each.variant, each.metric) == (variant, metric)]
    assert len(own) == 1, (variant, metric)
    return own[0]


def test_figures_of_every_null_tail_and_site(figures: list[Figure]) -> None:
    assert {figure.protocol for figure in figures} == {"controls"}
    assert len(figures) == 3 * (1 + 2 * 3 + len(LEVELS))
    for kind in NullKind:
        for where, n, share in (
            ("", 60, 20 / 60),
            (" site=ffn", 40, 20 / 40),
            (" tail=+ site=ffn", 40, 20 / 40),
            (" tail=- site=ffn", 40, 0.0),
            (" site=hidden", 20, 0.0),
        ):
            figure = one(figures, f"{kind}{where}", "described")
            assert (figure.n, figure.baseline) == (n, pytest.approx(share))
            assert figure.split == "validation"
            assert figure.value is not None
            assert figure.ci_low is not None
            assert figure.ci_low <= figure.value <= (figure.ci_high or 0.0)
            assert (goal(figure), holds(figure)) == (0.05, figure.value <= 0.05)
        for level in LEVELS:
            figure = one(figures, f"{kind} q={level:g}", "false_discovery_share")
            assert (goal(figure), holds(figure), figure.n) == (level, True, 60)
            assert figure.baseline is not None
            assert figure.value is not None
            assert figure.value < 0.01 < figure.baseline
    assert one(figures, "shuffled_sentences", "described").value in (0.0, 1 / 60, 2 / 60)


def test_a_null_that_describes_neurons_does_not_hold(
    found: tuple[Matched, dict[NullKind, Matched]],
) -> None:
    observed, nulls = found
    figures = null_figures(
        observed, {**nulls, NullKind.RANDOM_DESCRIPTORS: observed}, NEURONS, ControlSettings(), 0
    )
    assert holds(one(figures, "random_descriptors", "described")) is False
    assert holds(one(figures, "random_descriptors q=0.01", "false_discovery_share")) is False


def test_only_nulls_have_a_goal() -> None:
    other = Figure(protocol="controls", variant="", metric="described", split="test", value=1, n=9)
    assert goal(other) is None
    lexical = other.model_copy(update={"variant": "random_weights tail=+"})
    assert (goal(lexical), holds(lexical)) == (None, None)
    stranger = other.model_copy(update={"variant": "shuffled_sentences", "protocol": "stability"})
    assert goal(stranger) is None
    refused = Figure.refused("controls", "none", metric="described", variant="shuffled_sentences")
    assert (goal(refused), holds(refused)) == (0.05, None)


def test_too_few_neurons_make_no_figure(
    found: tuple[Matched, dict[NullKind, Matched]],
) -> None:
    settings = ControlSettings(minimum_neurons=61)
    figures = null_figures(*found, NEURONS, settings, 0)
    assert [figure.variant for figure in figures] == list(NullKind)
    assert all(figure.value is None and figure.n == 60 for figure in figures)
    assert "60 neurons, expected 61" in figures[0].reason
    with pytest.raises(ValueError, match="60 neurons were matched, 59 are named"):
        null_figures(*found, NEURONS[:-1], ControlSettings(), 0)


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError):
        ControlSettings(levels=(0.0,))
    with pytest.raises(ValidationError):
        ControlSettings(levels=())


def test_no_descriptor_to_judge_is_an_error() -> None:
    with pytest.raises(ValueError, match="no descriptor can be judged"):
        match_nulls(replace(task_of(), membership=csr_matrix((3, N_SENTENCES))))


def test_distributions_hold_every_tail_that_varies(
    found: tuple[Matched, dict[NullKind, Matched]], tmp_path: Path
) -> None:
    record = drawn(*found, NEURONS, LEVELS)
    write_distributions(tmp_path, record)
    assert read_distributions(tmp_path) == record
    keys = [(each.control, each.site, each.tail) for each in record.histograms]
    assert keys == [
        (control, site, tail)
        for control in (OBSERVED, *NullKind)
        for site in (Site.FFN, Site.HIDDEN)
        for tail in Tail
    ]
    for each in record.histograms:
        # The last hidden unit is constant.
        assert sum(each.counts) == (40 if each.site is Site.FFN else 19)
    observed = record.histograms[0].counts
    assert sum(observed[70:]) >= 15
    assert sum(record.histograms[4].counts[70:]) == 0
    assert [each.control for each in record.calibrations] == [OBSERVED, *NullKind]
    assert record.calibrations[0].shares[1] == pytest.approx(found[0].discovered[1].mean())


def test_bins_by_hand() -> None:
    counts = statistic_counts(np.array([[-0.3, 0.0, 0.009], [0.5, 0.999, 1.0]]))
    assert (counts[0], counts[50], counts[99], sum(counts)) == (3, 1, 2, 6)


def test_a_damaged_file_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot read"):
        read_distributions(tmp_path)
    (tmp_path / null_distributions.DISTRIBUTIONS_FILE).write_text('{"histograms": [1]}')
    with pytest.raises(RunError, match="is damaged"):
        read_distributions(tmp_path)
    assert NullDistributions(reason="none").histograms == ()
