"""A user's edits applied to a catalog that was just curated.

Edits are applied in the order they were made and win over curation. Where two of them disagree the
later one wins:

* a ban holds for every descriptor of that phrase, also for later proposals, until a later edit
  seeds, locks, renames to or merges into the phrase;
* a ban or a merge after a lock ends the lock, a lock after them brings the descriptor back;
* an unlock takes back the earlier locks of the descriptor, as if they had not been made;
* of several kept descriptors of one phrase the one that was edited last has it.

A descriptor is looked up by its identifier, then by the phrase it was proposed as. Nothing
vanishes: what is not in the catalog afterwards is there with its reason.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from descriptors.edit_records import (
    USER,
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
    phrase_key,
    user_descriptor_id,
)
from descriptors.edit_report import EditedCatalog, EditProblem, EditReport, UnresolvedEdit
from descriptors.records import Descriptor

_USER_REASONS = frozenset(reason.value for reason in UserReason)


def apply_edits(
    descriptors: Sequence[Descriptor],
    edits: Sequence[Edit],
    discover_rows: Mapping[str, int],
) -> EditedCatalog:
    """Apply edits to curated descriptors.

    Args:
        descriptors: as curation decided on them, with distinct identifiers.
        edits: in the order they were made.
        discover_rows: row of each discover sentence by its id; only those are needed that
            `support_sentences` names.

    Raises:
        ValueError: two descriptors have one identifier.
    """
    editor = _Editor(descriptors, edits, discover_rows)
    for place, edit in enumerate(edits):
        editor.apply(place, edit)
    return editor.edited()


class _Editor:
    """The catalog while edits are applied to it one after another."""

    def __init__(
        self,
        descriptors: Sequence[Descriptor],
        edits: Sequence[Edit],
        discover_rows: Mapping[str, int],
    ) -> None:
        self._edits = edits
        self._rows = discover_rows
        self._now = {descriptor.id: descriptor for descriptor in descriptors}
        if len(self._now) != len(descriptors):
            raise ValueError(f"{len(descriptors)} descriptors, {len(self._now)} identifiers")
        self._given = tuple(self._now)
        self._by_phrase: dict[str, str] = {}
        for descriptor in sorted(descriptors, key=lambda each: not each.kept):
            proposed = descriptor.renamed_from or descriptor.text
            self._by_phrase.setdefault(phrase_key(proposed), descriptor.id)
        self._bans: set[str] = set()
        self._last_edit: dict[str, int] = {}
        self._renamed: list[tuple[int, Rename, str]] = []
        self._applied: Counter[EditKind] = Counter()
        self._unresolved: list[UnresolvedEdit] = []
        self._missing: set[str] = set()
        self._taken_back = _locks_taken_back(edits)
        self._bring_back_locked()

    def apply(self, place: int, edit: Edit) -> None:
        match edit:
            case Seed():
                self._seed(place, edit)
            case Rename():
                self._rename(place, edit)
            case Merge():
                self._merge(place, edit)
            case Ban():
                self._bans.add(phrase_key(edit.text))
                self._applied[edit.kind] += 1
            case Lock():
                self._lock(place, edit)
            case Unlock():
                self._unlock(place, edit)

    def edited(self) -> EditedCatalog:
        for identifier, descriptor in self._now.items():
            if descriptor.kept and phrase_key(descriptor.text) in self._bans:
                self._turn_down(identifier, UserReason.BANNED)
        self._settle_equal_phrases()
        for place, edit, identifier in self._renamed:
            descriptor = self._now[identifier]
            if descriptor.kept or descriptor.reason in _USER_REASONS:
                self._applied[edit.kind] += 1
            else:
                self._report(place, edit.kind, edit.descriptor.text, EditProblem.NOT_KEPT)
        added = set(self._now) - set(self._given)
        ordered = [self._now[identifier] for identifier in self._given]
        ordered += sorted(
            (self._now[identifier] for identifier in added), key=lambda each: (each.text, each.id)
        )
        return EditedCatalog(
            descriptors=tuple(sorted(ordered, key=lambda each: not each.kept)),
            report=EditReport(
                total=len(self._edits),
                applied=dict(sorted(self._applied.items())),
                locks_taken_back=len(self._taken_back),
                unresolved=tuple(sorted(self._unresolved, key=lambda each: each.position)),
                missing_sentences=len(self._missing),
            ),
        )

    def _bring_back_locked(self) -> None:
        """Have locked descriptors at hand that no proposer suggests any more."""
        for place, edit in enumerate(self._edits):
            if not isinstance(edit, Lock) or place in self._taken_back:
                continue
            if self._found(edit.descriptor) is None:
                self._now[edit.descriptor.id] = Descriptor(
                    **edit.descriptor.model_dump(),
                    proposer=edit.proposer,
                    group=edit.group,
                    support=self._support(edit.support),
                    handicap=edit.handicap,
                    kept=False,
                    reason=UserReason.NOT_PROPOSED.value,
                )

    def _seed(self, place: int, edit: Seed) -> None:
        self._make(place, edit.text, self._support(edit.support))
        self._applied[edit.kind] += 1

    def _rename(self, place: int, edit: Rename) -> None:
        identifier = self._found(edit.descriptor)
        if identifier is None:
            self._report(place, edit.kind, edit.descriptor.text, EditProblem.NOT_FOUND)
            return
        descriptor = self._now[identifier]
        proposed = descriptor.renamed_from or descriptor.text
        renamed_from = proposed if proposed != edit.text else ""
        self._change(identifier, text=edit.text, renamed_from=renamed_from)
        self._wanted(place, identifier, edit.text)
        self._renamed.append((place, edit, identifier))

    def _merge(self, place: int, edit: Merge) -> None:
        parts: list[Descriptor] = []
        for reference in edit.descriptors:
            identifier = self._found(reference)
            if identifier is None:
                self._report(place, edit.kind, reference.text, EditProblem.NOT_FOUND)
                continue
            part = self._now[identifier]
            if not part.kept and part.reason not in _USER_REASONS:
                self._report(place, edit.kind, reference.text, EditProblem.NOT_KEPT)
                continue
            parts.append(part)
        if not parts:
            return
        for part in parts:
            self._turn_down(part.id, UserReason.MERGED)
        rows = {row for part in parts for row in part.support}
        self._make(place, edit.text, tuple(sorted(rows)))
        self._applied[edit.kind] += 1

    def _lock(self, place: int, edit: Lock) -> None:
        identifier = self._found(edit.descriptor)
        if place in self._taken_back or identifier is None:
            return
        support = self._now[identifier].support or self._support(edit.support)
        self._change(identifier, kept=True, reason="", locked=True, support=support)
        self._wanted(place, identifier, edit.descriptor.text)
        self._applied[edit.kind] += 1

    def _unlock(self, place: int, edit: Unlock) -> None:
        identifier = self._found(edit.descriptor)
        takes_back = any(
            _same_descriptor(lock.descriptor, edit.descriptor)
            for lock in self._edits[:place]
            if isinstance(lock, Lock)
        )
        was_locked = identifier is not None and self._now[identifier].locked
        if takes_back or was_locked:
            self._applied[edit.kind] += 1
        else:
            problem = EditProblem.NOT_FOUND if identifier is None else EditProblem.NOT_LOCKED
            self._report(place, edit.kind, edit.descriptor.text, problem)
        if identifier is not None:
            self._change(identifier, locked=False)

    def _settle_equal_phrases(self) -> None:
        alike: dict[str, list[str]] = defaultdict(list)
        for identifier, descriptor in self._now.items():
            if descriptor.kept:
                alike[phrase_key(descriptor.text)].append(identifier)
        for identifiers in alike.values():
            latest = max(identifiers, key=lambda each: self._last_edit.get(each, -1))
            # What no edit has touched is as curation wants it.
            if latest in self._last_edit:
                for identifier in identifiers:
                    if identifier != latest:
                        self._turn_down(identifier, UserReason.PHRASE_TAKEN)

    def _make(self, place: int, text: str, support: tuple[int, ...]) -> None:
        identifier = user_descriptor_id(text)
        self._now[identifier] = Descriptor(
            id=identifier,
            text=text,
            proposer=USER,
            group="",
            support=support,
            kept=True,
            locked=True,
        )
        self._wanted(place, identifier, text)

    def _found(self, reference: DescriptorReference) -> str | None:
        if reference.id in self._now:
            return reference.id
        return self._by_phrase.get(phrase_key(reference.proposed_text))

    def _support(self, sentences: Sequence[str]) -> tuple[int, ...]:
        self._missing.update(each for each in sentences if each not in self._rows)
        return tuple(dict.fromkeys(self._rows[each] for each in sentences if each in self._rows))

    def _wanted(self, place: int, identifier: str, text: str) -> None:
        self._bans.discard(phrase_key(text))
        self._last_edit[identifier] = place

    def _turn_down(self, identifier: str, reason: UserReason) -> None:
        self._change(identifier, kept=False, reason=reason.value, locked=False)

    def _change(self, identifier: str, **changes: object) -> None:
        self._now[identifier] = self._now[identifier].model_copy(update=changes)

    def _report(self, place: int, kind: EditKind, text: str, problem: EditProblem) -> None:
        self._unresolved.append(
            UnresolvedEdit(position=place + 1, kind=kind, text=text, problem=problem)
        )


def _locks_taken_back(edits: Sequence[Edit]) -> frozenset[int]:
    """Places of the locks that a later unlock takes back."""
    taken_back: set[int] = set()
    unlocked: list[DescriptorReference] = []
    for place in range(len(edits) - 1, -1, -1):
        edit = edits[place]
        if isinstance(edit, Unlock):
            unlocked.append(edit.descriptor)
        elif isinstance(edit, Lock) and any(
            _same_descriptor(edit.descriptor, each) for each in unlocked
        ):
            taken_back.add(place)
    return frozenset(taken_back)


def _same_descriptor(first: DescriptorReference, second: DescriptorReference) -> bool:
    return first.id == second.id or phrase_key(first.proposed_text) == phrase_key(
        second.proposed_text
    )
