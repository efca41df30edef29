import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.naming import NamingThreshold, label_words, naming_threshold


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("intent:card_payment_fee", "card payment fee"),
        ("joy", "joy"),
        ("class:Office Holder", "Office Holder"),
        ("time:10:30", "10:30"),
        (":odd", ":odd"),
        ("facet:", "facet:"),
        ("facet:_", "facet:_"),
    ],
)
def test_words_of_a_label(label: str, words: str) -> None:
    assert label_words(label) == words


def test_one_in_twenty_unrelated_pairs_may_exceed_the_threshold() -> None:
    cosines = np.array([np.arange(10.0), np.arange(10.0, 20.0), np.full(10, 99.0)]) / 100
    related = np.array([np.zeros(10), np.zeros(10), np.ones(10)], dtype=np.bool_)
    assert naming_threshold(cosines, related) == NamingThreshold(0.18, 1 / 20, 20)
    # One pair fewer, and a twentieth of them is less than a pair.
    related[0, 0] = True
    assert naming_threshold(cosines, related) is None
    more = np.concatenate([cosines, cosines])
    assert naming_threshold(more, np.concatenate([related, related])) == NamingThreshold(
        0.19, 0.0, 38
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.05, 0.2, 0.5]))
def test_the_threshold_is_the_smallest_that_few_pairs_exceed(seed: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    # Rounded, so that many pairs tie.
    cosines = generator.normal(0.2, 0.1, size=(9, 7)).round(int(generator.integers(1, 4)))
    related = generator.random((9, 7)) < 0.3
    unrelated = cosines[~related]
    found = naming_threshold(cosines, related, share)
    assert found is not None
    assert found.share == (unrelated > found.cosine).mean() <= share
    assert found.n_pairs == unrelated.size
    lower = unrelated[unrelated < found.cosine]
    if lower.size:
        assert (unrelated > lower.max()).mean() > share


def test_bad_arguments() -> None:
    none = np.zeros((5, 5), dtype=np.bool_)
    with pytest.raises(ValueError, match="related pairs"):
        naming_threshold(np.zeros((5, 4)), none)
    with pytest.raises(ValueError, match="share is 1"):
        naming_threshold(np.zeros((5, 5)), none, 1.0)
    with pytest.raises(ValueError, match="not finite"):
        naming_threshold(np.full((5, 5), np.nan), none)
