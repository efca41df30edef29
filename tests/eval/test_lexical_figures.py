"""How much of what is described goes beyond random weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from eval.controls import ControlSettings
from eval.lexical import LexicalControl, LexicalRecord, LexicalSample, rounded
from eval.lexical_figures import TrainedUnits, lexical_figures
from eval.lexical_held_out import held_out
from eval.records import Figure
from neurons.matching import TAILS
from neurons.records import NeuronId, Site, Tail

N_LAYERS, N_UNITS = 2, 200
WEIGHTS = LexicalControl.RANDOM_WEIGHTS


def random_units(
    seed: int = 0, *, control: LexicalControl = WEIGHTS, threshold: float = 0.75
) -> list[LexicalSample]:
    """AUROC values uniform in 0.5 to 0.8; those above the threshold are described with them."""
    generator = np.random.default_rng([seed, 9])
    samples = []
    for layer in range(N_LAYERS):
        for tail in TAILS:
            best = generator.uniform(0.5, 0.8, size=N_UNITS)
            varying = np.arange(N_UNITS) > 0
            samples.append(
                LexicalSample(
                    control=control,
                    seed=seed,
                    layer=layer,
                    site=Site.FFN,
                    tail=tail,
                    best=rounded(best, varying),
                    first_match=rounded(best, varying & (best > threshold)),
                )
            )
    return samples


def trained_units() -> TrainedUnits:
    """Layer 0: 40 positive tails are described at 0.95. Layer 1: as many at 0.7, as words alone."""
    neurons = [NeuronId(layer, Site.FFN, unit) for layer in range(2) for unit in range(N_UNITS)]
    described = np.zeros((len(neurons), 2), dtype=bool)
    first_match = np.zeros(described.shape)
    for layer, auroc in ((0, 0.95), (1, 0.7)):
        own = slice(layer * N_UNITS, layer * N_UNITS + 40)
        described[own, 0] = True
        first_match[own, 0] = auroc
    best = np.where(described, first_match, 0.6)
    varying = np.ones(len(neurons), dtype=bool)
    varying[-1] = False
    return TrainedUnits(neurons, varying, best, described, first_match)


def figures_of(samples: list[LexicalSample], trained: TrainedUnits | None = None) -> list[Figure]:
    record = LexicalRecord(samples=tuple(samples))
    return lexical_figures(record, trained or trained_units(), ControlSettings(), seed=0)


def one(figures: list[Figure], variant: str, metric: str) -> Figure:
    own = [each for each in figures if (each.variant, each.metric) == (variant, metric)]
    assert len(own) == 1, (variant, metric)
    return own[0]


def test_shares_of_learned_matches() -> None:
    figures = figures_of(random_units())
    for where, value, n, described in (
        ("", 0.5, 80, 0.1),
        (" tail=+ site=ffn", 0.5, 80, 0.2),
        (" layer=0 tail=+ site=ffn", 1.0, 40, 0.2),
        (" layer=1 tail=+ site=ffn", 0.0, 40, 0.2),
    ):
        figure = one(figures, f"random_weights{where}", "learned")
        assert (figure.value, figure.n, figure.split) == (value, n, "test")
        assert figure.ci_low is not None
        assert figure.ci_low <= value <= (figure.ci_high or 0.0)
        assert figure.null == pytest.approx(0.05, abs=0.04)
        # The 5% of random tails that come out learned are all described.
        assert figure.baseline == pytest.approx(figure.null / described, rel=0.01)
    assert {figure.protocol for figure in figures} == {"controls"}
    keys = [(figure.variant, figure.metric) for figure in figures]
    assert len(keys) == len(set(keys)) == 4 * (1 + 2 * (1 + N_LAYERS))


def test_too_few_described_tails_make_no_share() -> None:
    figures = figures_of(random_units())
    for where in (" tail=- site=ffn", " layer=0 tail=- site=ffn"):
        figure = one(figures, f"random_weights{where}", "learned")
        assert (figure.value, figure.n) == (None, 0)
        assert "0 tails are described and can be judged, expected 20" in figure.reason


def test_what_random_units_reach_stands_beside_the_run() -> None:
    figures = figures_of(random_units())
    median = one(figures, "random_weights layer=0 tail=+ site=ffn", "best_AUROC")
    assert median.value == pytest.approx(0.65, abs=0.04)
    assert (median.baseline, median.n) == (0.6, N_UNITS - 1)
    strong = one(figures, "random_weights tau=0.9 layer=0 tail=+ site=ffn", "best_AUROC_share")
    assert (strong.value, strong.baseline) == (0.0, 40 / 200)
    described = one(figures, "random_weights layer=1 tail=+ site=ffn", "described")
    assert described.value == pytest.approx(1 / 6, abs=0.06)
    assert (described.baseline, described.n) == (40 / 200, N_UNITS)
    either = one(figures, "random_weights", "described")
    # Either of two tails that know nothing of one another.
    assert either.value == pytest.approx(1 - (5 / 6) ** 2, abs=0.06)
    assert (either.baseline, either.n) == (80 / 400, N_LAYERS * N_UNITS)
    # Of 400 neurons one is constant.
    assert one(figures, "random_weights tau=0.9", "best_AUROC_share").baseline == pytest.approx(
        40 / (2 * 399)
    )


def test_random_directions_have_figures_of_their_own() -> None:
    directions = random_units(control=LexicalControl.RANDOM_DIRECTIONS)
    figures = figures_of([*random_units(), *directions])
    own = one(figures, "random_directions layer=0 tail=+ site=ffn", "learned")
    assert own.value == 1.0
    assert len(figures) == 2 * len(figures_of(random_units()))


def test_without_samples_the_reason_is_told() -> None:
    record = LexicalRecord(reason="the activations come from a file")
    (figure,) = lexical_figures(record, trained_units(), ControlSettings(), seed=0)
    assert (figure.value, figure.variant) == (None, "random_weights")
    assert figure.reason == "the activations come from a file"


def test_few_random_units_make_no_figure() -> None:
    few = [
        sample.model_copy(update={"best": sample.best[:15], "first_match": sample.first_match[:15]})
        for sample in random_units()
    ]
    figures = figures_of(few)
    assert all(
        figure.value is None
        for figure in figures
        if "layer" in figure.variant and figure.metric != "learned"
    )
    learned = one(figures, "random_weights layer=0 tail=+ site=ffn", "learned")
    assert (learned.value, learned.n) == (None, 0)


def test_the_figures_do_not_depend_on_the_order_of_samples() -> None:
    samples = [*random_units(0), *random_units(1)]
    assert {str(each) for each in figures_of(samples)} == {
        str(each) for each in figures_of(samples[::-1])
    }


@pytest.mark.parametrize("n_seeds", [1, 2, 4])
def test_random_units_are_learned_one_time_in_twenty(n_seeds: int) -> None:
    samples = [each for seed in range(n_seeds) for each in random_units(seed)]
    found = held_out(samples, seed=0)
    assert len(found.units) == n_seeds * N_LAYERS * 2 * (N_UNITS - 1)
    assert found.units.mean() == pytest.approx(0.05, abs=0.02)
    n_described = sum(len(each.matched) for each in samples)
    assert len(found.matches) == n_described
    # The described ones are those of the top sixth, so that the same units are learned.
    assert found.matches.sum() == found.units.sum()


def test_a_seed_is_judged_by_the_others_alone() -> None:
    weak = random_units(0)
    strong = [
        each.model_copy(update={"best": tuple(v and v + 0.15 for v in each.best)})
        for each in random_units(1)
    ]
    found = held_out([*weak, *strong], seed=0)
    n_weak = N_LAYERS * len(Tail) * (N_UNITS - 1)
    assert found.units[:n_weak].mean() < 0.01
    assert found.units[n_weak:].mean() == pytest.approx(0.5 + 0.025, abs=0.06)


def test_the_baseline_counts_described_random_units_not_their_share_that_is_learned() -> None:
    samples = random_units(threshold=0.797)
    matched = sum(len(each.matched) for each in samples if each.tail is Tail.POSITIVE)
    assert 0 < matched < 10
    figure = one(figures_of(samples), "random_weights tail=+ site=ffn", "learned")
    # All of these few are learned, against one in five tails of the run that is described.
    assert figure.baseline == pytest.approx(matched / (N_LAYERS * (N_UNITS - 1)) / 0.2)
    assert figure.null == pytest.approx(0.05, abs=0.04)


def test_units_that_nobody_can_judge_are_left_out() -> None:
    few = [
        each.model_copy(update={"best": each.best[:30], "first_match": each.first_match[:30]})
        for each in random_units()
    ]
    # Halves of 30 units are too few to judge by.
    assert held_out(few, seed=0).units.size == 0
    trained = replace(trained_units())
    learned = one(figures_of(few, trained), "random_weights layer=0 tail=+ site=ffn", "learned")
    assert (learned.value, learned.null, learned.baseline) == (1.0, None, None)
