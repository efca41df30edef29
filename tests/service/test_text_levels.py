"""Usual levels and percentiles against NumPy and SciPy."""

import numpy as np
import pytest
from scipy.stats import percentileofscore

from service.text_levels import UsualLevel, percentile


def test_usual_level_in_blocks_is_that_of_the_whole() -> None:
    random = np.random.default_rng(0)
    reference = random.integers(-3, 4, size=(50, 6)).astype(np.float32) + 1000
    reference[:, 5] = 0.1
    values = np.array([1000, 1003, 997, 1001.5, 990, 7], dtype=np.float32)
    usual = UsualLevel.over([reference[:0], reference[:7], reference[7:30], reference[30:]])
    exact = reference.astype(np.float64)
    z = usual.z(values)
    expected = (values[:5] - exact[:, :5].mean(axis=0)) / exact[:, :5].std(axis=0)
    assert z[:5] == pytest.approx(expected, rel=1e-9)
    assert np.isnan(z[5])


@pytest.mark.parametrize("blocks", [[], [np.zeros((0, 2), dtype=np.float32)]])
def test_usual_level_needs_a_reference(blocks: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="no reference rows"):
        UsualLevel.over(blocks)


def test_percentiles_count_ties_half() -> None:
    reference = np.random.default_rng(0).integers(-3, 4, size=51).astype(np.float16)
    ordered = np.sort(reference)
    for value in (-4.0, -3.0, -0.0, 0.0, 0.5, 3.0, 65504.0):
        expected = percentileofscore(reference.astype(np.float64), value, kind="mean")
        assert percentile(value, ordered) == pytest.approx(expected, abs=1e-12)
