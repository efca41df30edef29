import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.highlighting import ELLIPSIS, Scale, Segment, highlight, shorten
from neurons.records import Tail, TokenActivation


def token(start: int, end: int, activation: float) -> TokenActivation:
    return TokenActivation(start=start, end=end, activation=activation)


@pytest.mark.parametrize(
    ("name", "tail", "activations", "expected"),
    [
        ("zero is no colour", Tail.POSITIVE, [-1.0, 0.0, 1.0, 4.0], [0.0, 0.0, 0.25, 1.0]),
        ("negative tail turns round", Tail.NEGATIVE, [-4.0, -1.0, 0.0, 3.0], [1.0, 0.25, 0.0, 0.0]),
        ("one sign spans its range", Tail.POSITIVE, [2.0, 3.0, 4.0], [0.0, 0.5, 1.0]),
        ("negative tail of a positive unit", Tail.NEGATIVE, [2.0, 3.0, 4.0], [1.0, 0.5, 0.0]),
        ("equal activations say nothing", Tail.POSITIVE, [2.0, 2.0], [0.0, 0.0]),
    ],
)
def test_scale(name: str, tail: Tail, activations: list[float], expected: list[float]) -> None:
    scale = Scale.over(tail, activations)
    assert [scale.strength(value) for value in activations] == expected, name


def test_scale_of_no_tokens_colours_nothing() -> None:
    assert Scale.over(Tail.POSITIVE, []).strength(3.0) == 0.0


def test_scale_holds_strengths_of_unseen_activations_between_the_ends() -> None:
    scale = Scale.over(Tail.POSITIVE, [0.0, 2.0])
    assert (scale.strength(5.0), scale.strength(-5.0)) == (1.0, 0.0)


def test_segments_between_tokens_carry_no_activation() -> None:
    scale = Scale(Tail.POSITIVE, 0.0, 2.0)
    assert highlight("so good!", [token(0, 2, 0.5), token(3, 7, 2.0)], scale) == (
        Segment("so", 0.25, 0.5),
        Segment(" "),
        Segment("good", 1.0, 2.0),
        Segment("!"),
    )


def test_where_tokens_overlap_the_strongest_of_the_tail_shows() -> None:
    pieces = [token(0, 1, -2.0), token(0, 1, -6.0), token(0, 3, 1.0), token(3, 3, -9.0)]
    assert highlight("😀ok", pieces, Scale(Tail.NEGATIVE, 0.0, 6.0)) == (
        Segment("😀", 1.0, -6.0),
        Segment("ok", 0.0, 1.0),
    )


@pytest.mark.parametrize("bad", [token(-1, 1, 0.0), token(2, 1, 0.0), token(0, 4, 0.0)])
def test_tokens_outside_the_text_are_refused(bad: TokenActivation) -> None:
    with pytest.raises(ValueError, match="outside a text of 3 characters"):
        highlight("abc", [bad], Scale(Tail.POSITIVE, 0.0, 1.0))


spans = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.floats(-9, 9)).map(
        lambda found: (min(found[:2]), max(found[:2]), found[2])
    ),
    max_size=12,
)


@given(st.text(min_size=60, max_size=60), spans, st.sampled_from(list(Tail)))
def test_segments_spell_the_text_and_match_a_character_by_character_reading(
    text: str, tokens: list[tuple[int, int, float]], tail: Tail
) -> None:
    pieces = [token(*item) for item in tokens]
    scale = Scale.over(tail, (item.activation for item in pieces))
    segments = highlight(text, pieces, scale)
    assert "".join(segment.text for segment in segments) == text
    pick = max if tail is Tail.POSITIVE else min
    expected = [
        pick((item.activation for item in pieces if item.start <= place < item.end), default=None)
        for place in range(60)
    ]
    assert [segment.activation for segment in segments for _ in segment.text] == expected


@given(st.integers(0, 95), st.integers(1, 120))
def test_an_excerpt_keeps_the_strongest_token_and_marks_its_cuts(start: int, width: int) -> None:
    text = "".join(chr(0x4E00 + place) for place in range(100))
    pieces = [token(0, 1, 0.5), token(start, start + 5, 2.0), token(99, 100, 0.5)]
    scale = Scale.over(Tail.POSITIVE, [0.5, 2.0])
    shown = "".join(
        segment.text for segment in highlight(text, pieces, scale, max_characters=width)
    )
    body = shown.strip(ELLIPSIS)
    assert body in text
    assert len(body) == min(width, 100)
    assert text[start + 2] in body
    assert shown.startswith(ELLIPSIS) == (not text.startswith(body))
    assert shown.endswith(ELLIPSIS) == (not text.endswith(body))


def test_an_excerpt_of_no_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        highlight("abc", [], Scale(Tail.POSITIVE, 0.0, 1.0), max_characters=0)
    with pytest.raises(ValueError, match="at least 1"):
        shorten("abc", 0)


def test_shorten_marks_what_it_cuts() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("ab cd", 4) == "ab…"
    assert shorten("abcde", 4) == "abc…"
