"""Descriptors of two catalogs that mean the same, against hand-worked sets and plain loops."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from eval.counterparts import cosine_counterparts, overlap_counterparts

ONE = csr_matrix([[1, 1, 1, 1, 0, 0], [0, 0, 0, 0, 1, 1], [1, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0]])
OTHER = csr_matrix([[0, 0, 0, 0, 0.3, 0.9], [0.5, 0.5, 0.5, 0, 0, 0]])


def test_counterparts_share_half_of_their_sentences_or_more() -> None:
    # Shared of either: 0 and 3/4; 2/2 and 0; 1/3 and 1/4; nothing for the empty one.
    assert overlap_counterparts(ONE, OTHER).tolist() == [1, 0, -1, -1]
    assert overlap_counterparts(ONE, OTHER, minimum=0.3).tolist() == [1, 0, 0, -1]
    assert overlap_counterparts(ONE, OTHER, minimum=0.8).tolist() == [-1, 0, -1, -1]


def test_overlap_agrees_with_plain_sets() -> None:
    generator = np.random.default_rng(0)
    one, two = generator.random((9, 40)) < 0.3, generator.random((7, 40)) < 0.3
    found = overlap_counterparts(csr_matrix(one), csr_matrix(two), minimum=0.2)
    for row, counterpart in zip(one, found, strict=True):
        similarity = [(row & other).sum() / (row | other).sum() for other in two]
        best = int(np.argmax(similarity))
        assert counterpart == (best if similarity[best] >= 0.2 else -1)


def test_near_texts_are_counterparts() -> None:
    vectors = np.eye(3, dtype=np.float32)
    others = np.array([[0.8, 0.6, 0.0], [0.6, 0.8, 0.0]], dtype=np.float32)
    assert cosine_counterparts(vectors, others).tolist() == [0, 1, -1]
    assert cosine_counterparts(vectors, others[:0]).tolist() == [-1, -1, -1]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="6 and 5 sentences"):
        overlap_counterparts(ONE, OTHER[:, :5])
    with pytest.raises(ValueError, match="3 and 2 dimensions"):
        cosine_counterparts(np.eye(3), np.eye(2))
    with pytest.raises(ValueError, match="minimum is 0"):
        overlap_counterparts(ONE, OTHER, minimum=0.0)
