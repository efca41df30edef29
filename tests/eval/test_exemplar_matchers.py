"""Exemplar counts and frequency against plain loops."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from eval.exemplar_matchers import exemplar_counts, frequency
from eval.matcher_task import MatcherTask, RivalSettings
from neurons.split_rows import SplitRows
from tests.eval.matcher_tasks import every_activation, held, random_task, ranked_lists


def counted(task: MatcherTask, sign: float) -> list[list[int]]:
    """Exemplar by exemplar and descriptor by descriptor."""
    members = task.membership.toarray() > 0
    lists = []
    for values in every_activation(task).T.astype(np.float64) * sign:
        order = sorted(task.selection.tolist(), key=lambda row: (-values[row], row))
        exemplars = order[: task.settings.n_exemplars]
        counts = [sum(bool(own[row]) for row in exemplars) for own in members]
        ranked = sorted(range(len(counts)), key=lambda place: (-counts[place], place))
        lists.append([place for place in ranked if counts[place] > 0][: task.n_ranks])
    return lists


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_exemplar_counts_as_a_loop_counts_them(seed: int, dtype: type) -> None:
    task = random_task(seed, dtype)
    positive, negative = exemplar_counts(task)
    assert ranked_lists(positive) == counted(task, 1.0)
    assert ranked_lists(negative) == counted(task, -1.0)


def test_a_common_descriptor_wins_whatever_the_neuron_does() -> None:
    """The base-rate trap: descriptor 1 fits the neuron exactly, descriptor 0 merely is common."""
    n_sentences = 100
    values = np.zeros((n_sentences, 1), dtype=np.float16)
    values[:8] = 1.0
    members = np.zeros((2, n_sentences))
    members[0], members[1, :8] = 1.0, 1.0
    everything = np.arange(n_sentences)
    task = MatcherTask(
        activations=held(values),
        membership=csr_matrix(members),
        rows=SplitRows(everything[:80], everything[80:90], everything[90:], everything),
        layers=np.array([0]),
        settings=RivalSettings(n_exemplars=20),
    )
    assert ranked_lists(exemplar_counts(task)[0]) == [[0, 1]]


def test_fewer_sentences_than_exemplars() -> None:
    task = random_task(3, settings=RivalSettings(n_exemplars=1000))
    ranked = ranked_lists(exemplar_counts(task)[0])
    assert all(own == ranked[0] for own in ranked)


@pytest.mark.parametrize("seed", range(3))
def test_frequency_gives_everyone_the_commonest_of_discover(seed: int) -> None:
    task = random_task(seed)
    sizes = (task.membership.toarray()[:, task.rows.discover] > 0).sum(axis=1)
    expected = sorted(range(len(sizes)), key=lambda place: (-sizes[place], place))[:4]
    for ranking in frequency(task):
        assert ranked_lists(ranking) == [expected] * task.activations.n_neurons
