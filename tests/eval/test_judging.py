"""All judges of a population: figures, what is missing from them, and agreement."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, spearmanr

from eval.detection import AUROC, TOLD, DetectionTail, SampledTexts, detect
from eval.judge_agreement import agreement_figures, beats_chance, sensitivity_figures
from eval.judge_scores import JudgedScores, Population
from eval.judging import Comparing, judged_figures
from eval.records import Figure
from indexer.arrays import DoubleArray
from tests.eval.judge_fixtures import ToldJudge, descriptions, sample, says

N_TAILS = 20
N_ITEMS = np.full((N_TAILS, 2), 4)


def population(n_tails: int = N_TAILS, **unfit: int) -> Population:
    drawn = n_tails + sum(unfit.values())
    return Population("detection", "tail=+ site=ffn", 100, drawn, unfit)


def tails(n_tails: int = N_TAILS) -> list[DetectionTail]:
    """Tail n is described well where n is even, and its texts are about all and nothing else."""
    found = []
    for number in range(n_tails):
        subject = f"subject{number}." if number % 2 else "nothing"
        texts = (*[f"about subject{number}."] * 4, *[f"something else {subject}"] * 4)
        own = SampledTexts(sample([1] * 4 + [0] * 4, hard=[4, 5]), texts)
        found.append(DetectionTail(descriptions(f"subject{number}.", "nothing"), own, own))
    return found


def figures(
    *judges: ToldJudge, n_tails: int = N_TAILS, maximum_missing: float = 0.2, **unfit: int
) -> list[Figure]:
    return judged_figures(
        population(n_tails, **unfit),
        judges,
        tails(n_tails),
        detect,
        TOLD,
        Comparing(AUROC, N_ITEMS[:n_tails]),
        maximum_missing,
        0,
    )


def by_name(found: list[Figure]) -> dict[tuple[str, str], Figure]:
    named = {(each.variant, each.metric): each for each in found}
    assert len(named) == len(found)
    return named


def test_figures_are_means_over_neurons_beside_null_and_baseline() -> None:
    found = by_name(figures(ToldJudge(says), ToldJudge(says, name="other")))
    figure = found["judge=told tail=+ site=ffn", "AUROC"]
    # Even tails are told apart by their own description, odd ones not: all their texts fit.
    assert figure.value == pytest.approx(0.75)
    # "nothing" is in the inactive texts of even tails.
    assert figure.null == pytest.approx(0.25)
    assert figure.baseline == pytest.approx(0.5)
    assert (figure.split, figure.n, figure.protocol) == ("test", N_TAILS, "detection")
    assert figure.ci_low is not None
    assert figure.ci_high is not None
    assert 0.5 <= figure.ci_low < 0.75 < figure.ci_high <= 1.0
    assert ("judge=told others=hard tail=+ site=ffn", "AUROC") in found
    assert ("judge=told tail=+ site=ffn", "F1") in found
    assert ("judge=told+other score=AUROC tail=+ site=ffn", "Spearman") in found
    assert ("judge=told+other tail=+ site=ffn", "judge_sensitive") in found


def test_the_same_input_gives_the_same_figures() -> None:
    assert figures(ToldJudge(says)) == figures(ToldJudge(says))


@pytest.mark.parametrize(("n_tails", "unfit"), [(9, 0), (15, 16)])
def test_nobody_is_asked_about_too_few_tails(n_tails: int, unfit: int) -> None:
    judge = ToldJudge(says)
    reasons = {"fewer_than_20_test_texts": unfit} if unfit else {}
    (found,) = figures(judge, n_tails=n_tails, **reasons)
    assert (found.metric, found.value, found.n) == ("refused", None, n_tails)
    assert f"{n_tails} of them can be judged" in found.reason
    assert "expected 10 or more, and half of those drawn" in found.reason
    assert not judge.asked


def test_tails_that_cannot_be_judged_are_told() -> None:
    found = by_name(figures(ToldJudge(says), fewer_than_20_test_texts=3))
    unfit = found["tail=+ site=ffn", "unfit"]
    assert unfit.n == 3
    assert "3 of 23 drawn tails are not judged (fewer_than_20_test_texts 3)" in unfit.reason
    assert found["judge=told tail=+ site=ffn", "AUROC"].n == N_TAILS


def test_a_missing_part_is_told_beside_the_figures() -> None:
    half_way = ToldJudge(says, unanswered=frozenset({"subject0.", "subject2."}))
    found = by_name(figures(half_way))
    assert found["judge=told tail=+ site=ffn", "AUROC"].n == 18
    missing = found["judge=told tail=+ site=ffn", "missing"]
    assert (missing.value, missing.n) == (None, 2)
    assert "answered for 18 of 20 neurons (server_failed 2)" in missing.reason


def test_too_much_missing_leaves_no_number() -> None:
    unanswered = frozenset(f"subject{number}." for number in range(5))
    half_way = ToldJudge(says, unanswered=unanswered)
    (found,) = figures(half_way)
    assert (found.metric, found.value, found.n) == ("refused", None, 15)
    assert "answered for 15 of 20 neurons (server_failed 5); expected 16 or more" in found.reason
    assert figures(half_way, maximum_missing=0.25)[0].value is not None


def test_fewer_than_ten_answers_leave_no_number() -> None:
    unanswered = frozenset({"subject0."})
    found = figures(ToldJudge(says, unanswered=unanswered), n_tails=10)
    assert [each.metric for each in found] == ["refused"]
    assert "expected 10 or more" in found[0].reason


def test_a_broken_judge_does_not_take_the_others_along() -> None:
    found = by_name(figures(ToldJudge(says), ToldJudge(says, name="openai:gpt", broken="no key")))
    refused = found["judge=openai:gpt tail=+ site=ffn", "refused"]
    assert refused.reason == "the judge openai:gpt failed: no key"
    assert found["judge=told tail=+ site=ffn", "AUROC"].value is not None
    assert not [variant for variant, _ in found if "told+openai" in variant]


def scores(name: str, table: DoubleArray, answered: tuple[int, ...] | None = None) -> JudgedScores:
    kept = tuple(range(len(table))) if answered is None else answered
    missing = {"server_failed": N_TAILS - len(kept)} if len(kept) < N_TAILS else {}
    return JudgedScores(name, {AUROC: table}, kept, missing)


def test_agreement_is_the_rank_correlation_over_neurons() -> None:
    generator = np.random.default_rng(0)
    one = generator.random((N_TAILS, 4))
    other = one + 0.3 * generator.random((N_TAILS, 4))
    (found,) = agreement_figures(population(), [scores("a", one), scores("b", other)], AUROC, 0)
    assert found.metric == "Spearman"
    assert found.variant == "judge=a+b score=AUROC tail=+ site=ffn"
    assert found.value == pytest.approx(spearmanr(one[:, 0], other[:, 0]).statistic)
    assert found.baseline == pytest.approx(spearmanr(one[:, -1], other[:, -1]).statistic)
    assert found.null == 0.0
    assert found.ci_low is not None
    assert found.ci_high is not None
    assert found.value is not None
    assert found.ci_low < found.value < found.ci_high
    assert found.n == N_TAILS


def test_only_neurons_that_both_have_answered_for_are_compared() -> None:
    table = np.random.default_rng(1).random((N_TAILS, 3))
    answered = tuple(range(0, N_TAILS, 2))
    # The second judge's table holds every other neuron, with the very scores of the first.
    judges = [scores("a", table), scores("b", table[list(answered)], answered)]
    (found,) = agreement_figures(population(), judges, AUROC, 0)
    assert (found.value, found.n) == (pytest.approx(1.0), 10)
    (few,) = agreement_figures(
        population(), [scores("a", table), scores("b", table[:9], tuple(range(9)))], AUROC, 0
    )
    assert (few.value, few.n) == (None, 9)
    assert "answered for 9 neurons, expected 10 or more" in few.reason


def test_every_pair_of_judges_is_compared_and_constant_scores_agree_with_nothing() -> None:
    table = np.random.default_rng(2).random((N_TAILS, 3))
    judges = [scores("a", table), scores("b", np.ones_like(table)), scores("c", -table)]
    found = {each.variant: each.value for each in agreement_figures(population(), judges, AUROC, 0)}
    assert list(found.values()) == [0.0, pytest.approx(-1.0), 0.0]


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_are_those_of_a_one_sided_test(seed: int) -> None:
    generator = np.random.default_rng(seed)
    active, others = generator.normal(0.5, 1.0, 30), generator.normal(0.0, 1.0, 25)
    tested = mannwhitneyu(
        active, others, alternative="greater", method="asymptotic", use_continuity=False
    )
    area = tested.statistic / (30 * 25)
    (verdict,) = beats_chance(np.array([[area]]), np.array([[30, 25]])).ravel().tolist()
    assert verdict == (tested.pvalue < 0.05)


def test_judge_sensitive_neurons_are_those_on_which_verdicts_differ() -> None:
    one, other = np.full((N_TAILS, 4), 0.5), np.full((N_TAILS, 3), 0.5)
    one[:10, 0] = 1.0
    other[5:10, 0] = 1.0
    one[:4, 1] = 1.0
    one[:, 2] = 1.0
    one[0, 3] = other[0, 2] = 1.0
    # The second judge is paid for, so only the first swapped description is compared.
    (found,) = sensitivity_figures(
        population(), [scores("a", one), scores("b", other)], AUROC, np.full((N_TAILS, 2), 50), 0
    )
    assert (found.metric, found.variant) == ("judge_sensitive", "judge=a+b tail=+ site=ffn")
    assert found.value == pytest.approx(5 / 20)
    assert found.null == pytest.approx(4 / 20)
    assert found.baseline == 0.0


def test_one_judge_agrees_with_nobody() -> None:
    table = np.random.default_rng(3).random((N_TAILS, 3))
    assert agreement_figures(population(), [scores("a", table)], AUROC, 0) == []
    assert sensitivity_figures(population(), [scores("a", table)], AUROC, N_ITEMS, 0) == []
