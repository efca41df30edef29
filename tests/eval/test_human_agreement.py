"""Accuracy and agreement of people, against hand-worked answers."""

import numpy as np
import pytest

from eval.human_agreement import NONE_OF_THEM, RaterAnswers, human_figures
from eval.human_sheet import HumanKey, HumanTask, KeyEntry
from eval.records import Figure
from neurons.records import Tail

N_ITEMS = 12
RIGHT = [number % 4 for number in range(N_ITEMS)]


def key(task: HumanTask = HumanTask.DESCRIPTION) -> HumanKey:
    entries = tuple(
        KeyEntry(
            id=f"q{number}",
            task=task,
            neuron=f"L0.ffn.{number}",
            tail=Tail.POSITIVE,
            description="late delivery",
            right=right,
            n_options=4,
        )
        for number, right in enumerate(RIGHT)
    )
    return HumanKey(sheet="s", explanations="e", entries=entries)


def rater(name: str, options: list[int | None]) -> RaterAnswers:
    answers = {f"q{number}": option for number, option in enumerate(options) if option is not None}
    return RaterAnswers(rater=name, sheet="s", answers=answers)


def found(figures: list[Figure], metric: str) -> Figure:
    [figure] = [figure for figure in figures if figure.metric == metric]
    return figure


def test_accuracy_averages_over_questions_and_stands_beside_guessing() -> None:
    wrong_twice = [*RIGHT[:10], (RIGHT[10] + 1) % 4, NONE_OF_THEM]
    figures = human_figures(key(), [rater("a", [*RIGHT]), rater("b", wrong_twice)], seed=0)
    accuracy = found(figures, "accuracy")
    assert accuracy.value == pytest.approx((10 + 0.5 + 0.5) / 12)
    assert accuracy.null == 0.25
    assert accuracy.n == 12
    assert accuracy.variant == "description"
    assert accuracy.ci_low is not None
    assert accuracy.ci_high is not None
    assert accuracy.ci_low <= accuracy.value <= accuracy.ci_high


def test_alpha_by_hand() -> None:
    """Krippendorff 2011: alpha = 1 - observed / expected disagreement, by coincidences."""
    one = [0, 1, 2, 3, 0, 1]
    other = [0, 1, 2, 2, 0, 1]
    options: list[int | None] = [None] * 6
    figures = human_figures(
        key(), [rater("a", [*one, *options]), rater("b", [*other, *options])], 0
    )
    counts = np.bincount([*one, *other])
    total = counts.sum()
    expected = 1 - (counts * (counts - 1)).sum() / (total * (total - 1))
    assert found(figures, "alpha").value == pytest.approx(1 - (1 / 6) / expected)


def test_raters_who_guess_do_not_agree() -> None:
    generator = np.random.default_rng(0)
    raters = [rater(name, generator.integers(4, size=N_ITEMS).tolist()) for name in "abcdef"]
    alpha = found(human_figures(key(), raters, seed=0), "alpha")
    assert alpha.value == pytest.approx(0.0, abs=0.15)
    assert alpha.null == 0.0


def test_one_rater_has_accuracy_but_no_agreement() -> None:
    figures = human_figures(key(), [rater("a", [*RIGHT])], seed=0)
    assert found(figures, "accuracy").value == 1.0
    alpha = found(figures, "alpha")
    assert alpha.value is None
    assert "two raters" in alpha.reason


def test_agreement_is_undefined_where_only_one_option_was_ever_chosen() -> None:
    alpha = found(human_figures(key(), [rater("a", [1] * 12), rater("b", [1] * 12)], 0), "alpha")
    assert alpha.value is None
    assert "same option" in alpha.reason


def test_unanswered_questions_are_counted_not_judged() -> None:
    half: list[int | None] = [*RIGHT[:6], *[None] * 6]
    figures = human_figures(key(), [rater("a", half)], seed=0)
    assert found(figures, "accuracy").n == 6
    assert found(figures, "answered").value == 0.5


def test_too_few_answers_give_no_number() -> None:
    few: list[int | None] = [*RIGHT[:4], *[None] * 8]
    [refused] = human_figures(key(), [rater("a", few)], seed=0)
    assert refused.value is None
    assert "4 of 12 questions" in refused.reason


@pytest.mark.parametrize(
    ("raters", "message"),
    [
        ([rater("a", [0]), rater("a", [0])], "each name once"),
        ([RaterAnswers(rater="a", sheet="other", answers={"q0": 0})], "answers sheet other"),
        ([RaterAnswers(rater="a", sheet="s", answers={"q99": 0})], "answers q99"),
        ([RaterAnswers(rater="a", sheet="s", answers={"q0": 4})], "option 5 of 4"),
    ],
)
def test_answers_that_do_not_fit_are_refused(raters: list[RaterAnswers], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        human_figures(key(), raters, seed=0)
