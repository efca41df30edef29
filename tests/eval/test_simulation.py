import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from eval.detection import SampledTexts
from eval.judge_scores import JudgedScores
from eval.simulation import (
    SentenceTail,
    WordTail,
    correlations,
    simulate_sentences,
    simulate_words,
)
from tests.eval.judge_fixtures import ToldJudge, descriptions, sample, says, worded


def test_correlations_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=50)
    guesses = [truth + generator.normal(size=50), generator.integers(0, 3, 50).astype(np.float64)]
    found = correlations(guesses, truth)
    np.testing.assert_allclose(found["Pearson"], [pearsonr(g, truth).statistic for g in guesses])
    np.testing.assert_allclose(found["Spearman"], [spearmanr(g, truth).statistic for g in guesses])


def test_a_guess_that_is_the_same_everywhere_explains_nothing() -> None:
    found = correlations([np.full(4, 0.3), np.arange(4.0)], np.arange(4.0))
    assert found["Pearson"].tolist() == [0.0, pytest.approx(1.0)]
    assert found["Spearman"].tolist() == [0.0, pytest.approx(1.0)]


def test_constant_activations_are_refused() -> None:
    with pytest.raises(ValueError, match="leave the neuron out first"):
        correlations([np.arange(4.0)], np.ones(4))


def test_words_of_all_texts_count_together() -> None:
    """Within each text the guesses are perfect; across texts they are on different scales."""
    texts = (worded("cat dog"), worded("cat dog"))
    strengths = np.array([5.0, 4.0, 1.0, 0.0])
    tail = WordTail(descriptions("cat", "dog"), texts, strengths)
    found = simulate_words(ToldJudge(says), [tail])
    assert isinstance(found, JudgedScores)
    expected = pearsonr([1.0, 0.0, 1.0, 0.0], strengths).statistic
    assert 0.0 < expected < 0.5
    np.testing.assert_allclose(found.metrics["Pearson"], [[expected, -expected, 0.0]])


def test_sentences_are_set_against_pooled_activations() -> None:
    texts = ("a cat", "a dog", "cat", "nothing")
    strengths = [3.0, 0.5, 2.0, 1.0]
    tail = SentenceTail(
        descriptions("cat", "dog"), SampledTexts(sample([1, 0, 1, 0], strengths=strengths), texts)
    )
    found = simulate_sentences(ToldJudge(says), [tail])
    assert isinstance(found, JudgedScores)
    own = [1.0, 0.0, 1.0, 0.0]
    np.testing.assert_allclose(found.metrics["Pearson"][0, 0], pearsonr(own, strengths).statistic)
    np.testing.assert_allclose(found.metrics["Spearman"][0, 0], spearmanr(own, strengths).statistic)
    assert found.metrics["Pearson"][0, 1] < 0.0 == found.metrics["Pearson"][0, 2]
