"""Stages from the sentences to the catalog: embed, index, propose, curate."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from descriptors.records import Group, Proposal, Split
from indexer.arrays import FloatArray, IntArray, half_header
from service.corpus_stage import CORPUS as CORPUS
from service.corpus_stage import CorpusStage
from service.proposal_files import read_groups, read_proposals, write_groups, write_proposals

if TYPE_CHECKING:
    from descriptors.proposer import Proposer
    from indexer.encoder import SentenceEncoder
    from indexer.index import VectorIndex
    from indexer.whitening import Whitening

EMBEDDINGS = "index/embeddings.npy"
WHITENING = "index/whitening.safetensors"
VECTORS = "index/vectors.npy"
INDEX_FILES = ("index/sentences.faiss", "index/manifest.json")
GROUPS = "proposals/groups.jsonl"
PROPOSALS = "proposals/proposals.jsonl"
DESCRIPTORS = "descriptors.parquet"
MEMBERSHIP = "membership.npz"

_TEXTS_PER_GROUP = 60
_BACKGROUND = 4096
_WINDOW = 8192


class CatalogStages(CorpusStage):
    """The first half of a run; what a stage needs is loaded when it is first asked for."""

    def prepare(self) -> None:
        """Load the encoder and the proposers besides what the corpus stage prepares."""
        _ = self.encoder, self.proposers
        super().prepare()

    @cached_property
    def encoder(self) -> SentenceEncoder:
        """The sentence encoder of the run."""
        from indexer.encoder import SentenceEncoder
        from neurons.subject import choose_device

        device = str(choose_device(self.settings.device))
        return SentenceEncoder.load(self.settings.encoder, device)

    @cached_property
    def whitening(self) -> Whitening:
        """The map from embeddings to the space in which sentences are compared."""
        from indexer.whitening import Whitening

        return Whitening.load(self.run.path / WHITENING)

    @cached_property
    def vectors(self) -> FloatArray:
        """Unit vectors of all sentences, memory-mapped (`n_sentences, n_components`)."""
        vectors: FloatArray = np.load(self.run.path / VECTORS, mmap_mode="r", allow_pickle=False)
        return vectors

    @cached_property
    def index(self) -> VectorIndex:
        """The index over `vectors`."""
        from indexer.index import VectorIndex

        return VectorIndex.load(self.run.path / "index")

    @cached_property
    def proposers(self) -> tuple[Proposer, ...]:
        """What suggests descriptors."""
        from descriptors.proposer import ProposerContext, create_proposer

        context = ProposerContext(encoder=self.encoder)
        return tuple(create_proposer(spec, context) for spec in self.settings.proposers)

    def embed(self) -> None:
        """`index/embeddings.npy`."""
        from descriptors.corpus import CorpusTexts
        from indexer.encoder import embed_sentences

        def action() -> Any:
            report = embed_sentences(
                CorpusTexts(self.corpus),
                self.encoder,
                self.run.path / EMBEDDINGS,
                progress=self.progress,
            )
            return {"dimension": report.dimension, "truncated_sentences": report.n_truncated}

        inputs = {"encoder": self.encoder.fingerprint, "corpus": self.corpus.fingerprint}
        self.run.stage("embed", inputs, [EMBEDDINGS], action)

    def build_index(self) -> None:
        """The comparison space, the vectors in it and the FAISS index over them."""
        grouping = self.settings.grouping
        inputs = {
            "embeddings": self.outputs("embed"),
            "corpus": self.corpus.fingerprint,
            "n_components": grouping.n_components,
            "power": grouping.whitening_power,
            "seed": self.settings.seed,
        }
        self.run.stage("index", inputs, [WHITENING, VECTORS, *INDEX_FILES], self._build_index)

    def _build_index(self) -> Any:
        from indexer.index import VectorIndex
        from indexer.storage import atomic_path
        from indexer.whitening import Whitening

        grouping = self.settings.grouping
        path = self.run.path
        embeddings = np.load(path / EMBEDDINGS, mmap_mode="r", allow_pickle=False)
        discover = self.rows(Split.DISCOVER)
        space = Whitening.fit(embeddings, discover, grouping.n_components, grouping.whitening_power)
        space.save(path / WHITENING)
        n_components = space.projection.shape[1]
        with atomic_path(path / VECTORS) as partial, partial.open("wb") as handle:
            handle.write(half_header(len(embeddings), n_components))
            for start in range(0, len(embeddings), _WINDOW):
                window = space.apply(embeddings[start : start + _WINDOW])
                handle.write(window.astype("<f2").tobytes())
        index = VectorIndex.build(self.vectors, seed=self.settings.seed)
        index.save(path / "index")
        facts = index.facts
        return {
            "kind": str(facts.kind),
            "recall_at_10": facts.recall_at_10,
            "n_components": n_components,
        }

    def propose(self) -> None:
        """Groups of sentences, and what the proposers call them."""
        inputs = {
            "vectors": self.outputs("index"),
            "corpus": self.corpus.fingerprint,
            "grouping": self.settings.grouping.model_dump(mode="json"),
            "proposers": [proposer.fingerprint for proposer in self.proposers],
            "seed": self.settings.seed,
        }
        self.run.stage("propose", inputs, [GROUPS, PROPOSALS], self._propose)

    def _propose(self) -> Any:
        from collections import Counter

        from descriptors.groups import form_groups

        grouping = form_groups(
            self.vectors,
            self.rows(Split.DISCOVER),
            self.rows(Split.VALIDATION),
            self.settings.grouping,
            self.settings.seed,
        )
        texts = [self._group_texts(group) for group in grouping.groups]
        proposals: list[Proposal] = []
        rejected: Counter[str] = Counter()
        for proposer in self.proposers:
            for batch in proposer.propose(texts, progress=self.progress):
                proposals += batch.proposals
                for count in batch.rejected:
                    rejected[f"{proposer.name}: {count.reason}"] += count.count
        write_groups(self.run.path / GROUPS, grouping.groups)
        write_proposals(self.run.path / PROPOSALS, proposals)
        return {
            "groups": len(grouping.groups),
            "groups_too_small": grouping.too_small,
            "chosen_granularities": grouping.chosen,
            "tried_granularities": [each.model_dump() for each in grouping.tried],
            "proposals": len(proposals),
            "rejected_by_proposers": dict(sorted(rejected.items())),
        }

    def _group_texts(self, group: Group) -> Any:
        from descriptors.proposer import GroupTexts

        return GroupTexts(
            group=group,
            texts=tuple(self.corpus.texts_at(group.rows[:_TEXTS_PER_GROUP])),
            contrast_texts=tuple(self.corpus.texts_at(group.contrast_rows)),
        )

    def build_catalog(self) -> None:
        """`descriptors.parquet` and `membership.npz`."""
        inputs = {
            "proposals": self.outputs("propose"),
            "vectors": self.outputs("index"),
            "encoder": self.encoder.fingerprint,
            "curation": self.settings.curation.model_dump(mode="json"),
            "membership": self.settings.membership.model_dump(mode="json"),
            "seed": self.settings.seed,
        }
        self.run.stage("catalog", inputs, [DESCRIPTORS, MEMBERSHIP], self._build_catalog)

    def _build_catalog(self) -> Any:
        from descriptors.catalog import kept, rejections, write_descriptors, write_membership
        from descriptors.curation import CurationInputs, curate, distinct_phrases, without_empty
        from descriptors.membership import build_membership

        groups = read_groups(self.run.path / GROUPS)
        proposals = read_proposals(self.run.path / PROPOSALS)
        phrases = distinct_phrases(proposals)
        phrase_rows = {phrase: row for row, phrase in enumerate(phrases)}
        phrase_vectors = self.whitening.apply(self.encoder.encode(phrases))
        background = self.background_rows()
        inputs = CurationInputs(
            groups=groups,
            proposals=proposals,
            phrase_rows=phrase_rows,
            phrase_vectors=phrase_vectors,
            vectors=self.vectors,
            background_rows=background,
        )
        descriptors = curate(inputs, self.settings.curation)
        catalog = kept(descriptors)
        membership = build_membership(
            catalog,
            phrase_vectors[[phrase_rows[descriptor.text] for descriptor in catalog]],
            self.vectors,
            self.index,
            background,
            self.settings.membership,
        )
        sizes = np.diff(membership.indptr)
        descriptors = without_empty(descriptors, sizes)
        membership = membership[np.flatnonzero(sizes)]
        write_descriptors(self.run.path / DESCRIPTORS, descriptors)
        write_membership(self.run.path / MEMBERSHIP, membership)
        sizes = sizes[sizes > 0]
        return {
            "kept": len(sizes),
            "rejections": rejections(descriptors),
            "median_members": float(np.median(sizes)) if len(sizes) else None,
            "sentences_with_a_descriptor": int((membership.getnnz(axis=0) > 0).sum()),
        }

    def background_rows(self) -> IntArray:
        """Discover rows that stand for the corpus when chance is estimated."""
        rows = self.rows(Split.DISCOVER)
        if len(rows) <= _BACKGROUND:
            return rows
        generator = np.random.default_rng(self.settings.seed)
        return np.sort(generator.choice(rows, _BACKGROUND, replace=False))
