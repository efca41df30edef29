"""A run's catalog opened for editing: what is in it, and which edits are kept for its rebuilds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from descriptors.catalog import DESCRIPTORS_FILE, read_descriptors
from descriptors.corpus import Corpus, read_corpus
from descriptors.edit_file import EditsKey, discover_rows, ids_at, read_edits
from descriptors.edit_records import (
    Ban,
    DescriptorReference,
    Edit,
    Lock,
    Merge,
    Rename,
    Seed,
    Unlock,
    checked_phrase,
    phrase_key,
    support_sentences,
)
from descriptors.edit_report import EditedCatalog
from descriptors.edits import apply_edits
from descriptors.proposer import normalise_phrase
from descriptors.records import Descriptor
from indexer.errors import InputError
from service.corpus_stage import CORPUS
from service.proposal_files import read_groups
from service.proposal_stage import GROUPS
from service.stages import StageRecord

_SETTINGS = "settings.json"
_STAGE_RECORD = "stages/catalog.json"


@dataclass(frozen=True)
class EditableCatalog:
    """A run's catalog and edits, and how to write further ones.

    Attributes:
        run: the run's folder.
        built: the descriptors on disk, kept ones first.
        edits: all edits of the run, in order.
        n_applied: how many of them `built` was built with.
    """

    run: Path
    built: tuple[Descriptor, ...]
    edits: tuple[Edit, ...]
    n_applied: int

    @classmethod
    def open(cls, run: Path) -> EditableCatalog:
        """Read the catalog and the edits of a run.

        Raises:
            InputError: there is no run at `run`, or it has no catalog yet.
            RunError: a file of the run is damaged.
        """
        check_is_run(run)
        if not (run / DESCRIPTORS_FILE).is_file():
            raise InputError(
                f"{run} has no catalog yet (no {DESCRIPTORS_FILE}); finish it with the "
                "`neuroscribe catalog build` or `neuroscribe run` it was begun with"
            )
        edits = tuple(read_edits(run))
        built = tuple(read_descriptors(run / DESCRIPTORS_FILE))
        return cls(run, built, edits, _n_applied(run, edits))

    @property
    def pending(self) -> tuple[Edit, ...]:
        """The edits that the catalog on disk was built without."""
        return self.edits[self.n_applied :]

    @cached_property
    def descriptors(self) -> tuple[Descriptor, ...]:
        """The descriptors as they will be after a rebuild, as far as that can be foreseen."""
        return self.edited(self.built, self.pending).descriptors if self.pending else self.built

    @cached_property
    def corpus(self) -> Corpus:
        """The sentences of the run."""
        return read_corpus(self.run / CORPUS)

    def edited(self, descriptors: Sequence[Descriptor], edits: Sequence[Edit]) -> EditedCatalog:
        """Descriptors of this run with edits applied."""
        return apply_edits(descriptors, edits, self._discover_rows(support_sentences(edits)))

    def find(self, name: str) -> Descriptor:
        """The descriptor with this identifier or phrase, a kept one if there are several.

        Raises:
            InputError: there is none.
        """
        found = self._by_id.get(name) or self._by_phrase.get(phrase_key(name))
        if found is not None:
            return found
        known = {descriptor.text.casefold(): descriptor.text for descriptor in self.descriptors}
        near = get_close_matches(name.casefold(), known, n=3)
        hint = ", ".join(f"'{known[each]}'" for each in near)
        raise InputError(
            f"no descriptor {name!r} in {self.run}; "
            + (f"near it: {hint}" if hint else "`neuroscribe catalog show --all` lists them")
        )

    def find_kept(self, name: str) -> Descriptor:
        """As `find`, for a descriptor that must be in the catalog.

        Raises:
            InputError: there is none, or it is not kept.
        """
        descriptor = self.find(name)
        if not descriptor.kept:
            raise InputError(
                f"'{descriptor.text}' is not in the catalog ({descriptor.reason}); "
                "`neuroscribe catalog lock` brings it back"
            )
        return descriptor

    def seed(self, text: str, sentences: Sequence[str] = ()) -> Seed:
        """The edit that adds a phrase, by its words or with the `sentences` of these ids.

        Raises:
            InputError: it is no phrase or in the catalog already, or a sentence is not there.
        """
        phrase = self._free(text)
        rows = self._discover_rows(sentences)
        unknown = [each for each in sentences if each not in rows]
        if unknown:
            raise InputError(
                f"no discover sentence has the id {unknown[0]!r} ({len(unknown)} of "
                f"{len(sentences)} are not there); expected ids as in {self.run / CORPUS} of "
                "sentences whose split is discover"
            )
        return Seed(text=phrase, support=tuple(dict.fromkeys(sentences)))

    def rename(self, name: str, text: str) -> Rename:
        """The edit that gives a descriptor another phrase.

        Raises:
            InputError: there is none of this name, or the phrase cannot be had.
        """
        descriptor = self.find_kept(name)
        return Rename(
            descriptor=DescriptorReference.of(descriptor), text=self._free(text, descriptor)
        )

    def merge(self, names: Sequence[str], text: str) -> Merge:
        """The edit that puts one descriptor in the place of several.

        Raises:
            InputError: there are not two of these names, or the phrase cannot be had.
        """
        parts = {part.id: part for part in (self.find_kept(name) for name in names)}
        if len(parts) < 2:
            raise InputError(f"found {len(parts)} descriptor to merge, expected two or more")
        return Merge(
            descriptors=tuple(DescriptorReference.of(part) for part in parts.values()),
            text=self._free(text, *parts.values()),
        )

    def ban(self, name: str) -> Ban:
        """The edit that keeps a phrase out; `name` is the phrase or a descriptor's identifier.

        Raises:
            InputError: nothing is left of the phrase without punctuation.
        """
        known = self._by_id.get(name)
        text = known.text if known else normalise_phrase(name)
        if not text:
            raise InputError(f"{name!r} cannot be banned: it is no phrase without its punctuation")
        return Ban(text=text)

    def lock(self, name: str) -> Lock:
        """The edit that keeps a descriptor whatever is proposed later.

        Raises:
            InputError: there is none of this name, or it is no phrase.
        """
        descriptor = self.find(name)
        checked_phrase(descriptor.text)
        rows = descriptor.support or self._group_rows.get(descriptor.group, ())
        return Lock(
            descriptor=DescriptorReference.of(descriptor),
            proposer=descriptor.proposer,
            group=descriptor.group,
            support=ids_at(self.corpus, rows) if rows else (),
            handicap=descriptor.handicap,
        )

    def unlock(self, name: str) -> Unlock:
        """The edit that lets curation decide on a descriptor again.

        Raises:
            InputError: there is none of this name, or it is not locked.
        """
        descriptor = self.find(name)
        if not descriptor.locked:
            raise InputError(f"'{descriptor.text}' is not locked; there is nothing to unlock")
        return Unlock(descriptor=DescriptorReference.of(descriptor))

    @cached_property
    def _by_id(self) -> dict[str, Descriptor]:
        return {descriptor.id: descriptor for descriptor in self.descriptors}

    @cached_property
    def _by_phrase(self) -> dict[str, Descriptor]:
        phrases: dict[str, Descriptor] = {}
        for descriptor in self.descriptors:
            phrases.setdefault(phrase_key(descriptor.text), descriptor)
        return phrases

    @cached_property
    def _group_rows(self) -> dict[str, tuple[int, ...]]:
        return {group.id: group.rows for group in read_groups(self.run / GROUPS)}

    def _discover_rows(self, sentences: Sequence[str]) -> dict[str, int]:
        return discover_rows(self.corpus, sentences) if sentences else {}

    def _free(self, text: str, *replaced: Descriptor) -> str:
        phrase = checked_phrase(text)
        # Kept descriptors come first, so that a kept one of this phrase is the one that is found.
        other = self._by_phrase.get(phrase_key(phrase))
        if other is not None and other.kept and other not in replaced:
            raise InputError(
                f"'{phrase}' is in the catalog already ({other.id}); `neuroscribe catalog "
                "lock` keeps it there, `neuroscribe catalog merge` unites it with others"
            )
        return phrase


def check_is_run(run: Path) -> None:
    """Check that `run` is the folder of a run.

    Raises:
        InputError: it is not.
    """
    if not (run / _SETTINGS).is_file():
        raise InputError(
            f"{run} is not a run; expected a folder that `neuroscribe catalog build --out` or "
            "`neuroscribe run --out` has written"
        )


def _n_applied(run: Path, edits: Sequence[Edit]) -> int:
    """How many edits the catalog on disk was built with."""
    path = run / _STAGE_RECORD
    recorded = StageRecord.read(path).inputs.get("edits") if path.is_file() else None
    if recorded is None:
        return 0
    key = EditsKey.model_validate(recorded)
    return key.count if EditsKey.of(edits[: key.count]) == key else 0
