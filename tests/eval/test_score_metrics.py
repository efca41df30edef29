import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, roc_auc_score

from eval.score_metrics import auprc, auroc, f1, jaccard, mad, pearson, spearman


@st.composite
def _cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and a set that may be empty or everything."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_units = draw(st.integers(1, 25))
    scores = generator.integers(0, draw(st.integers(1, 9)), size=n_units) / 3.0
    return scores, generator.random(n_units) < draw(st.floats(0.0, 1.0))


@given(_cases(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_sets_agree_with_scikit_learn(case: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    _, first = case
    second = np.random.default_rng(seed).random(first.size) < 0.5
    for ours, theirs in ((f1, f1_score), (jaccard, jaccard_score)):
        if first.any() or second.any():
            assert ours(first, second) == pytest.approx(theirs(second, first, zero_division=0))
        else:
            assert ours(first, second) is None
        assert ours(first, second) == ours(second, first)


@given(_cases())
@settings(deadline=None)
def test_scores_agree_with_scikit_learn(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, relevant = case
    if 0 < relevant.sum() < relevant.size:
        assert auroc(scores, relevant) == pytest.approx(roc_auc_score(relevant, scores))
    else:
        assert auroc(scores, relevant) is None
    if relevant.any():
        assert auprc(scores, relevant) == pytest.approx(average_precision_score(relevant, scores))
    else:
        assert auprc(scores, relevant) is None


@given(_cases())
@settings(deadline=None)
def test_auroc_is_the_share_of_pairs_won(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, relevant = case
    pairs = [(own, other) for own in scores[relevant] for other in scores[~relevant]]
    wins = sum(1.0 if own > other else 0.5 if own == other else 0.0 for own, other in pairs)
    assert auroc(scores, relevant) == (pytest.approx(wins / len(pairs)) if pairs else None)
    mirrored = auroc(-scores, relevant)
    assert mirrored == (pytest.approx(1.0 - wins / len(pairs)) if pairs else None)


@given(_cases(), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_correlations_agree_with_scipy(case: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    first, _ = case
    generator = np.random.default_rng(seed)
    second = generator.choice([first, generator.normal(size=first.size), -first])
    for ours, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        if first.size < 2 or len(set(first)) == 1 or len(set(second)) == 1:
            assert ours(first, second) is None
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = theirs(first, second).statistic
        assert ours(first, second) == pytest.approx(expected)


@given(_cases())
def test_mad_by_definition_and_its_sign(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, relevant = case
    own, others = scores[relevant], scores[~relevant]
    if not own.size or len(set(others)) < 2:
        assert mad(scores, relevant) is None
        return
    expected = (own.mean() - others.mean()) / stats.tstd(others)
    assert mad(scores, relevant) == pytest.approx(expected)
    assert mad(-scores, relevant) == pytest.approx(-expected)
    assert mad(scores * 7.0 + 3.0, relevant) == pytest.approx(expected)


def test_by_hand() -> None:
    first, second = np.array([1, 1, 0, 0], dtype=bool), np.array([0, 1, 1, 0], dtype=bool)
    assert (f1(first, second), jaccard(first, second)) == (0.5, pytest.approx(1 / 3))
    scores = np.array([3.0, 1.0, 1.0, 0.0])
    relevant = np.array([True, True, False, False])
    # Of four pairs three are won and one is tied.
    assert auroc(scores, relevant) == 7 / 8
    # Precision 1 at recall 1/2, then 2 of 3 at the shared threshold.
    assert auprc(scores, relevant) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert mad(scores, relevant) == pytest.approx((2.0 - 0.5) / np.sqrt(0.5))


def test_constant_others_leave_mad_undefined_whatever_rounding_does() -> None:
    scores = np.array([1.0, *[0.1] * 3])
    relevant = np.arange(4) == 0
    assert scores[1:].std(ddof=1) > 0.0
    assert mad(scores, relevant) is None
    assert pearson(scores[1:], np.arange(3.0)) is None


def test_nothing_to_compare_is_undefined_and_not_zero() -> None:
    numbers, members = np.zeros(0), np.zeros(0, dtype=np.bool_)
    assert [f1(members, members), jaccard(members, members)] == [None, None]
    assert [each(numbers, members) for each in (auroc, auprc, mad)] == [None] * 3
    assert [pearson(numbers, numbers), spearman(numbers, numbers)] == [None, None]


def test_extreme_numbers_keep_their_correlation() -> None:
    tiny = np.array([1.0, 2.0, 4.0]) * 1e-200
    assert pearson(tiny, tiny * 1e300) == pytest.approx(1.0)


def test_bad_arguments() -> None:
    numbers, members = np.arange(3.0), np.ones(3, dtype=np.bool_)
    with pytest.raises(ValueError, match="true or false"):
        f1(numbers, members)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected \\(n_units,\\)"):
        jaccard(members, members[:2])
    with pytest.raises(ValueError, match="true or false for each unit"):
        auroc(numbers, numbers)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="NaN or infinite"):
        auprc(np.array([0.0, np.nan, 1.0]), members)
    with pytest.raises(ValueError, match="series have shapes"):
        spearman(numbers, numbers[:2])
