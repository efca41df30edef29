"""A user's edits win over curation, survive a rebuild and lose nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descriptors.corpus import Corpus
from descriptors.curation import Rejection
from descriptors.edit_file import (
    EDITS_FILE,
    EditsKey,
    append_edits,
    discover_rows,
    ids_at,
    read_edits,
)
from descriptors.edit_records import (
    Ban,
    DescriptorReference,
    Edit,
    EditKind,
    Lock,
    Merge,
    Rename,
    Seed,
    Unlock,
    UserReason,
    checked_phrase,
    edit_phrases,
    support_sentences,
    user_descriptor_id,
)
from descriptors.edit_report import EditedCatalog, EditProblem
from descriptors.edits import apply_edits
from descriptors.records import Descriptor
from indexer.errors import InputError, RunError

ROWS = {f"s{row}": row for row in range(40)}


def proposed(number: int, text: str, reason: str = "") -> Descriptor:
    return Descriptor(
        id=f"d{number}",
        text=text,
        proposer="keyphrase",
        group=f"g{number}",
        support=(number, number + 10) if not reason else (),
        kept=not reason,
        reason=reason,
    )


BATTERY = proposed(0, "battery life")
SCREEN = proposed(1, "screen")
SOUND = proposed(2, "sound quality")
DISPLAY = proposed(3, "display", Rejection.SAME_SENTENCES)
CURATED = [BATTERY, SCREEN, SOUND, DISPLAY]


def edited(*edits: Edit, curated: list[Descriptor] | None = None) -> EditedCatalog:
    return apply_edits(CURATED if curated is None else curated, edits, ROWS)


def of(descriptor: Descriptor) -> DescriptorReference:
    return DescriptorReference.of(descriptor)


def lock(descriptor: Descriptor, *support: str) -> Lock:
    return Lock(
        descriptor=of(descriptor),
        proposer=descriptor.proposer,
        group=descriptor.group,
        support=support,
    )


def named(catalog: EditedCatalog, identifier: str) -> Descriptor:
    return next(each for each in catalog.descriptors if each.id == identifier)


def kept_texts(catalog: EditedCatalog) -> list[str]:
    return [each.text for each in catalog.descriptors if each.kept]


def test_no_edits_change_nothing() -> None:
    catalog = edited()
    assert list(catalog.descriptors) == CURATED
    assert (catalog.report.total, catalog.report.unresolved) == (0, ())


def test_a_seed_is_kept_and_locked() -> None:
    catalog = edited(Seed(text="repairs"), Seed(text="refunds", support=("s4", "s2", "gone")))
    repairs = named(catalog, user_descriptor_id("repairs"))
    assert (repairs.proposer, repairs.kept, repairs.locked, repairs.support) == (
        *("user", True, True),
        (),
    )
    assert named(catalog, user_descriptor_id("Refunds")).support == (4, 2)
    assert catalog.report.missing_sentences == 1
    assert catalog.report.applied == {EditKind.SEED: 2}


def test_a_rename_keeps_sentences_and_the_first_name() -> None:
    first = Rename(descriptor=of(SCREEN), text="monitor")
    renamed = SCREEN.model_copy(update={"text": "monitor", "renamed_from": "screen"})
    assert named(edited(first), "d1") == renamed
    again = Rename(descriptor=of(renamed), text="picture")
    assert named(edited(first, again), "d1").renamed_from == "screen"
    back = Rename(descriptor=of(renamed), text="screen")
    assert named(edited(first, back), "d1") == SCREEN


def test_a_merge_unites_the_sentences() -> None:
    catalog = edited(Merge(descriptors=(of(SCREEN), of(SOUND)), text="picture and sound"))
    result = named(catalog, user_descriptor_id("picture and sound"))
    assert (result.support, result.kept, result.locked) == ((1, 2, 11, 12), True, True)
    for part in ("d1", "d2"):
        assert named(catalog, part).reason == UserReason.MERGED
    assert kept_texts(catalog) == ["battery life", "picture and sound"]


def test_a_merge_may_take_the_name_of_a_part_or_of_an_earlier_merge() -> None:
    first = Merge(descriptors=(of(SCREEN), of(SOUND)), text="screen")
    catalog = edited(first)
    assert kept_texts(catalog) == ["battery life", "screen"]
    result = named(catalog, user_descriptor_id("screen"))
    again = edited(first, Merge(descriptors=(of(result), of(BATTERY)), text="screen"))
    assert kept_texts(again) == ["screen"]
    assert named(again, result.id).support == (0, 1, 2, 10, 11, 12)


def test_a_merge_without_one_of_its_parts_reports_it() -> None:
    gone = DescriptorReference(id="dx", text="gone phrase")
    catalog = edited(Merge(descriptors=(of(SCREEN), gone, of(DISPLAY)), text="picture"))
    assert named(catalog, user_descriptor_id("picture")).support == SCREEN.support
    assert [(each.text, each.problem) for each in catalog.report.unresolved] == [
        ("gone phrase", EditProblem.NOT_FOUND),
        ("display", EditProblem.NOT_KEPT),
    ]
    nothing = edited(Merge(descriptors=(gone,), text="picture"))
    assert list(nothing.descriptors) == CURATED
    assert nothing.report.applied == {}


def test_a_ban_holds_for_every_descriptor_of_the_phrase() -> None:
    later = proposed(7, "Screen")
    catalog = edited(Ban(text="screen"), curated=[*CURATED, later])
    assert named(catalog, "d1").reason == named(catalog, "d7").reason == UserReason.BANNED
    assert kept_texts(catalog) == ["battery life", "sound quality"]


def test_a_lock_overrules_curation() -> None:
    catalog = edited(lock(DISPLAY, "s5", "s6"))
    found = named(catalog, "d3")
    assert (found.kept, found.locked, found.reason, found.support) == (True, True, "", (5, 6))


def test_a_lock_of_what_curation_keeps_takes_the_sentences_of_its_group() -> None:
    assert named(edited(lock(SCREEN, "s5")), "d1").support == SCREEN.support


def test_a_locked_descriptor_stays_when_it_is_proposed_no_more() -> None:
    catalog = edited(lock(SCREEN, "s1", "s11"), curated=[BATTERY])
    assert list(catalog.descriptors) == [BATTERY, SCREEN.model_copy(update={"locked": True})]
    assert catalog.report.unresolved == ()


def test_a_lock_keeps_the_name_it_was_locked_under() -> None:
    renamed = SCREEN.model_copy(update={"text": "monitor", "renamed_from": "screen"})
    edits = (Rename(descriptor=of(SCREEN), text="monitor"), lock(renamed, "s1"))
    catalog = edited(*edits, curated=[BATTERY])
    assert kept_texts(catalog) == ["battery life", "monitor"]
    assert named(catalog, "d1").renamed_from == "screen"


def test_descriptors_are_found_by_their_phrase_when_ids_have_changed() -> None:
    other = proposed(8, "screen")
    catalog = edited(Rename(descriptor=of(SCREEN), text="monitor"), curated=[DISPLAY, other])
    assert named(catalog, "d8").text == "monitor"
    renamed = DescriptorReference(id="dx", text="monitor", renamed_from="screen")
    assert named(edited(Rename(descriptor=renamed, text="tv")), "d1").text == "tv"


def test_a_kept_descriptor_is_found_before_a_rejected_one_of_the_phrase() -> None:
    rejected = proposed(8, "screen", Rejection.ALTERNATIVE)
    reference = DescriptorReference(id="dx", text="screen")
    catalog = edited(Rename(descriptor=reference, text="tv"), curated=[rejected, SCREEN])
    assert named(catalog, "d1").text == "tv"
    assert named(catalog, "d8").text == "screen"


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (Rename(descriptor=DescriptorReference(id="x", text="y"), text="z"), EditProblem.NOT_FOUND),
        (Rename(descriptor=of(DISPLAY), text="panel"), EditProblem.NOT_KEPT),
        (Unlock(descriptor=of(SCREEN)), EditProblem.NOT_LOCKED),
        (Unlock(descriptor=DescriptorReference(id="x", text="y")), EditProblem.NOT_FOUND),
    ],
    ids=["rename what is gone", "rename what is rejected", "unlock", "unlock what is gone"],
)
def test_edits_without_effect_are_reported(edit: Edit, problem: EditProblem) -> None:
    report = edited(Ban(text="screen"), edit).report
    assert [(each.position, each.problem) for each in report.unresolved] == [(2, problem)]
    assert report.applied == {EditKind.BAN: 1}


SCREEN_ID, SEEDED_ID = "d1", user_descriptor_id("screen")
CONFLICTS: dict[str, tuple[list[Edit], dict[str, str]]] = {
    # Edits, then the reason of each descriptor; an empty one is kept.
    "ban, lock": ([Ban(text="screen"), lock(SCREEN)], {SCREEN_ID: ""}),
    "lock, ban": ([lock(SCREEN), Ban(text="screen")], {SCREEN_ID: UserReason.BANNED}),
    "ban, seed": (
        [Ban(text="screen"), Seed(text="screen")],
        {SEEDED_ID: "", SCREEN_ID: UserReason.PHRASE_TAKEN},
    ),
    "seed, ban": (
        [Seed(text="screen"), Ban(text="screen")],
        {SEEDED_ID: UserReason.BANNED, SCREEN_ID: UserReason.BANNED},
    ),
    "seed, lock": (
        [Seed(text="screen"), lock(SCREEN)],
        {SEEDED_ID: UserReason.PHRASE_TAKEN, SCREEN_ID: ""},
    ),
    "ban, rename to it": (
        [Ban(text="monitor"), Rename(descriptor=of(SCREEN), text="monitor")],
        {SCREEN_ID: ""},
    ),
    "rename, ban the name": (
        [Rename(descriptor=of(SCREEN), text="monitor"), Ban(text="monitor")],
        {SCREEN_ID: UserReason.BANNED},
    ),
    "rename, ban what it was": (
        [Rename(descriptor=of(SCREEN), text="monitor"), Ban(text="screen")],
        {SCREEN_ID: ""},
    ),
    "rename to a phrase that is there": (
        [Rename(descriptor=of(SCREEN), text="battery life")],
        {SCREEN_ID: "", "d0": UserReason.PHRASE_TAKEN},
    ),
    "lock, merge": (
        [lock(SCREEN), Merge(descriptors=(of(SCREEN), of(SOUND)), text="media")],
        {SCREEN_ID: UserReason.MERGED},
    ),
    "merge, lock": (
        [Merge(descriptors=(of(SCREEN), of(SOUND)), text="media"), lock(SCREEN)],
        {SCREEN_ID: "", "d2": UserReason.MERGED, user_descriptor_id("media"): ""},
    ),
    "lock, unlock": ([lock(DISPLAY), Unlock(descriptor=of(DISPLAY))], {"d3": DISPLAY.reason}),
    "ban, lock, unlock": (
        [Ban(text="screen"), lock(SCREEN), Unlock(descriptor=of(SCREEN))],
        {SCREEN_ID: UserReason.BANNED},
    ),
    "lock, unlock, lock": (
        [lock(DISPLAY), Unlock(descriptor=of(DISPLAY)), lock(DISPLAY)],
        {"d3": ""},
    ),
}


@pytest.mark.parametrize("name", CONFLICTS)
def test_the_last_edit_wins(name: str) -> None:
    edits, reasons = CONFLICTS[name]
    catalog = edited(*edits)
    for identifier, reason in reasons.items():
        found = named(catalog, identifier)
        assert (found.reason, found.kept) == (reason, not reason)
        assert not (found.locked and reason)


def test_a_lock_that_was_taken_back_brings_nothing_back() -> None:
    edits = (lock(SCREEN, "s1"), Unlock(descriptor=of(SCREEN)))
    catalog = edited(*edits, curated=[BATTERY])
    assert list(catalog.descriptors) == [BATTERY]
    assert (catalog.report.locks_taken_back, catalog.report.unresolved) == (1, ())


def test_an_unlocked_seed_is_kept_unlocked() -> None:
    seeded = named(edited(Seed(text="refunds")), user_descriptor_id("refunds"))
    found = named(edited(Seed(text="refunds"), Unlock(descriptor=of(seeded))), seeded.id)
    assert (found.kept, found.locked) == (True, False)


def test_two_descriptors_of_one_identifier_are_refused() -> None:
    with pytest.raises(ValueError, match="2 descriptors, 1 identifiers"):
        apply_edits([SCREEN, SCREEN], [], ROWS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one two three four five six seven", "more than 6 words"),
        ("of the", "only function words"),
        ("...", "nothing is left"),
        ("42", "no letters"),
    ],
)
def test_phrases_that_are_no_descriptors_are_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        checked_phrase(text)
    with pytest.raises(ValueError, match="is not written as a descriptor is"):
        Seed(text=text)
    assert checked_phrase(" 'Battery  Life' ") == "battery life"


def test_edits_say_which_phrases_and_sentences_they_need() -> None:
    edits: list[Edit] = [
        Seed(text="refunds", support=("s3", "s1")),
        Rename(descriptor=of(SCREEN), text="monitor"),
        Merge(descriptors=(of(SCREEN),), text="picture"),
        Ban(text="sound quality"),
        lock(BATTERY, "s1", "s2"),
        Unlock(descriptor=of(BATTERY)),
    ]
    assert edit_phrases(edits) == ["battery life", "monitor", "picture", "refunds"]
    assert support_sentences(edits) == ["s1", "s2", "s3"]


# Properties: ids and phrases of four descriptors, so that edits do meet.
TEXTS = ("battery life", "screen", "sound quality", "display", "refunds", "Screen protector")
texts = st.sampled_from(TEXTS).map(checked_phrase)
curated_catalogs = st.lists(
    st.tuples(texts, st.sampled_from(["", Rejection.ALTERNATIVE, Rejection.MISSES_GROUP])),
    max_size=7,
).map(
    lambda drawn: [
        proposed(number, text, str(reason)) for number, (text, reason) in enumerate(drawn)
    ]
)


@st.composite
def edit_lists(draw: st.DrawFn, curated: list[Descriptor], gone: bool = True) -> list[Edit]:
    """Edits as commands write them: merges name what curation keeps."""
    pool = [*curated, proposed(20, "gone phrase")] if gone else curated
    kinds = [st.builds(Seed, text=texts), st.builds(Ban, text=texts)]
    if pool:
        some = st.sampled_from(pool)
        kinds += [
            st.builds(lambda each, text: Rename(descriptor=of(each), text=text), some, texts),
            some.map(lambda each: lock(each, "s5", "s6")),
            some.map(lambda each: Unlock(descriptor=of(each))),
        ]
    parts = [of(each) for each in pool if each.kept]
    if parts:
        several = st.lists(st.sampled_from(parts), min_size=1, max_size=3).map(tuple)
        kinds.append(st.builds(Merge, descriptors=several, text=texts))
    return draw(st.lists(st.one_of(kinds), max_size=8))


@given(st.data())
def test_nothing_vanishes_and_every_edit_is_accounted_for(data: st.DataObject) -> None:
    curated = data.draw(curated_catalogs)
    edits = data.draw(edit_lists(curated))
    catalog = apply_edits(curated, edits, ROWS)
    assert {each.id for each in curated} <= {each.id for each in catalog.descriptors}
    assert len({each.id for each in catalog.descriptors}) == len(catalog.descriptors)
    assert all(each.kept != bool(each.reason) for each in catalog.descriptors)
    kept = [each.kept for each in catalog.descriptors]
    assert kept == sorted(kept, reverse=True)
    report = catalog.report
    without_effect = {each.position for each in report.unresolved if each.kind != EditKind.MERGE}
    merges = sum(edit.kind == EditKind.MERGE for edit in edits)
    others = sum(count for kind, count in report.applied.items() if kind != EditKind.MERGE)
    assert others + report.locks_taken_back + len(without_effect) + merges == len(edits)


@given(st.data())
def test_edits_applied_twice_give_the_same_catalog(data: st.DataObject) -> None:
    curated = data.draw(curated_catalogs)
    edits = data.draw(edit_lists(curated))
    once = apply_edits(curated, edits, ROWS)
    assert apply_edits(curated, [*edits, *edits], ROWS).descriptors == once.descriptors


@given(st.data())
def test_edits_applied_to_their_own_result_change_nothing(data: st.DataObject) -> None:
    curated = data.draw(curated_catalogs)
    edits = data.draw(edit_lists(curated, gone=False))
    once = apply_edits(curated, edits, ROWS)
    assert apply_edits(once.descriptors, edits, ROWS).descriptors == once.descriptors


UNRELATED: list[list[Edit]] = [
    [Seed(text="refunds")],
    [Rename(descriptor=of(SCREEN), text="monitor"), lock(SCREEN)],
    [Ban(text="sound quality"), Ban(text="weather")],
    [lock(DISPLAY, "s3"), Unlock(descriptor=of(DISPLAY))],
    [Merge(descriptors=(of(BATTERY),), text="power")],
    [Seed(text="delivery", support=("s9",))],
]


@given(st.permutations(UNRELATED))
def test_the_order_of_unrelated_edits_does_not_matter(order: list[list[Edit]]) -> None:
    def flat(edits: list[list[Edit]]) -> list[Edit]:
        return [edit for some in edits for edit in some]

    expected = edited(*flat(UNRELATED))
    assert edited(*flat(order)).descriptors == expected.descriptors


def test_edits_are_added_to_the_file_in_order(tmp_path: Path) -> None:
    assert read_edits(tmp_path) == []
    first: list[Edit] = [Seed(text="café life"), Ban(text="a\u2028b"), lock(SCREEN, "s\u2028")]
    second: list[Edit] = [Merge(descriptors=(of(SCREEN), of(SOUND)), text="media")]
    append_edits(tmp_path, first)
    append_edits(tmp_path, second)
    assert read_edits(tmp_path) == [*first, *second]
    assert [file.name for file in tmp_path.iterdir()] == [EDITS_FILE]
    assert EditsKey.of([*first, *second]).count == 4
    assert EditsKey.of([*first, *second]) != EditsKey.of([*second, *first])


@pytest.mark.parametrize(
    "line",
    ['{"kind":"seed","text":"of the"}', '{"kind":"paint","text":"x"}', "no JSON", "\udcff"],
)
def test_a_damaged_file_is_a_run_error_and_is_left_alone(tmp_path: Path, line: str) -> None:
    append_edits(tmp_path, [Seed(text="refunds")])
    path = tmp_path / EDITS_FILE
    with path.open("a", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(line + "\n")
    before = path.read_bytes()
    with pytest.raises(RunError, match=EDITS_FILE):
        append_edits(tmp_path, [Seed(text="repairs")])
    assert path.read_bytes() == before


def test_only_discover_sentences_are_support() -> None:
    names = pa.chunked_array([["a", "b"], ["c", "d"]])
    corpus = Corpus(names, names, names, np.array([0, 1, 0, 2], np.int8))
    assert discover_rows(corpus, ["a", "b", "c", "z"]) == {"a": 0, "c": 2}
    assert discover_rows(corpus, []) == {}
    assert ids_at(corpus, (3, 0)) == ("d", "a")
