import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, roc_auc_score

from eval.detection import DetectionTail, SampledTexts, decision_metrics, detect
from eval.judge_scores import JudgedScores, JudgeFailed
from eval.judged_tails import Descriptions
from tests.eval.judge_fixtures import ToldJudge, descriptions, sample, says

TEXTS = ("a cat", "a cat", "a dog", "a dog cat", "a cow", "a cow")
TEST = SampledTexts(sample([1, 1, 1, 0, 0, 0], hard=[3]), TEXTS)
VALIDATION = SampledTexts(sample([1, 0]), ("a cat", "a cow"))
TAIL = DetectionTail(descriptions("cat", "cow"), TEST, VALIDATION)


def scored(judge: ToldJudge, tail: DetectionTail = TAIL) -> JudgedScores:
    found = detect(judge, [tail])
    assert isinstance(found, JudgedScores)
    return found


def test_worked_by_hand() -> None:
    """Two of three active texts are about cats, and one of the others, the hard one."""
    metrics = scored(ToldJudge(says)).metrics
    # A column for its own description, the swapped and the random one.
    np.testing.assert_allclose(metrics["balanced_accuracy"], [[2 / 3, 1 / 6, 0.5]])
    np.testing.assert_allclose(metrics["F1"], [[2 / 3, 0.0, 0.0]])
    np.testing.assert_allclose(metrics["AUROC"], [[2 / 3, 1 / 6, 0.5]])
    np.testing.assert_allclose(metrics["AUROC against random"], [[5 / 6, 0.0, 0.5]])
    np.testing.assert_allclose(metrics["AUROC against hard"], [[1 / 3, 0.5, 0.5]])


def test_a_threshold_of_its_own_needs_no_validation() -> None:
    judge = ToldJudge(says)
    scored(judge)
    assert judge.asked == ["cat", "cow", "random"]


def test_thresholds_are_chosen_on_validation_for_each_description() -> None:
    """A judge that scores all low: what is best on validation is used on test."""
    judge = ToldJudge(lambda description, text: 0.01 * says(description, text), text_threshold=None)
    metrics = scored(judge).metrics
    assert judge.asked == ["cat", "cow", "random"] * 2
    # On validation "cow" scores the inactive text, so no threshold is better than to say no.
    np.testing.assert_allclose(metrics["balanced_accuracy"], [[2 / 3, 0.5, 0.5]])
    np.testing.assert_allclose(metrics["F1"], [[2 / 3, 0.0, 0.0]])


def test_the_threshold_is_not_chosen_on_test() -> None:
    """On validation the order is upside down: a perfect order on test is not taken for granted."""
    upside_down = SampledTexts(sample([0, 1]), ("a cat", "a cow"))
    tail = DetectionTail(descriptions("cat", "cow"), TEST, upside_down)
    metrics = scored(ToldJudge(says, text_threshold=None), tail).metrics
    np.testing.assert_allclose(metrics["balanced_accuracy"][0, 0], 0.5)
    np.testing.assert_allclose(metrics["AUROC"][0, 0], 2 / 3)


def test_a_judge_that_is_paid_for_is_asked_about_one_swapped_description() -> None:
    tail = DetectionTail(Descriptions("cat", ("cow", "dog"), "random"), TEST, VALIDATION)
    free, paid = ToldJudge(says), ToldJudge(says, is_paid_for=True)
    assert scored(free, tail).metrics["AUROC"].shape == (1, 4)
    assert scored(paid, tail).metrics["AUROC"].shape == (1, 3)
    assert paid.asked == ["cat", "cow", "random"]


def test_a_tail_with_a_missing_answer_is_missing() -> None:
    other = DetectionTail(descriptions("dog", "cow", random="fish"), TEST, VALIDATION)
    judge = ToldJudge(says, unanswered=frozenset({"fish"}))
    found = detect(judge, [TAIL, other, TAIL])
    assert isinstance(found, JudgedScores)
    assert found.answered == (0, 2)
    assert found.unanswered == {"server_failed": 1}
    assert found.metrics["F1"].shape == (2, 3)


def test_a_broken_judge_has_no_scores() -> None:
    assert detect(ToldJudge(says, broken="no such model"), [TAIL]) == JudgeFailed(
        "told", "no such model"
    )


@pytest.mark.parametrize("seed", range(5))
def test_decisions_are_scored_as_by_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 5, 30) / 4.0
    truth = np.append(generator.random(28) < 0.5, [True, False])
    said = scores >= 0.5
    found = decision_metrics(said, scores, truth)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, said))
    assert found["F1"] == pytest.approx(f1_score(truth, said))
    assert found["AUROC"] == pytest.approx(roc_auc_score(truth, scores))
