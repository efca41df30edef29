"""Sentences cut into tokens: nothing lost, nothing twice, colours by the largest activation."""

from hypothesis import given
from hypothesis import strategies as st

from descriptors.records import Split
from neurons.records import Tail
from service.pages.heat import STEPS, extent_of, heat_of, strongest_of
from service.views.records import ActivationRecord


def record(text: str, tokens: list[tuple[int, int, float]]) -> ActivationRecord:
    return ActivationRecord(
        sentence_id="s",
        text=text,
        split=Split.TEST,
        activation=0.0,
        tokens=tuple(text[start:end] for start, end, _ in tokens),
        activations=tuple(value for *_, value in tokens),
        starts=tuple(start for start, *_ in tokens),
    )


def test_tokens_take_their_step_and_side() -> None:
    read = record("no refund yet", [(0, 2, -1.0), (3, 9, 4.0), (10, 13, 0.1)])
    pieces = heat_of(read, extent_of([read]))
    assert [(each.text, each.step, each.sign) for each in pieces] == [
        ("no", 2, "is-below"),
        (" ", 0, ""),
        ("refund", STEPS, "is-above"),
        (" ", 0, ""),
        ("yet", 0, ""),
    ]


def test_tokens_of_one_character_are_shown_once() -> None:
    read = record("a\N{GRINNING FACE}b", [(0, 1, 1.0), (1, 2, 2.0), (1, 2, 3.0), (2, 3, 1.0)])
    assert "".join(each.text for each in heat_of(read, 3.0)) == read.text


def test_the_strongest_are_those_of_the_tail() -> None:
    read = record("one two three", [(0, 3, -2.0), (4, 7, 1.0), (8, 13, -3.0)])
    assert strongest_of(read, Tail.NEGATIVE) == (("three", -3.0), ("one", -2.0))
    assert strongest_of(read, Tail.POSITIVE) == (("two", 1.0),)


def test_nothing_is_coloured_where_nothing_is_active() -> None:
    read = record("all quiet", [(0, 3, 0.0), (4, 9, 0.0)])
    assert all(each.step == 0 for each in heat_of(read, extent_of([read])))
    assert extent_of([]) == 0.0


@given(
    st.text(max_size=30),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6), st.floats(-5, 5)), max_size=8),
)
def test_pieces_always_spell_the_text(text: str, spans: list[tuple[int, int, float]]) -> None:
    tokens = sorted(
        (start, min(start + length, len(text)), value) for start, length, value in spans
    )
    read = record(text, [each for each in tokens if each[0] < each[1]])
    pieces = heat_of(read, extent_of([read]))
    assert "".join(each.text for each in pieces) == text
    assert all(0 <= each.step <= STEPS for each in pieces)
