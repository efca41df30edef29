"""What a run has left on disk; each part is read when it is first asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import RunError
from neurons.records import Explanation, Match, NeuronId, Tail
from service.neuron_bar import neuron_bar

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.corpus import Corpus, Labels
    from descriptors.records import Descriptor
    from eval.lexical import LexicalBaseline, LexicalStanding
    from eval.metrics import Ranking
    from indexer.arrays import DoubleArray, FloatArray
    from indexer.encoder import SentenceEncoder
    from indexer.whitening import Whitening
    from neurons.split_rows import Activations, SplitRows, Watch
    from neurons.store import ActivationStore
    from neurons.subject import SubjectModel
    from service.settings import RunSettings


class RunFiles(ABC):
    """The results of a run and the models they came from.

    Args:
        path: the run's folder.
        progress: whether to show progress bars on stderr.
    """

    def __init__(self, path: Path, *, progress: bool = False) -> None:
        self.path = path
        self.progress = progress

    @property
    @abstractmethod
    def settings(self) -> RunSettings:
        """What the run was told."""

    @property
    @abstractmethod
    def subject(self) -> SubjectModel:
        """The subject model.

        Raises:
            InputError: it cannot be loaded, or the run has imported its activations.
        """

    @property
    @abstractmethod
    def encoder(self) -> SentenceEncoder:
        """The sentence encoder.

        Raises:
            InputError: it cannot be loaded.
        """

    def watched(self, doing: str) -> Watch:
        """Shows progress over blocks of neurons."""
        return neuron_bar(doing, shown=self.progress)

    @cached_property
    def corpus(self) -> Corpus:
        """The sentences, without labels."""
        from descriptors.corpus import read_corpus

        return read_corpus(self.path / "corpus.parquet")

    @cached_property
    def descriptors(self) -> list[Descriptor]:
        """Every descriptor, kept or not."""
        from descriptors.catalog import read_descriptors

        return read_descriptors(self.path / "descriptors.parquet")

    @cached_property
    def catalog(self) -> list[Descriptor]:
        """The kept descriptors, in the order of `membership`."""
        from descriptors.catalog import kept

        return kept(self.descriptors)

    @cached_property
    def handicaps(self) -> DoubleArray:
        """AUROC by which each kept descriptor comes after others in matching (`n_kept`)."""
        from descriptors.catalog import handicaps

        return handicaps(self.catalog)

    @cached_property
    def membership(self) -> csr_matrix:
        """Which sentences each kept descriptor holds for (`n_kept, n_sentences`).

        Raises:
            RunError: it is damaged or does not fit the catalog and the corpus.
        """
        from descriptors.catalog import read_membership

        membership = read_membership(self.path / "membership.npz")
        expected = (len(self.catalog), len(self.corpus))
        if membership.shape != expected:
            raise RunError(
                f"{self.path / 'membership.npz'} is of shape {membership.shape}, expected "
                f"{expected}; run again with --update"
            )
        return membership

    @cached_property
    def split_rows(self) -> SplitRows:
        """Rows of each split, with the documents of all sentences."""
        from neurons.split_rows import SplitRows

        return SplitRows.of_corpus(self.corpus)

    @cached_property
    def explanations(self) -> Mapping[tuple[NeuronId, Tail], Explanation]:
        """The explanation or abstention of each neuron's tail, in file order."""
        from neurons.explanation_file import read_explanations

        found = read_explanations(self.path / "explanations.parquet")
        return {(NeuronId.parse(each.neuron), each.tail): each for each in found}

    @cached_property
    def store(self) -> ActivationStore:
        """The activations of every neuron on every sentence."""
        from neurons.store import ActivationStore

        return ActivationStore.open(self.path / "activations")

    @property
    def neurons(self) -> list[NeuronId]:
        """The address of every stored column, in order."""
        return [
            NeuronId(place.layer, place.site, unit)
            for place in self.store.layer_sites
            for unit in range(self.store.units(place))
        ]

    @cached_property
    def labels(self) -> Labels:
        """The labels of the sentences, for evaluation only; none if the corpus has none."""
        from descriptors.corpus import read_labels

        return read_labels(self.path / "corpus.parquet")

    @property
    def activations(self) -> Activations:
        """All neurons of the store, block by block, in the order of `neurons`."""
        from neurons.split_rows import Activations

        return Activations.of_store(self.store)

    @cached_property
    def rankings(self) -> tuple[Ranking, Ranking]:
        """The ranked descriptors of every neuron, positive tails first, as catalog positions."""
        from eval.label_recovery import explained_rankings

        identifiers = [descriptor.id for descriptor in self.catalog]
        return explained_rankings(list(self.explanations.values()), identifiers)

    @cached_property
    def lexical(self) -> LexicalBaseline | None:
        """What models of random weights get, to compare matches with; None in older runs.

        Raises:
            RunError: the file is damaged.
        """
        from eval.lexical import LEXICAL_FILE, LexicalBaseline

        path = self.path / LEXICAL_FILE
        return LexicalBaseline.read(path) if path.exists() else None

    def standing(self, neuron: NeuronId, tail: Tail, match: Match) -> LexicalStanding | None:
        """A match beside the lexical baseline, None where there is nothing to compare with."""
        return None if self.lexical is None else self.lexical.standing(neuron, tail, match.auroc)

    @cached_property
    def embeddings(self) -> FloatArray:
        """Embeddings of all sentences, memory-mapped (`n_sentences, dimension`)."""
        return self._array("embeddings.npy")

    @cached_property
    def vectors(self) -> FloatArray:
        """Unit vectors in which sentences are compared, memory-mapped (`n_sentences, n_parts`)."""
        return self._array("vectors.npy")

    @cached_property
    def whitening(self) -> Whitening:
        """The map from embeddings to `vectors`."""
        from indexer.whitening import Whitening

        return Whitening.load(self.path / "index" / "whitening.safetensors")

    def _array(self, name: str) -> FloatArray:
        import numpy as np

        path = self.path / "index" / name
        try:
            array: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise RunError(f"cannot read {path}: {error}; run again with --update") from error
        return array
