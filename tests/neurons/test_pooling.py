from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurons.pooling import half_precision, pool, without_content
from neurons.records import Pooling

# One unit; columns: CLS, three words, SEP or padding.
TOKENS = torch.tensor(
    [
        [[9.0], [1.0], [-2.0], [4.0], [8.0]],
        [[-7.0], [-3.0], [-5.0], [6.0], [0.0]],
        [[2.5], [5.0], [0.0], [0.0], [0.0]],
    ]
)
CONTENT = torch.tensor(
    [
        [False, True, True, True, False],
        [False, True, True, False, False],
        [False, False, False, False, False],
    ]
)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (Pooling.MAX, [4.0, -3.0, 2.5]),
        (Pooling.MEAN, [1.0, -4.0, 2.5]),
        (Pooling.CLS, [9.0, -7.0, 2.5]),
    ],
)
def test_pools_by_hand(pooling: Pooling, expected: list[float]) -> None:
    assert pool(TOKENS, CONTENT, pooling).squeeze(1).tolist() == expected


def test_pooling_changes_neither_tokens_nor_mask() -> None:
    tokens, content = TOKENS.clone(), CONTENT.clone()
    for pooling in Pooling:
        pool(tokens, content, pooling)
    assert torch.equal(tokens, TOKENS)
    assert torch.equal(content, CONTENT)


def test_sentences_without_content_are_known() -> None:
    assert without_content(CONTENT).tolist() == [False, False, True]


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(3, 5\)"):
        pool(TOKENS, CONTENT[:, :4], Pooling.MAX)


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 3)),
)
def test_agrees_with_a_loop(seed: int, shape: tuple[int, int, int]) -> None:
    generator = np.random.default_rng(seed)
    tokens = generator.normal(size=shape).astype(np.float32)
    content = generator.random(shape[:2]) < 0.5
    for pooling, reduce in ((Pooling.MAX, np.max), (Pooling.MEAN, np.mean)):
        expected = [
            reduce(row[mask], axis=0) if mask.any() else row[0]
            for row, mask in zip(tokens, content, strict=True)
        ]
        found = pool(torch.from_numpy(tokens), torch.from_numpy(content), pooling)
        np.testing.assert_allclose(found.numpy(), np.stack(expected), rtol=1e-5, atol=1e-6)


def test_numbers_beyond_float16_are_clipped_and_counted() -> None:
    found = half_precision(torch.tensor([[1.0, 65504.0, 65505.0], [-1e9, float("inf"), -65504.0]]))
    assert found.clipped == 3
    assert found.values.dtype == torch.float16
    assert found.values.tolist() == [[1.0, 65504.0, 65504.0], [-65504.0, 65504.0, -65504.0]]
