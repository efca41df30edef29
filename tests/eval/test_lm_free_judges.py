import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from eval.embedding_judge import EmbeddingJudge
from eval.judges import (
    Highlight,
    HighlightQuestion,
    Judge,
    JudgeSettings,
    TextQuestion,
    Unanswered,
    WordedText,
    WordQuestion,
    judge_word,
)
from eval.lm_free_judge import highlight_score, in_context
from eval.word_judge import NO_WORDS, WordJudge, stems
from indexer.arrays import FloatArray
from indexer.encoder import SentenceEncoder

REFERENCE = [
    "my card was stolen",
    "someone stole the card from my wallet",
    "the weather is sunny today",
    "rain and wind are expected",
    "the card machine declined",
]


def worded(text: str) -> WordedText:
    return WordedText(text, tuple(found.span() for found in re.finditer(r"\S+", text)))


KNOWN = {
    "weather": [1.0, 0.0],
    "cards": [0.0, 1.0],
    "rain today": [0.8, 0.6],
    "rain": [1.0, 0.0],
    "today": [-1.0, 0.0],
    "lost": [0.6, 0.8],
}


class Directions:
    """Embeds the few texts it knows, by hand."""

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return np.array([KNOWN[text] for text in texts], np.float32).reshape(-1, 2)


@pytest.fixture(params=["embedding", "words"])
def judge(request: pytest.FixtureRequest) -> Judge:
    return EmbeddingJudge(Directions()) if request.param == "embedding" else WordJudge(REFERENCE)


def test_cosines_are_mapped_to_0_and_1() -> None:
    judge = EmbeddingJudge(Directions())
    weather, cards = judge.judge_texts(
        [
            TextQuestion("weather", ("rain today", "cards", "today", "rain")),
            TextQuestion("cards", ("rain today",)),
        ]
    )
    np.testing.assert_allclose(weather, [0.9, 0.5, 0.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(cards, [0.8], atol=1e-6)


def test_a_word_is_scored_by_itself_and_its_text() -> None:
    judge = EmbeddingJudge(Directions())
    texts = (worded("rain today"), worded("lost"))
    (found,) = judge.judge_words([WordQuestion("weather", texts)])
    assert isinstance(found, tuple)
    # The words alone have 1 and 0, their text 0.9.
    np.testing.assert_allclose(found[0], [0.95, 0.45], atol=1e-6)
    np.testing.assert_allclose(found[1], [0.8], atol=1e-6)


def test_a_highlight_is_scored_by_what_marked_words_are_above_the_others() -> None:
    judge = EmbeddingJudge(Directions())
    text = worded("rain today")
    highlights = (
        Highlight(text, np.array([True, False])),
        Highlight(text, np.array([False, True])),
    )
    (found,) = judge.judge_highlights([HighlightQuestion("weather", highlights)])
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [1.0, 0.0]
    assert (found >= judge.highlight_threshold).tolist() == [True, False]


def test_marked_words_like_the_others_fit_not() -> None:
    score = highlight_score(np.array([0.1, 0.1, 0.1]), np.array([True, False, False]))
    assert score == 0.5 < EmbeddingJudge.highlight_threshold


@pytest.mark.parametrize("marked", [[True, True], [False, False]])
def test_a_highlight_of_all_or_no_words_is_refused(marked: list[bool]) -> None:
    with pytest.raises(ValueError, match="of 2 words are marked, expected some and not all"):
        highlight_score(np.array([0.1, 0.2]), np.array(marked))


def test_words_in_context() -> None:
    assert in_context(np.array([0.2, 0.4]), 0.6).tolist() == pytest.approx([0.4, 0.5])


def test_stems_are_content_words_cut_off() -> None:
    assert stems("The stolen cards were declined, declining") == ["cards", "decli", "stole"]
    assert stems("and the of") == []


def test_overlap_without_expansion_is_the_tf_idf_cosine() -> None:
    texts = ("a stolen card", "sunny weather", "a card", "nothing known")
    (found,) = WordJudge(REFERENCE, 0).judge_texts([TextQuestion("card stolen; rain", texts)])
    oracle: Any = TfidfVectorizer(analyzer=lambda text: [w[:5] for w in sorted(set(text.split()))])
    stopless = ["card stole", "someo stole card walle", "weath sunny today", "rain wind expec"]
    oracle.fit([*stopless, "card machi decli"])
    query = oracle.transform(["card stole rain"])
    expected = oracle.transform(["stole card", "sunny weath", "card", "known nothi"]) @ query.T
    np.testing.assert_allclose(found, expected.toarray().ravel(), atol=1e-8)
    assert isinstance(found, np.ndarray)
    assert found[1] == found[3] == 0.0


def test_a_description_is_expanded_by_texts_that_are_like_it() -> None:
    """No text says "stolen", but what is stolen is in wallets."""
    question = TextQuestion("stolen", ("my wallet", "rain"))
    (alone,) = WordJudge(REFERENCE, 0).judge_texts([question])
    (expanded,) = WordJudge(REFERENCE, 2).judge_texts([question])
    assert isinstance(alone, np.ndarray)
    assert isinstance(expanded, np.ndarray)
    assert alone.tolist() == [0.0, 0.0]
    assert expanded[0] > 0.0 == expanded[1]


def test_nothing_is_judged_without_a_content_word_to_weigh() -> None:
    judge = WordJudge(["the", "and of", ""])
    text = worded("rain today")
    assert judge.judge_texts([TextQuestion("rain", ("rain",))]) == [Unanswered(NO_WORDS)]
    assert judge.judge_words([WordQuestion("rain", (text,))]) == [Unanswered(NO_WORDS)]
    highlight = Highlight(text, np.array([True, False]))
    (found,) = judge.judge_highlights([HighlightQuestion("rain", (highlight,))])
    assert found == Unanswered(NO_WORDS)


def test_scores_lie_between_0_and_1_and_questions_do_not_disturb_each_other(judge: Judge) -> None:
    texts = ("rain today", "lost", "cards", "rain today")
    questions = [TextQuestion("weather", texts), TextQuestion("cards", texts[:2])]
    together = judge.judge_texts(questions)
    alone = [judge.judge_texts([each])[0] for each in questions]
    for one, other in zip(together, alone, strict=True):
        assert isinstance(one, np.ndarray)
        np.testing.assert_array_equal(one, other)
        assert ((one >= 0.0) & (one <= 1.0)).all()
        if len(one) == 4:
            assert one[0] == one[3]


def test_no_question_has_no_answer(judge: Judge) -> None:
    assert judge.judge_texts([]) == []
    assert judge.judge_words([]) == []
    assert judge.judge_highlights([]) == []


def test_the_embedding_judge_with_a_real_encoder(tiny_model: Callable[[str], Path]) -> None:
    encoder = SentenceEncoder.load(str(tiny_model("bert")), "cpu")
    texts = ("the battery broke", "good price", "slow delivery")
    (found,) = EmbeddingJudge(encoder).judge_texts([TextQuestion("good price", texts)])
    vectors = encoder.encode(["good price", *texts]).astype(np.float64)
    np.testing.assert_allclose(found, (1.0 + vectors[1:] @ vectors[0]) / 2.0, atol=1e-5)
    assert isinstance(found, np.ndarray)
    assert found[1] == pytest.approx(1.0, abs=1e-5)


def test_judges_are_named_without_blanks() -> None:
    assert judge_word(["embedding", "transformers:a b/c+d"]) == (
        "judge=embedding+transformers:a%20b/c%2Bd"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"judges": ("words",)}, "expected two judges or more"),
        ({"judges": ("words", "words")}, "expected different ones"),
        ({"judges": ("words", "openai:gpt")}, "a chat model goes into `lm`"),
        ({"judges": (), "lm": "openai:gpt"}, "expected two judges or more"),
    ],
)
def test_settings_need_two_judges_that_are_known(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        JudgeSettings(**settings)
    assert JudgeSettings(judges=("words",), lm="openai:gpt").judges == ("words",)
