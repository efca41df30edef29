"""Lists of tails: filters worked out by hand, and any filter against a plain loop."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurons.explanation_file import read_explanations
from neurons.records import AbstentionReason, Explanation, Match, NeuronId, Site, Tail
from service.run_library import RunLibrary
from service.views.records import NeuronFilter, NeuronOrder, TailCard
from service.views.run_view import RunView

EVERY = 10**6


@pytest.fixture
def by_hand(add_run: Callable[[str], Path], runs: Path) -> tuple[RunView, tuple[str, str]]:
    """A run of five tails, and the two descriptors they respond to."""
    path = add_run("small")
    first, second = (
        RunLibrary(runs, 1).open("small").descriptors(search="", kept=True, offset=0, limit=2).items
    )
    rows = [
        row("L0.ffn.1", "+", 1, first.id, 0.9, q=0.02, z=3.0),
        row("L0.ffn.1", "+", 2, second.id, 0.7, q=0.04, z=9.0),
        row("L0.ffn.1", "-", reason="effect_too_small"),
        row("L0.hidden.2", "+", 1, second.id, 0.8, q=0.01, z=1.0),
        row("L1.ffn.10", "+", reason="dead"),
        row("L1.ffn.10", "-", 1, second.id, 0.6, q=0.01, z=2.0),
    ]
    pq.write_table(pa.Table.from_pylist(rows), path / "explanations.parquet")
    return RunLibrary(runs, 1).open("small"), (first.id, second.id)


def row(
    neuron: str,
    tail: str,
    rank: int | None = None,
    descriptor: str | None = None,
    auroc: float | None = None,
    *,
    q: float | None = None,
    z: float | None = None,
    reason: str | None = None,
) -> dict[str, object]:
    return {
        "neuron": neuron,
        "tail": tail,
        "rank": rank,
        "descriptor_id": descriptor,
        "descriptor": descriptor,
        "auroc": auroc,
        "ci_low": auroc,
        "ci_high": auroc,
        "q": q,
        "exemplar_z": z,
        "reason": reason,
    }


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (NeuronFilter(), "L0.ffn.1+ L0.ffn.1- L0.hidden.2+ L1.ffn.10+ L1.ffn.10-"),
        (NeuronFilter(layer=0), "L0.ffn.1+ L0.ffn.1- L0.hidden.2+"),
        (NeuronFilter(layer=7), ""),
        (NeuronFilter(site=Site.HIDDEN), "L0.hidden.2+"),
        (NeuronFilter(tail=Tail.NEGATIVE), "L0.ffn.1- L1.ffn.10-"),
        (NeuronFilter(described=True), "L0.ffn.1+ L0.hidden.2+ L1.ffn.10-"),
        (NeuronFilter(described=False), "L0.ffn.1- L1.ffn.10+"),
        (NeuronFilter(reason=AbstentionReason.CONSTANT), "L1.ffn.10+"),
        (NeuronFilter(minimum_score=0.8), "L0.ffn.1+ L0.hidden.2+"),
        (NeuronFilter(minimum_score=0.0), "L0.ffn.1+ L0.hidden.2+ L1.ffn.10-"),
        (
            NeuronFilter(order=NeuronOrder.SCORE),
            "L1.ffn.10- L0.hidden.2+ L0.ffn.1+ L0.ffn.1- L1.ffn.10+",
        ),
        (NeuronFilter(descriptor="none"), ""),
        (NeuronFilter(descriptor="none", described=False), ""),
    ],
)
def test_a_filter_finds_what_a_hand_finds(
    by_hand: tuple[RunView, tuple[str, str]], wanted: NeuronFilter, found: str
) -> None:
    page = by_hand[0].tails(wanted, offset=0, limit=EVERY)
    assert " ".join(f"{each.neuron}{each.tail}" for each in page.items) == found
    assert page.total == len(page.items)


def test_the_explanation_is_the_descriptor_that_is_asked_for(
    by_hand: tuple[RunView, tuple[str, str]],
) -> None:
    view, (first, second) = by_hand
    wanted = NeuronFilter(descriptor=second)
    assert shown(view, wanted) == [
        ("L0.ffn.1", second, 0.7),
        ("L0.hidden.2", second, 0.8),
        ("L1.ffn.10", second, 0.6),
    ]
    surest = wanted.model_copy(update={"order": NeuronOrder.SCORE})
    assert [each[0] for each in shown(view, surest)] == ["L1.ffn.10", "L0.hidden.2", "L0.ffn.1"]
    strong = wanted.model_copy(update={"minimum_score": 0.75})
    assert [each[0] for each in shown(view, strong)] == ["L0.hidden.2"]
    assert shown(view, NeuronFilter(descriptor=first)) == [("L0.ffn.1", first, 0.9)]


def shown(view: RunView, wanted: NeuronFilter) -> list[tuple[str, str, float]]:
    found = []
    for each in view.tails(wanted, offset=0, limit=EVERY).items:
        assert each.explanation is not None
        found.append((each.neuron, each.explanation.descriptor_id, each.explanation.score))
    return found


def test_a_page_beyond_the_end_is_empty(opened: RunView) -> None:
    page = opened.tails(NeuronFilter(), offset=EVERY, limit=10)
    assert page.items == ()
    assert page.total == 320


@pytest.fixture(scope="module")
def explanations(small_run: Path) -> list[Explanation]:
    return read_explanations(small_run / "explanations.parquet")


def filters(descriptors: tuple[str, ...]) -> st.SearchStrategy[NeuronFilter]:
    return st.builds(
        NeuronFilter,
        layer=st.none() | st.integers(0, 2),
        site=st.none() | st.sampled_from(Site),
        tail=st.none() | st.sampled_from(Tail),
        descriptor=st.none() | st.sampled_from(descriptors),
        minimum_score=st.none() | st.floats(0.5, 1.0),
        described=st.none() | st.booleans(),
        reason=st.none() | st.sampled_from(AbstentionReason),
        order=st.sampled_from(NeuronOrder),
    )


@settings(max_examples=150)
@given(data=st.data(), limit=st.integers(1, 400))
def test_pages_together_are_what_a_plain_loop_finds(
    opened: RunView, explanations: list[Explanation], data: st.DataObject, limit: int
) -> None:
    known = opened.descriptors(search="", kept=None, offset=0, limit=6).items
    wanted = data.draw(filters(tuple(each.id for each in known)))
    expected = looked_through(explanations, wanted)
    cards: list[TailCard] = []
    while page := opened.tails(wanted, offset=len(cards), limit=limit).items:
        assert len(page) <= limit
        cards += page
    assert opened.tails(wanted, offset=0, limit=limit).total == len(expected)
    for card, (explanation, match) in zip(cards, expected, strict=True):
        assert (card.neuron, card.tail) == (explanation.neuron, explanation.tail)
        assert card.reason == explanation.reason
        assert (card.explanation is None) == (match is None)
        if card.explanation is not None and match is not None:
            assert card.explanation.descriptor_id == match.descriptor_id
            assert card.explanation.score == match.auroc


def looked_through(
    explanations: list[Explanation], wanted: NeuronFilter
) -> list[tuple[Explanation, Match | None]]:
    """The tails that pass, one after the other."""
    found = []
    for each in explanations:
        carried = [
            match for match in each.matches if wanted.descriptor in (None, match.descriptor_id)
        ]
        match = carried[0] if carried else None
        if passes(each, match, wanted):
            found.append((each, match))
    if wanted.order is NeuronOrder.SCORE:
        surest = [pair for pair in found if pair[1] is not None]
        surest.sort(key=lambda pair: pair[1].evidence if pair[1] else (0.0, 0.0))
        return surest + [pair for pair in found if pair[1] is None]
    return found


def passes(explanation: Explanation, match: Match | None, wanted: NeuronFilter) -> bool:
    neuron = NeuronId.parse(explanation.neuron)
    return (
        wanted.layer in (None, neuron.layer)
        and wanted.site in (None, neuron.site)
        and wanted.tail in (None, explanation.tail)
        and wanted.reason in (None, explanation.reason)
        and wanted.described in (None, bool(explanation.matches))
        and (wanted.descriptor is None or match is not None)
        and (
            wanted.minimum_score is None
            or (match is not None and match.auroc >= wanted.minimum_score)
        )
    )


def test_the_surest_come_first(opened: RunView) -> None:
    wanted = NeuronFilter(order=NeuronOrder.SCORE, described=True)
    cards = opened.tails(wanted, offset=0, limit=EVERY).items
    shown = [each.explanation for each in cards if each.explanation is not None]
    evidence = [(each.q, -each.exemplar_z) for each in shown]
    assert all(one <= other for one, other in pairwise(evidence))
    assert len(evidence) == len(cards) > 100
