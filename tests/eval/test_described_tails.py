"""Which tails are judged, and what they do."""

from collections.abc import Iterator

import numpy as np
import pytest

from eval.defined_means import defined_mean
from eval.described_tails import DescribedTails, described_tails, listed, tail_columns
from eval.label_recovery import Population
from eval.metrics import Ranking
from neurons.records import Tail
from neurons.split_rows import Activations, Block

N_SENTENCES, N_NEURONS = 30, 20


def activations(values: Block) -> Activations:
    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, values.shape[1], min(n_units, 7)):
            yield values[:, first : first + min(n_units, 7)]

    return Activations(values.shape[1], values.shape[0], blocks)


def rankings() -> tuple[Ranking, Ranking]:
    descriptors = np.arange(3 * N_NEURONS).reshape(N_NEURONS, 3)
    positive = np.arange(N_NEURONS) % 4
    return Ranking(descriptors, positive), Ranking(descriptors, np.where(positive == 0, 1, 0))


POPULATIONS = (
    Population("ffn", np.arange(12)),
    Population("hidden", np.arange(12, N_NEURONS)),
)


def test_described_tails_of_each_site_and_sign() -> None:
    found = described_tails(rankings(), POPULATIONS)
    assert [each.name for each in found] == [
        "tail=+ site=ffn",
        "tail=- site=ffn",
        "tail=+ site=hidden",
        "tail=- site=hidden",
    ]
    assert found[0].neurons.tolist() == [1, 2, 3, 5, 6, 7, 9, 10, 11]
    assert found[1].neurons.tolist() == [0, 4, 8]
    assert listed(found[0].ranking, 1).tolist() == [6, 7]
    assert found[0].several.tolist() == [False, True, True] * 3


def test_a_limit_draws_by_seed() -> None:
    drawn = [described_tails(rankings(), POPULATIONS, limit=4, seed=seed)[0] for seed in range(20)]
    assert all(len(each) == 4 for each in drawn)
    assert len({tuple(each.neurons.tolist()) for each in drawn}) > 5
    again = described_tails(rankings(), POPULATIONS, limit=4, seed=3)[0]
    assert again.neurons.tolist() == drawn[3].neurons.tolist()
    assert all((np.diff(each.neurons) > 0).all() for each in drawn)
    for each in drawn:
        for place, neuron in enumerate(each.neurons.tolist()):
            assert listed(each.ranking, place)[0] == 3 * neuron


def test_what_may_not_be_judged_is_left_out() -> None:
    ranking = Ranking(np.array([[0, 1, 2], [3, 0, 4], [1, 3, 2]]), np.array([3, 3, 1]))
    tails = DescribedTails("all", Tail.POSITIVE, np.array([4, 6, 9]), ranking)
    allowed = np.array([True, False, True, True, True])
    found = tails.restricted(allowed, 2)
    assert found.neurons.tolist() == [4, 6]
    assert [listed(found.ranking, place).tolist() for place in range(2)] == [[0], [3, 0]]
    assert len(tails.restricted(np.zeros(5, dtype=np.bool_), 2)) == 0


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_every_tail_is_read_once_with_its_sign(dtype: type[np.floating]) -> None:
    values = np.random.default_rng(0).normal(size=(N_SENTENCES, N_NEURONS)).astype(dtype)
    samples = described_tails(rankings(), POPULATIONS)
    rows = np.array([5, 3, 29, 0])
    seen = []
    for number, place, column in tail_columns(activations(values), rows, samples):
        sample = samples[number]
        sign = 1.0 if sample.tail is Tail.POSITIVE else -1.0
        assert column == pytest.approx(sign * values[rows, sample.neurons[place]])
        seen.append((number, place))
    expected = [
        (number, place) for number, each in enumerate(samples) for place in range(len(each))
    ]
    assert sorted(seen) == expected


def test_undefined_values_are_left_out_of_a_mean() -> None:
    values, null = np.array([1.0, np.nan, 3.0]), np.array([np.nan, 1.0, np.nan])
    figure = defined_mean("observational", "", "F1", values, null=null, k=2, seed=0)
    assert (figure.value, figure.null, figure.baseline, figure.n) == (2.0, 1.0, None, 2)
    assert (figure.ci_low, figure.ci_high) == (1.0, 3.0)
    nothing = defined_mean("observational", "", "F1", np.full(3, np.nan), seed=0)
    assert (nothing.value, nothing.ci_low, nothing.n) == (None, None, 0)
