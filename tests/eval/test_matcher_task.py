"""What all matchers share: which sentences they see, order among equals, shuffling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from eval.matcher_task import (
    RankingBuilder,
    RivalSettings,
    best_of,
    key_type,
    mirrored,
    strongest_sentences,
)
from neurons.statistics import strongest
from tests.eval.matcher_tasks import (
    N_SENTENCES,
    N_SETS,
    N_UNITS,
    every_activation,
    held,
    random_task,
)


def test_matchers_see_discover_and_validation_only() -> None:
    task = random_task(0)
    outside = set(range(N_SENTENCES)) - set(task.selection.tolist())
    assert outside == set(task.rows.test.tolist())
    blocks = list(task.columns())
    assert sum(len(block) for block in blocks) == N_UNITS
    np.testing.assert_array_equal(np.concatenate(blocks), every_activation(task)[task.selection].T)
    assert task.selected_membership.shape == (N_SETS, len(task.selection))
    assert set(task.selected_membership.data.tolist()) == {1.0}


def test_similarities_are_cosines_of_selected_sentences() -> None:
    task = random_task(1)
    sentences, words = task.sentence_vectors, task.descriptor_vectors
    assert sentences is not None
    assert words is not None
    expected = sentences[task.selection] @ words.T
    np.testing.assert_allclose(task.similarities(), expected, rtol=1e-5, atol=1e-6)
    rounded = random_task(1, sentence_vectors=sentences.astype(np.float16))
    np.testing.assert_allclose(rounded.similarities(), expected, atol=2e-3)


@given(
    arrays(
        np.float16,
        st.tuples(st.integers(1, 3), st.integers(1, 12)),
        elements=st.sampled_from([-2.0, -0.0, 0.0, 0.5, 1.0]),
    ),
    st.integers(1, 14),
)
def test_strongest_sentences_come_in_order_among_equals(columns: np.ndarray, limit: int) -> None:
    found = strongest_sentences(columns, limit)
    for own, values in zip(found, columns, strict=True):
        assert own.tolist() == strongest(values.astype(np.float64) + 0.0, limit).tolist()
    single = strongest_sentences(columns.astype(np.float32), limit)
    np.testing.assert_array_equal(found, single)


def test_the_negative_tail_is_mirrored() -> None:
    columns = np.array([[3.0, -1.0, 2.0, -1.0]], dtype=np.float16)
    positive, negative = mirrored(columns)
    assert strongest_sentences(positive, 2).tolist() == [[0, 2]]
    assert strongest_sentences(negative, 3).tolist() == [[1, 3, 2]]


def test_best_scores_and_what_is_no_score() -> None:
    scores = np.array([[0.5, -np.inf, 2.0, 0.5], [-np.inf, -np.inf, -np.inf, -1.0]])
    places, lengths = best_of(scores, 3)
    assert places[0].tolist() == [2, 0, 3]
    assert lengths.tolist() == [3, 1]
    assert places[1, 0] == 3


def test_fewer_candidates_than_ranks() -> None:
    builder = RankingBuilder(5)
    builder.add(np.array([[1.0, 2.0]]))
    builder.add(np.array([[-np.inf, 0.0], [3.0, 1.0]]))
    ranking = builder.ranking()
    assert ranking.descriptors[:, :2].tolist() == [[1, 0], [1, 0], [0, 1]]
    assert ranking.lengths.tolist() == [2, 1, 2]


def test_keys_fit_their_type() -> None:
    assert np.iinfo(key_type(2**32 - 1)).max >= 2**32 - 1
    assert np.iinfo(key_type(2**32)).max > 2**32


def test_shuffling_keeps_sizes_and_moves_texts_with_their_descriptors() -> None:
    task = random_task(2)
    shuffled = task.shuffled(5)
    for own in (task.rows.discover, task.rows.validation, task.rows.test):
        before, after = task.membership[:, own], shuffled.membership[:, own]
        np.testing.assert_array_equal(before.getnnz(axis=1), after.getnnz(axis=1))
    assert (task.membership != shuffled.membership).nnz > 0
    # A sentence brings its descriptors and its vector along.
    assert task.sentence_vectors is not None
    assert shuffled.sentence_vectors is not None
    places = {vector.tobytes(): row for row, vector in enumerate(task.sentence_vectors)}
    origin = [places[vector.tobytes()] for vector in shuffled.sentence_vectors]
    assert sorted(origin) == list(range(N_SENTENCES))
    assert (task.membership[:, origin] != shuffled.membership).nnz == 0
    again = task.shuffled(5)
    assert (again.membership != shuffled.membership).nnz == 0


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"layers": np.zeros(3, dtype=np.int64)}, "3 layers, 14 neurons"),
        ({"sentence_vectors": np.ones((4, 2), np.float32)}, "sentence_vectors: 4 sentences"),
        ({"descriptor_vectors": np.ones((4, 2), np.float32)}, "4 descriptor vectors"),
        ({"activations": held(np.zeros((7, N_UNITS)))}, "membership: 90 sentences"),
    ],
)
def test_parts_that_do_not_fit(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        random_task(0, **changes)


def test_texts_are_compared_only_where_there_are_vectors() -> None:
    with pytest.raises(ValueError, match="sentence_vectors and descriptor_vectors are missing"):
        random_task(0, descriptor_vectors=None).similarities()


def test_defaults_are_those_of_the_papers() -> None:
    settings = RivalSettings()
    assert (settings.n_exemplars, settings.temperature, settings.prior_weight) == (100, 10.0, 1.0)
    assert (settings.first_probability, settings.last_probability) == (0.998, 0.97)
    assert (settings.top_share, settings.power, settings.similarity_power) == (0.05, 3, 0.5)
