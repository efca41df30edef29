import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.metrics import f1_score, precision_score

from eval.meaning import contained_meaning, f1_meaning


def _sets(rows: list[list[int]]) -> csr_matrix:
    return csr_matrix(np.array(rows, dtype=np.float32))


# Six sentences; label 0 holds for the first three, label 1 for the next two, label 2 for the last.
_LABELS = _sets([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 1]])


def test_f1_by_hand() -> None:
    membership = _sets(
        [
            [1, 1, 1, 1, 0, 0],  # F1 6/7 with label 0, 2/6 with label 1
            [1, 0, 0, 0, 0, 0],  # F1 2/4 with label 0: exactly the minimum
            [1, 0, 0, 0, 1, 1],  # F1 2/6, 2/5, 2/4: label 2
            [0, 0, 0, 0, 0, 0],  # no sentences
        ]
    )
    meaning = f1_meaning(membership, _LABELS)
    assert meaning.means.tolist() == [
        [True, False, False],
        [True, False, False],
        [False, False, True],
        [False, False, False],
    ]
    assert meaning.scores[0].tolist() == pytest.approx([6 / 7, 1 / 3, 0.0])
    assert meaning.scores[2].tolist() == pytest.approx([2 / 6, 2 / 5, 2 / 4])
    assert meaning.scores[3].tolist() == [0.0, 0.0, 0.0]
    assert meaning.n_sentences.tolist() == [4, 1, 3, 0]
    assert not f1_meaning(membership, _LABELS, minimum=0.51).means[1].any()


def test_equal_f1_means_the_first_label() -> None:
    labels = _sets([[1, 1, 0, 0], [0, 0, 1, 1]])
    assert f1_meaning(_sets([[1, 1, 1, 1]]), labels).means.tolist() == [[True, False]]


def test_contained_by_hand() -> None:
    membership = _sets(
        [
            [1, 0, 0, 0, 0, 0],  # narrow, but all of it carries label 0
            [1, 1, 0, 1, 1, 0],  # half and half: both
            [1, 0, 0, 1, 0, 1],  # a third each: nothing
            [0, 0, 0, 0, 0, 0],
        ]
    )
    meaning = contained_meaning(membership, _LABELS)
    assert meaning.means.tolist() == [
        [True, False, False],
        [True, True, False],
        [False, False, False],
        [False, False, False],
    ]
    assert meaning.scores[1].tolist() == [0.5, 0.5, 0.0]
    assert meaning.n_sentences.tolist() == [1, 4, 3, 0]
    two_thirds = contained_meaning(membership, _LABELS, minimum_share=0.6)
    assert two_thirds.means.sum(axis=1).tolist() == [1, 0, 0, 0]


def test_contained_allows_several_labels_a_sentence() -> None:
    labels = _sets([[1, 1, 0], [1, 1, 1]])
    assert contained_meaning(_sets([[1, 1, 0]]), labels).means.tolist() == [[True, True]]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_scores_match_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n_sentences = int(generator.integers(1, 12))
    membership = generator.random((4, n_sentences)) < generator.random()
    labels = generator.random((3, n_sentences)) < generator.random()
    f1 = f1_meaning(csr_matrix(membership), csr_matrix(labels))
    contained = contained_meaning(csr_matrix(membership), csr_matrix(labels))
    for descriptor in range(4):
        for label in range(3):
            pair = (labels[label], membership[descriptor])
            assert f1.scores[descriptor, label] == pytest.approx(f1_score(*pair, zero_division=0))
            assert contained.scores[descriptor, label] == pytest.approx(
                precision_score(*pair, zero_division=0)
            )
    assert (f1.means.sum(axis=1) == (f1.scores.max(axis=1) >= 0.5)).all()
    assert (f1.scores[f1.means] == f1.scores.max(axis=1)[f1.means.any(axis=1)]).all()
    assert (contained.means == (contained.scores >= 0.5)).all()


def test_scores_in_the_membership_do_not_weigh_and_stored_zeros_do_not_count() -> None:
    plain = _sets([[1, 1, 0, 0, 0, 0]])
    weighted = csr_matrix(
        (np.array([0.2, 0.9, 0.0]), np.array([0, 1, 5]), np.array([0, 3])), shape=(1, 6)
    )
    for reading in (f1_meaning, contained_meaning):
        assert (reading(weighted, _LABELS).scores == reading(plain, _LABELS).scores).all()
        assert reading(weighted, _LABELS).n_sentences.tolist() == [2]


def test_no_labels_and_no_descriptors() -> None:
    for reading in (f1_meaning, contained_meaning):
        assert reading(_sets([[1, 0]]), csr_matrix((0, 2))).means.shape == (1, 0)
        assert reading(csr_matrix((0, 6)), _LABELS).means.shape == (0, 3)


def test_bad_arguments() -> None:
    for reading in (f1_meaning, contained_meaning):
        with pytest.raises(ValueError, match="covers 2 sentences, labels 6"):
            reading(_sets([[1, 0]]), _LABELS)
        with pytest.raises(ValueError, match="minimum is 0"):
            reading(_sets([[1, 0, 0, 0, 0, 0]]), _LABELS, 0.0)
