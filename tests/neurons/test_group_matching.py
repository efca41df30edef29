"""Groups matched by their mean: planted signals, brute force, and what chance gives."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from indexer.errors import RunError
from neurons.group_matching import FEWEST_ROWS, Evidence, find_neuron_groups, signed_means
from neurons.group_records import (
    NeuronGroups,
    NeuronGroupSettings,
    read_neuron_groups,
    write_neuron_groups,
)
from neurons.matching import MatchingSettings
from neurons.neuron_groups import NeuronGroup, SignedNeuron
from neurons.records import AbstentionReason, NeuronId, Site, Tail
from neurons.split_rows import Activations, Block, SplitRows

N_SENTENCES, N_NEURONS = 400, 24
PLANTED = {3: 1, 10: -1, 17: 1}


def activations_of(columns: NDArray[np.float64]) -> Activations:
    stored = columns.astype(np.float16)

    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, stored.shape[1], n_units):
            yield stored[:, first : first + n_units]

    return Activations(stored.shape[1], stored.shape[0], blocks)


def split_rows(n_sentences: int = N_SENTENCES) -> SplitRows:
    rows = np.random.default_rng(4).permutation(n_sentences).astype(np.int64)
    discover, validation, test = np.split(rows, [n_sentences // 2, n_sentences * 3 // 4])
    return SplitRows(discover, validation, test, np.arange(n_sentences))


def planted(seed: int = 0) -> tuple[NDArray[np.float64], csr_matrix]:
    """Noise, but for three neurons that follow the first of four sets, one of them downwards."""
    generator = np.random.default_rng(seed)
    members = generator.random((4, N_SENTENCES)) < 0.25
    columns = generator.normal(size=(N_SENTENCES, N_NEURONS))
    shared = members[0] + 0.3 * generator.normal(size=N_SENTENCES)
    for neuron, sign in PLANTED.items():
        noise = 0.1 * generator.normal(size=N_SENTENCES)
        columns[:, neuron] = 5.0 + sign * (neuron + 1) * (shared + noise)
    return columns, csr_matrix(members.astype(np.float32))


def evidence_of(columns: NDArray[np.float64], membership: csr_matrix) -> Evidence:
    return Evidence(
        activations=activations_of(columns),
        neurons=[NeuronId(0, Site.FFN, unit) for unit in range(columns.shape[1])],
        membership=membership,
        descriptors=[(f"d{row}", f"phrase {row}") for row in range(membership.shape[0])],
        handicaps=np.zeros(membership.shape[0]),
        rows=split_rows(len(columns)),
    )


def found_in(columns: NDArray[np.float64], membership: csr_matrix) -> NeuronGroups:
    evidence = evidence_of(columns, membership)
    return find_neuron_groups(evidence, NeuronGroupSettings(), MatchingSettings(), 0)


def test_planted_neurons_make_a_group_that_carries_their_descriptor() -> None:
    columns, membership = planted()
    (group,) = found_in(columns, membership).groups
    assert group.id == "G1"
    signs = {member.neuron: member.sign for member in group.members}
    assert signs == {f"L0.ffn.{neuron}": sign for neuron, sign in PLANTED.items()}
    assert group.coherence > 0.9
    assert group.null_coherence == pytest.approx(1 / np.sqrt(3), abs=0.1)
    positive, negative = group.tails
    assert (positive.tail, negative.tail) == (Tail.POSITIVE, Tail.NEGATIVE)
    assert [match.descriptor for match in positive.matches] == ["phrase 0"]
    assert negative.matches == ()
    assert negative.reason in set(AbstentionReason)


def test_the_auroc_told_is_that_of_the_mean_on_test() -> None:
    columns, membership = planted()
    match = found_in(columns, membership).groups[0].tails[0].matches[0]
    rows = split_rows()
    stored = columns.astype(np.float16).astype(np.float64)
    mean = np.zeros(N_SENTENCES)
    for neuron, sign in PLANTED.items():
        fitted = stored[rows.discover, neuron]
        mean += sign * (stored[:, neuron] - fitted.mean()) / fitted.std()
    holds = membership.toarray()[0] > 0
    assert match.auroc == pytest.approx(roc_auc_score(holds[rows.test], mean[rows.test]))
    assert match.ci_low <= match.auroc <= match.ci_high


def test_signed_means_are_those_of_brute_force_and_constants_count_as_nothing() -> None:
    columns, _ = planted()
    columns[:, 5] = 0.1
    rows = np.arange(0, N_SENTENCES, 3)
    groups = [
        NeuronGroup((SignedNeuron(3, 1), SignedNeuron(10, -1)), 1.0, 0.5),
        NeuronGroup((SignedNeuron(5, 1), SignedNeuron(6, 1)), 1.0, 0.5),
    ]
    means = signed_means(activations_of(columns), groups, rows)
    stored = columns.astype(np.float16).astype(np.float64)
    spread = np.where(np.ptp(stored, axis=0) > 0, stored[rows].std(axis=0), np.inf)
    scaled = (stored - stored[rows].mean(axis=0)) / spread
    np.testing.assert_allclose(means[:, 0], (scaled[:, 3] - scaled[:, 10]) / 2, atol=1e-5)
    np.testing.assert_allclose(means[:, 1], scaled[:, 6] / 2, atol=1e-5)


def test_a_group_that_carries_nothing_says_why() -> None:
    columns, membership = planted()
    unrelated = csr_matrix(np.random.default_rng(9).random((4, N_SENTENCES)) < 0.25, dtype=float)
    (group,) = found_in(columns, unrelated).groups
    for tail in group.tails:
        assert tail.matches == ()
        assert tail.reason is not None
    assert membership.shape == unrelated.shape


def test_noise_makes_no_groups() -> None:
    columns = np.random.default_rng(1).normal(size=(N_SENTENCES, N_NEURONS))
    found = found_in(columns, planted()[1])
    assert found == NeuronGroups(settings=NeuronGroupSettings())


def test_chance_among_few_sentences_is_left_out_and_counted() -> None:
    """Half of some 12 discover sentences: hundreds of pairs correlate, validation shows none."""
    n_sentences = 4 * FEWEST_ROWS
    columns = np.random.default_rng(2).normal(size=(n_sentences, 300))
    membership = csr_matrix(np.ones((1, n_sentences)))
    found = found_in(columns, membership)
    assert found.not_replicated > 0
    assert all(group.coherence > group.null_coherence for group in found.groups)


def test_too_few_sentences_are_said() -> None:
    columns, membership = planted()
    few = 4 * (FEWEST_ROWS - 1)
    found = found_in(columns[:few], membership[:, :few])
    assert found.too_few_sentences
    assert found.groups == ()


def test_no_descriptors_leave_the_groups() -> None:
    columns, membership = planted()
    (group,) = found_in(columns, membership[:0]).groups
    assert [tail.matches for tail in group.tails] == [(), ()]


def test_the_file_comes_back_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "neuron_groups.json"
    found = found_in(*planted())
    write_neuron_groups(path, found)
    assert read_neuron_groups(path) == found
    before = path.read_bytes()
    write_neuron_groups(path, found_in(*planted()))
    assert path.read_bytes() == before
    for damage in (b"", b"[]", before[:-40], before.replace(b'"sign": -1', b'"sign": 2')):
        path.write_bytes(damage)
        with pytest.raises(RunError, match=r"neuron_groups\.json"):
            read_neuron_groups(path)
