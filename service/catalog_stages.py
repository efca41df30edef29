"""The stage that decides on the catalog: descriptors and the sentences they hold for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from descriptors.contributions import contributions
from indexer.arrays import FloatArray
from service.proposal_files import read_groups, read_proposals
from service.proposal_stage import GROUPS, PROPOSALS, ProposalStage

if TYPE_CHECKING:
    from descriptors.edit_records import Edit
    from descriptors.edit_report import EditedCatalog

DESCRIPTORS = "descriptors.parquet"
MEMBERSHIP = "membership.npz"


@dataclass(frozen=True, eq=False)
class PhraseVectors:
    """Unit vectors of phrases (`n_phrases, n_components`), looked up by phrase."""

    rows: dict[str, int]
    vectors: FloatArray

    def of(self, texts: Sequence[str]) -> FloatArray:
        """The vectors of `texts` (`n_texts, n_components`)."""
        return self.vectors[[self.rows[text] for text in texts]]


class CatalogStages(ProposalStage):
    """Everything up to the catalog."""

    def build_catalog(self) -> None:
        """`descriptors.parquet` and `membership.npz`."""
        from descriptors.edit_file import EditsKey

        inputs = {
            "proposals": self.outputs("propose"),
            "vectors": self.outputs("index"),
            "encoder": self.encoder.fingerprint,
            "curation": self.settings.curation.model_dump(mode="json"),
            "membership": self.settings.membership.model_dump(mode="json"),
            "edits": EditsKey.of(self.edits).model_dump(),
            "seed": self.settings.seed,
        }
        self.run.stage("catalog", inputs, [DESCRIPTORS, MEMBERSHIP], self._build_catalog)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What the user has done to the catalog."""
        from descriptors.edit_file import read_edits

        return tuple(read_edits(self.run.path))

    def _build_catalog(self) -> Any:
        from descriptors.catalog import kept, rejections, write_descriptors, write_membership
        from descriptors.curation import without_empty
        from descriptors.membership import build_membership

        edited, phrases = self._edited()
        catalog = kept(edited.descriptors)
        membership = build_membership(
            catalog,
            phrases.of([descriptor.text for descriptor in catalog]),
            self.vectors,
            self.index,
            self.background_rows(),
            self.settings.membership,
        )
        sizes = np.diff(membership.indptr)
        descriptors = without_empty(edited.descriptors, sizes)
        membership = membership[np.flatnonzero(sizes)]
        write_descriptors(self.run.path / DESCRIPTORS, descriptors)
        write_membership(self.run.path / MEMBERSHIP, membership)
        sizes = sizes[sizes > 0]
        return {
            "kept": len(sizes),
            "rejections": rejections(descriptors),
            "contributions": [each.model_dump() for each in contributions(descriptors)],
            "edits": edited.report.model_dump(mode="json"),
            "median_members": float(np.median(sizes)) if len(sizes) else None,
            "sentences_with_a_descriptor": int((membership.getnnz(axis=0) > 0).sum()),
        }

    def _edited(self) -> tuple[EditedCatalog, PhraseVectors]:
        """The curated catalog after the user's edits, and vectors of all its phrases."""
        from descriptors.curation import CurationInputs, curate, distinct_phrases
        from descriptors.edit_file import discover_rows
        from descriptors.edit_records import edit_phrases, support_sentences
        from descriptors.edits import apply_edits

        edits = self.edits
        proposals = read_proposals(self.run.path / PROPOSALS)
        texts = sorted({*distinct_phrases(proposals), *edit_phrases(edits)})
        phrases = PhraseVectors(
            {text: row for row, text in enumerate(texts)},
            self.whitening.apply(self.encoder.encode(texts)),
        )
        inputs = CurationInputs(
            groups=read_groups(self.run.path / GROUPS),
            proposals=proposals,
            phrase_rows=phrases.rows,
            phrase_vectors=phrases.vectors,
            vectors=self.vectors,
            background_rows=self.background_rows(),
        )
        curated = curate(inputs, self.settings.curation)
        rows = discover_rows(self.corpus, support_sentences(edits))
        return apply_edits(curated, edits, rows), phrases
