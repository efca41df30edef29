from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix
from scipy.stats import beta, false_discovery_control, hypergeom, mannwhitneyu, norm

from indexer.arrays import DoubleArray
from neurons.auroc import auroc_from_ranks, average_ranks
from neurons.significance import (
    ZHistogram,
    auroc_bounds,
    conservative_standard_error,
    delong_standard_error,
    enrichment_z,
    mann_whitney_z,
)


def members_first(n_members: int, n_sentences: int) -> csr_matrix:
    return csr_matrix((np.arange(n_sentences) < n_members).astype(float)[np.newaxis])


def shifted_normals(area: float, n_members: int, n_others: int, repeats: int) -> DoubleArray:
    """Columns in which the first sentences are members and P(member > other) is `area`."""
    values = np.random.default_rng(n_members).normal(size=(n_members + n_others, repeats))
    values[:n_members] += norm.ppf(area) * np.sqrt(2.0)
    return values


def brute_force_standard_error(members: DoubleArray, others: DoubleArray) -> float:
    wins = np.array([[(m > o) + (m == o) / 2.0 for o in others] for m in members])
    of_members = sum((value - wins.mean()) ** 2 for value in wins.mean(axis=1))
    of_others = sum((value - wins.mean()) ** 2 for value in wins.mean(axis=0))
    n_members, n_others = wins.shape
    variance = of_members / (n_members - 1) / n_members + of_others / (n_others - 1) / n_others
    return float(np.sqrt(variance))


@pytest.mark.parametrize("decimals", [9, 1, 0])
@pytest.mark.parametrize("n_members", [1, 7, 40, 79])
def test_mann_whitney_z_agrees_with_scipy(decimals: int, n_members: int) -> None:
    generator = np.random.default_rng(decimals)
    activations = (generator.normal(size=(80, 4)) + np.linspace(0, 1, 80)[:, None]).round(decimals)
    ranks = average_ranks(activations)
    sets = members_first(n_members, 80)
    area = auroc_from_ranks(ranks, sets)
    z = mann_whitney_z(area, np.array([n_members]), 80, ranks.var(axis=0))[0]
    for unit, column in enumerate(activations.T):
        for tail, score in (("greater", z[unit]), ("less", -z[unit])):
            expected = mannwhitneyu(
                column[:n_members],
                column[n_members:],
                alternative=tail,
                method="asymptotic",
                use_continuity=False,
            )
            assert norm.sf(score) == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_constant_unit_has_z_zero() -> None:
    ranks = average_ranks(np.full((9, 1), 2.0))
    area = auroc_from_ranks(ranks, members_first(4, 9))
    assert mann_whitney_z(area, np.array([4]), 9, np.zeros(1)).tolist() == [[0.0]]


def exact_q(z: DoubleArray) -> DoubleArray:
    return np.asarray(false_discovery_control(norm.sf(z).ravel())).reshape(z.shape)


def assert_slightly_above(found: DoubleArray, exact: DoubleArray, z: DoubleArray) -> None:
    assert (found >= exact * (1.0 - 1e-9)).all()
    # A bin is 1/256 wide, over which a normal tail falls by less than exp((z + 1) / 256).
    assert (found <= exact * np.exp((np.maximum(z, 0.0) + 1.0) / 256.0) + 1e-12).all()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5])
def test_q_is_benjamini_hochberg_erring_on_the_large_side(share: float) -> None:
    generator = np.random.default_rng(3)
    z = generator.normal(size=(40, 500)) + (generator.random((40, 500)) < share) * 4.0
    histogram = ZHistogram()
    for block in np.array_split(z, 3, axis=1):
        histogram.add(block)
    assert_slightly_above(histogram.q_values(z), exact_q(z), z)


@given(z=arrays(np.float64, st.integers(1, 30), elements=st.floats(-60.0, 60.0)))
@settings(max_examples=100, deadline=None)
def test_q_of_any_z_errs_on_the_large_side_and_falls_with_z(z: DoubleArray) -> None:
    histogram = ZHistogram()
    histogram.add(z)
    found = histogram.q_values(z)
    assert_slightly_above(found, exact_q(z), z)
    assert (np.diff(found[np.argsort(z)]) <= 0.0).all()
    assert ((found >= 0.0) & (found <= 1.0)).all()


def test_z_beyond_the_histogram_counts_at_its_ends() -> None:
    z = np.array([-1e6, -41.0, 0.0, 41.0, 1e6, np.inf])
    histogram = ZHistogram()
    histogram.add(z)
    found = histogram.q_values(z)
    np.testing.assert_array_equal(found[[3, 4, 5]], 0.0)
    np.testing.assert_array_equal(found[[0, 1, 2]], [1.0, 1.0, 6.0 * 0.5 / 4.0])


def test_q_values_of_no_tests_are_refused() -> None:
    with pytest.raises(ValueError, match="none were added"):
        ZHistogram().q_values(np.zeros(1))


@given(
    values=arrays(np.float64, 14, elements=st.integers(0, 1000), unique=True),
    n_members=st.integers(2, 12),
)
@settings(max_examples=60, deadline=None)
def test_delong_without_ties_is_brute_force(values: DoubleArray, n_members: int) -> None:
    found = delong_standard_error(average_ranks(values[:, None])[:n_members], 14)[0]
    expected = brute_force_standard_error(values[:n_members], values[n_members:])
    assert found == pytest.approx(expected, abs=1e-7)


@given(
    values=arrays(np.float64, 14, elements=st.integers(0, 4)),
    n_members=st.integers(2, 12),
)
@settings(max_examples=100, deadline=None)
def test_delong_with_ties_is_never_smaller_than_brute_force(
    values: DoubleArray, n_members: int
) -> None:
    found = delong_standard_error(average_ranks(values[:, None])[:n_members], 14)[0]
    exact = brute_force_standard_error(values[:n_members], values[n_members:])
    assert found >= exact - 1e-7
    # Only pairs of members tied with the same other count too much, by a quarter at most.
    assert found**2 <= exact**2 + 0.25 / (14 - n_members - 1) + 1e-7


def test_delong_of_many_units_with_scattered_members() -> None:
    generator = np.random.default_rng(8)
    activations, members = generator.normal(size=(300, 6)), generator.permutation(300)[:40]
    found = delong_standard_error(average_ranks(activations)[members], 300)
    mask = np.isin(np.arange(300), members)
    expected = [brute_force_standard_error(own[mask], own[~mask]) for own in activations.T]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize(("n_members", "n_sentences"), [(1, 9), (8, 9), (0, 9)])
def test_delong_needs_two_of_each(n_members: int, n_sentences: int) -> None:
    ranks = average_ranks(np.arange(float(n_sentences))[:, None])
    with pytest.raises(ValueError, match=f"found {n_members} and {n_sentences - n_members}"):
        delong_standard_error(ranks[:n_members], n_sentences)


@pytest.mark.parametrize("area", [0.5, 0.75, 0.9, 0.97])
@pytest.mark.parametrize(("n_members", "n_others"), [(3, 200), (10, 200), (60, 300), (200, 6)])
def test_the_interval_covers_the_true_auroc(area: float, n_members: int, n_others: int) -> None:
    ranks = average_ranks(shifted_normals(area, n_members, n_others, repeats=1500))
    found = auroc_from_ranks(ranks, members_first(n_members, n_members + n_others))[0]
    error = delong_standard_error(ranks[:n_members], n_members + n_others)
    low, high = auroc_bounds(found, error, min(n_members, n_others))
    covered = ((low <= area) & (area <= high)).mean()
    # 0.92 at six sentences and AUROC 0.5 is the least; near 1 the binomial edge gives more.
    assert covered >= (0.93 if min(n_members, n_others) >= 10 else 0.90)
    if n_members == 60 and area <= 0.9:
        assert covered <= 0.97


def test_bounds_of_perfect_separation_are_binomial() -> None:
    low, high = auroc_bounds(np.array([1.0, 0.0]), np.zeros(2), n_rarer=8)
    assert (high[0], low[1]) == (1.0, 0.0)
    assert low[0] == pytest.approx(beta.ppf(0.025, 8, 1), rel=1e-12)
    assert high[1] == pytest.approx(beta.ppf(0.975, 1, 8), rel=1e-12)


def test_bounds_worked_by_hand() -> None:
    # logit(0.75) = ln 3; reach = 1.96 * 0.03 / 0.1875.
    low, high = auroc_bounds(np.array([0.75]), np.array([0.03]), n_rarer=1000)
    reach = norm.ppf(0.975) * 0.03 / 0.1875
    assert low[0] == pytest.approx(1.0 / (1.0 + np.exp(-(np.log(3.0) - reach))), rel=1e-12)
    assert high[0] == pytest.approx(1.0 / (1.0 + np.exp(-(np.log(3.0) + reach))), rel=1e-12)


@given(
    area=st.floats(0.0, 1.0),
    standard_error=st.floats(0.0, 0.3),
    n_rarer=st.integers(2, 10_000),
)
def test_bounds_enclose_the_auroc_and_promise_no_more_than_perfection(
    area: float, standard_error: float, n_rarer: int
) -> None:
    low, high = auroc_bounds(np.array([area]), np.array([standard_error]), n_rarer)
    edge = 0.025 ** (1.0 / n_rarer)
    assert 0.0 <= low[0] <= area * (1 + 1e-9)
    assert area * (1 - 1e-9) <= high[0] <= 1.0
    assert low[0] <= edge
    assert high[0] >= 1.0 - edge


def two_groups(area: float, n_members: int, n_others: int, repeats: int) -> DoubleArray:
    """Members all above or all below the others: the distribution of largest variance."""
    generator = np.random.default_rng(5)
    values = generator.random((n_members + n_others, repeats))
    values[:n_members] += np.where(generator.random((n_members, repeats)) < area, 2.0, -2.0)
    return values


@pytest.mark.parametrize("sample", [shifted_normals, two_groups])
@pytest.mark.parametrize("area", [0.5, 0.7, 0.95])
@pytest.mark.parametrize(("n_members", "n_others"), [(8, 90), (60, 60)])
def test_no_auroc_varies_more_than_the_conservative_standard_error(
    sample: object, area: float, n_members: int, n_others: int
) -> None:
    assert callable(sample)
    ranks = average_ranks(sample(area, n_members, n_others, 2000))
    found = auroc_from_ranks(ranks, members_first(n_members, n_members + n_others))[0]
    bound = conservative_standard_error(np.array([[area]]), np.array([min(n_members, n_others)]))
    assert found.std() <= bound[0, 0] * 1.05
    if sample is two_groups:
        assert found.std() >= bound[0, 0] * 0.93


def test_perfection_of_few_sentences_is_not_certainty() -> None:
    error = conservative_standard_error(np.array([[1.0, 0.0], [1.0, 0.5]]), np.array([4, 100]))
    np.testing.assert_allclose(error[0], np.sqrt(0.1 * 0.9 / 4))
    np.testing.assert_allclose(error[1], [np.sqrt(0.5 / 101 * (1 - 0.5 / 101) / 100), 0.05])


def test_enrichment_agrees_with_the_hypergeometric_distribution() -> None:
    hits = np.array([[0.0, 3.0, 9.0], [2.0, 5.0, 1.0]])
    members, exemplars = np.array([9, 40]), np.array([10.0, 25.0, 11.0])
    found = enrichment_z(hits, members, exemplars, 200)
    for number, n_members in enumerate(members):
        for unit, n_exemplars in enumerate(exemplars):
            law = hypergeom(200, n_members, int(n_exemplars))
            expected = (hits[number, unit] - law.mean()) / law.std()
            assert found[number, unit] == pytest.approx(expected, rel=1e-12)


def test_enrichment_of_nothing_or_everything_is_zero() -> None:
    found = enrichment_z(
        np.array([[0.0, 0.0, 0.0], [0.0, 4.0, 20.0]]),
        np.array([0, 20]),
        np.array([0.0, 4.0, 20.0]),
        20,
    )
    np.testing.assert_array_equal(found, np.zeros((2, 3)))
