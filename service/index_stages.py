"""Stages from the sentences to the index over them: embed, index."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from descriptors.records import Split
from indexer.arrays import FloatArray, half_header
from service.corpus_stage import CORPUS as CORPUS
from service.corpus_stage import CorpusStage

if TYPE_CHECKING:
    from indexer.encoder import SentenceEncoder
    from indexer.index import VectorIndex
    from indexer.whitening import Whitening

EMBEDDINGS = "index/embeddings.npy"
WHITENING = "index/whitening.safetensors"
VECTORS = "index/vectors.npy"
INDEX_FILES = ("index/sentences.faiss", "index/manifest.json")

_WINDOW = 8192


class IndexStages(CorpusStage):
    """Sentences as vectors; what a stage needs is loaded when it is first asked for."""

    def prepare(self) -> None:
        """Load the encoder besides what the corpus stage prepares."""
        _ = self.encoder
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
    def embeddings(self) -> FloatArray:
        """Embeddings of all sentences, memory-mapped (`n_sentences, dimension`)."""
        path = self.run.path / EMBEDDINGS
        embeddings: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False)
        return embeddings

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

    def embed(self) -> None:
        """`index/embeddings.npy`."""
        from descriptors.corpus import CorpusTexts
        from indexer.encoder import embed_sentences

        def action() -> Any:
            report = embed_sentences(
                CorpusTexts(self.corpus),
                self.encoder,
                self.run.path / EMBEDDINGS,
                engine=self.engine,
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
        embeddings = self.embeddings
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
