from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from eval.causal_plan import (
    DescribedTail,
    SplitMembers,
    described_tails,
    matched_units,
    namesakes,
    populations,
    random_directions,
    spread_over_layers,
)
from neurons.records import Explanation, Match, NeuronId, Site, Tail


def explanation(neuron: NeuronId, tail: Tail, *descriptors: str) -> Explanation:
    matches = tuple(
        Match(
            rank=rank + 1,
            descriptor_id=name,
            descriptor=name,
            auroc=0.9,
            ci_low=0.8,
            ci_high=1.0,
            q=0.0,
            exemplar_z=1.0,
        )
        for rank, name in enumerate(descriptors)
    )
    return Explanation(neuron=str(neuron), tail=tail, matches=matches)


FIRST, SECOND = NeuronId(0, Site.FFN, 3), NeuronId(1, Site.FFN, 4)
HIDDEN = NeuronId(0, Site.HIDDEN, 5)
EXPLANATIONS = {
    (FIRST, Tail.POSITIVE): explanation(FIRST, Tail.POSITIVE, "b", "a"),
    (FIRST, Tail.NEGATIVE): explanation(FIRST, Tail.NEGATIVE),
    (SECOND, Tail.POSITIVE): explanation(SECOND, Tail.POSITIVE),
    (SECOND, Tail.NEGATIVE): explanation(SECOND, Tail.NEGATIVE, "a"),
    (HIDDEN, Tail.POSITIVE): explanation(HIDDEN, Tail.POSITIVE, "a"),
}


def test_described_tails_and_who_shares_a_descriptor() -> None:
    assert described_tails(EXPLANATIONS, ["a", "b"], Site.FFN) == [
        DescribedTail(FIRST, Tail.POSITIVE, 1),
        DescribedTail(SECOND, Tail.NEGATIVE, 0),
    ]
    assert namesakes(EXPLANATIONS) == {"a": {FIRST, SECOND, HIDDEN}, "b": {FIRST}}
    with pytest.raises(ValueError, match="b is not in the catalog"):
        described_tails(EXPLANATIONS, ["a"], Site.FFN)


@pytest.mark.parametrize(
    ("n_wanted", "expected"),
    [(6, {0: 2, 1: 2, 2: 2}), (12, {0: 2, 1: 5, 2: 5}), (99, {0: 2, 1: 10, 2: 30})],
)
def test_layers_take_turns(n_wanted: int, expected: dict[int, int]) -> None:
    described = [
        DescribedTail(NeuronId(layer, Site.FFN, unit), Tail.POSITIVE, 0)
        for layer, n_units in ((0, 2), (1, 10), (2, 30))
        for unit in range(n_units)
    ]
    drawn = spread_over_layers(described, n_wanted, np.random.default_rng(0))
    assert Counter(each.neuron.layer for each in drawn) == expected
    assert len(set(drawn)) == len(drawn)
    assert drawn == sorted(drawn)
    assert drawn == spread_over_layers(described, n_wanted, np.random.default_rng(0))


def test_every_neuron_of_a_layer_is_as_likely() -> None:
    described = [DescribedTail(NeuronId(0, Site.FFN, unit), Tail.POSITIVE, 0) for unit in range(5)]
    drawn = Counter(
        each.neuron.unit
        for seed in range(1000)
        for each in spread_over_layers(described, 2, np.random.default_rng(seed))
    )
    assert all(abs(drawn[unit] - 400) < 80 for unit in range(5))


def test_matched_units_are_distinct_and_comparable() -> None:
    comparable = np.asarray([False, False, True, True, False, True])
    generator = np.random.default_rng(0)
    for _ in range(20):
        chosen = matched_units(comparable, 2, generator).tolist()
        assert set(chosen) <= {2, 3, 5}
        assert chosen == sorted(set(chosen))
    with pytest.raises(ValueError, match="3 units are left to compare with, expected 4"):
        matched_units(comparable, 4, generator)


def test_random_directions_have_length_one_and_no_preference() -> None:
    drawn = random_directions(4000, 3, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(drawn.mean(axis=0), 0.0, atol=0.03)
    np.testing.assert_allclose(drawn.T @ drawn / 4000, np.eye(3) / 3, atol=0.03)


def test_split_members_keep_the_order_of_rows() -> None:
    membership = csr_matrix(np.asarray([[0.0, 0.5, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0]]))
    found = SplitMembers.of(membership, 0, np.asarray([3, 2, 1]))
    assert found.members.tolist() == [3, 1]
    assert found.others.tolist() == [2]


def test_populations() -> None:
    drawn = [
        DescribedTail(NeuronId(0, Site.FFN, 1), Tail.POSITIVE, 0),
        DescribedTail(NeuronId(2, Site.FFN, 1), Tail.NEGATIVE, 0),
        DescribedTail(NeuronId(2, Site.FFN, 2), Tail.POSITIVE, 0),
    ]
    found = {each.name: each.neurons.tolist() for each in populations(drawn, Site.FFN)}
    assert found == {
        "site=ffn": [0, 1, 2],
        "layer=0 site=ffn": [0],
        "layer=2 site=ffn": [1, 2],
        "tail=+ site=ffn": [0, 2],
        "tail=- site=ffn": [1],
    }
