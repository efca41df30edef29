"""The descriptors of an opened run: lists, one of them, and the sentences it holds for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from descriptors.edit_file import EditsKey, read_edits
from descriptors.splits import SPLIT_ORDER
from indexer.errors import NotFoundError
from service.views.records import (
    DescriptorAnswer,
    DescriptorCard,
    DescriptorList,
    MemberSentence,
    SentenceList,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.records import Descriptor
    from indexer.arrays import DoubleArray
    from service.views.opened_run import OpenedRun
    from service.views.tail_lists import TailLists

_TAILS = 20
_NEAR = 5


class DescriptorAnswers:
    """Answers about the descriptors of one run.

    Args:
        run: the run.
        name: of the run.
        tails: its tails.
    """

    def __init__(self, run: OpenedRun, name: str, tails: TailLists) -> None:
        self._run = run
        self._name = name
        self._tails = tails
        self._ordered = sorted(run.descriptors, key=lambda each: not each.kept)
        self._known = {each.id: each for each in run.descriptors}
        self._rows = {each.id: row for row, each in enumerate(run.catalog)}
        self._folded = [each.text.casefold() for each in self._ordered]

    def listed(self, *, search: str, kept: bool | None, offset: int, limit: int) -> DescriptorList:
        """Descriptors whose phrase holds `search` whatever the case, kept ones first."""
        wanted = search.strip().casefold()
        found = [
            each
            for each, folded in zip(self._ordered, self._folded, strict=True)
            if wanted in folded and (kept is None or each.kept is kept)
        ]
        return DescriptorList(
            items=tuple(self.card(each) for each in found[offset : offset + limit]),
            total=len(found),
            pending_edits=self._pending_edits(),
        )

    def answer(self, identifier: str) -> DescriptorAnswer:
        """A descriptor.

        Raises:
            NotFoundError: there is none of this identifier.
        """
        found = self._find(identifier)
        return DescriptorAnswer(
            run=self._name,
            descriptor=self.card(found),
            tails=self._tails.carrying(found.id, _TAILS),
            near=self._near(found),
        )

    def sentences(self, identifier: str, *, offset: int, limit: int) -> SentenceList:
        """The sentences of a descriptor, the highest score first; one that is not kept has none.

        Raises:
            NotFoundError: there is none of this identifier.
        """
        row = self._rows.get(self._find(identifier).id)
        if row is None:
            return SentenceList(items=(), total=0)
        run, members = self._run, self._run.membership[row]
        order = np.lexsort((members.indices, -members.data))
        items = []
        for place in order[offset : offset + limit].tolist():
            sentence = int(members.indices[place])
            items.append(
                MemberSentence(
                    id=run.corpus.ids[sentence].as_py(),
                    text=run.corpus.text(sentence),
                    split=SPLIT_ORDER[run.corpus.splits[sentence]],
                    score=float(members.data[place]),
                )
            )
        return SentenceList(items=tuple(items), total=len(order))

    def card(self, descriptor: Descriptor) -> DescriptorCard:
        """A descriptor in a list."""
        row = self._rows.get(descriptor.id)
        counted = row is not None
        return DescriptorCard(
            id=descriptor.id,
            text=descriptor.text,
            proposer=descriptor.proposer,
            kept=descriptor.kept,
            reason=descriptor.reason,
            locked=descriptor.locked,
            renamed_from=descriptor.renamed_from,
            n_sentences=int(self._sizes[row]) if counted else None,
            n_tails=self._run.explanations.tails_of(descriptor.id) if counted else None,
        )

    def _find(self, identifier: str) -> Descriptor:
        found = self._known.get(identifier)
        if found is None:
            raise NotFoundError(
                f"the run has no descriptor {identifier[:80]!r}; GET "
                f"/v1/runs/{self._name}/descriptors lists those it has"
            )
        return found

    def _near(self, descriptor: Descriptor) -> tuple[DescriptorCard, ...]:
        """The kept descriptors that share most sentences with one, by the cosine of both sets."""
        row = self._rows.get(descriptor.id)
        if row is None:
            return ()
        shared = np.asarray((self._members @ self._members[row].T).todense()).ravel()
        likeness = shared / np.sqrt(np.maximum(self._sizes * self._sizes[row], 1.0))
        likeness[row] = 0.0
        order = np.argsort(-likeness, kind="stable")[:_NEAR]
        return tuple(self.card(self._run.catalog[each]) for each in order if likeness[each] > 0.0)

    @cached_property
    def _members(self) -> csr_matrix:
        """Ones where a kept descriptor holds for a sentence (`n_kept, n_sentences`)."""
        members = self._run.membership.astype(np.float32)
        members.data[:] = 1.0
        return members

    @cached_property
    def _sizes(self) -> DoubleArray:
        """How many sentences each kept descriptor holds for (`n_kept`)."""
        return np.diff(self._run.membership.indptr).astype(np.float64)

    def _pending_edits(self) -> int:
        """How many edits the catalog was built without; they come from other processes."""
        edits = read_edits(self._run.path)
        record = self._run.manifest.stages.get("catalog")
        told = None if record is None else record.inputs.get("edits")
        if told is None:
            return len(edits)
        key = EditsKey.model_validate(told)
        return len(edits) - key.count if EditsKey.of(edits[: key.count]) == key else len(edits)
