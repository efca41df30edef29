import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.fuzzing import FuzzingTail, fuzz, fuzzed, mark
from eval.judge_scores import JudgedScores
from eval.judged_texts import Shortfall
from tests.eval.judge_fixtures import ToldJudge, descriptions, says, worded


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_words_from_a_third_of_the_strongest_on_are_marked() -> None:
    markings = mark(np.array([0.1, 2.0, 0.59, 0.61, -1.0]), 0.0, rng())
    assert markings is not None
    assert markings.right.tolist() == [False, True, False, True, False]
    assert markings.wrong.sum() == 2
    assert not (markings.right & markings.wrong).any()


def test_strength_counts_from_rest() -> None:
    """Above a rest of 1 the strongest word is at 1 and the others are at 0.2, so one is marked."""
    markings = mark(np.array([1.2, 2.0, 1.2, 1.2]), 1.0, rng())
    assert markings is not None
    assert markings.right.tolist() == [False, True, False, False]
    # Above a rest of 0 all words would be, and there would be no others.
    assert mark(np.array([1.2, 2.0, 1.2, 1.2]), 0.0, rng()) is None


@pytest.mark.parametrize(
    "strengths", [[-1.0, -2.0, 0.0], [], [1.0], [1.0, 0.9, 0.0]], ids=["rest", "no", "one", "most"]
)
def test_some_texts_cannot_be_marked(strengths: list[float]) -> None:
    assert mark(np.array(strengths), 0.0, rng()) is None


@given(
    st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=20),
    st.floats(-1.0, 1.0),
    st.integers(0, 100),
)
def test_as_many_words_are_marked_wrongly_as_rightly(
    strengths: list[float], resting: float, seed: int
) -> None:
    markings = mark(np.array(strengths), resting, rng(seed))
    if markings is not None:
        assert markings.right.sum() == markings.wrong.sum() > 0
        assert not (markings.right & markings.wrong).any()
        assert markings.right[int(np.argmax(strengths))]


TEXTS = [worded(f"the cat saw number {number}") for number in range(24)]
STRENGTHS = [np.array([0.0, 3.0, 0.1, 0.2, 0.0])] * 24


def tail_about(own: str) -> FuzzingTail:
    found = fuzzed(descriptions(own, "saw"), TEXTS, STRENGTHS, 0.0, rng())
    assert isinstance(found, FuzzingTail)
    return found


def test_every_text_is_shown_once_rightly_and_once_wrongly() -> None:
    tail = tail_about("cat")
    assert len(tail.highlights) == 48
    assert tail.right.sum() == 24
    for first, second in zip(tail.highlights[:24], tail.highlights[24:], strict=True):
        assert first.worded == second.worded
        assert first.marked.sum() == second.marked.sum() == 1
        assert not (first.marked & second.marked).any()
    assert 0 < tail.right[:24].sum() < 24
    np.testing.assert_array_equal(tail.right[:24], ~tail.right[24:])
    for right, highlight in zip(tail.right, tail.highlights, strict=True):
        assert highlight.marked[1] == right


def test_too_few_texts_with_words_at_rest_are_told() -> None:
    most = [np.ones(5)] * 5
    assert fuzzed(descriptions("cat"), TEXTS, [*STRENGTHS[:19], *most], 0.0, rng()) == Shortfall(
        "fewer_than_20_texts_with_half_of_their_words_at_rest"
    )


def test_worked_by_hand() -> None:
    found = fuzz(ToldJudge(says), [tail_about("cat")])
    assert isinstance(found, JudgedScores)
    wrong = [one for one, right in zip(*_parts(), strict=True) if not right]
    saw = sum(one.marked[2] for one in wrong) / 24
    # Its own description fits all right marks and no wrong one, the swapped one some wrong ones.
    np.testing.assert_allclose(found.metrics["balanced_accuracy"], [[1.0, (1 - saw) / 2, 0.5]])
    np.testing.assert_allclose(found.metrics["AUROC"], [[1.0, (1 - saw) / 2, 0.5]])
    np.testing.assert_allclose(found.metrics["F1"], [[1.0, 0.0, 0.0]])
    assert 0 < saw < 1


def _parts() -> tuple[tuple[object, ...], list[bool]]:
    tail = tail_about("cat")
    return tail.highlights, tail.right.tolist()
