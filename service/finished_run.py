"""A finished run opened for questions; each part is read when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import RunError
from neurons.records import Explanation, NeuronId, Tail
from service.run_directory import RunDirectory
from service.stages import Manifest

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from descriptors.corpus import Corpus
    from descriptors.records import Descriptor
    from indexer.encoder import SentenceEncoder
    from neurons.group_records import NeuronGroups
    from neurons.split_rows import SplitRows
    from neurons.statistics_records import StoreStatistics
    from neurons.store import ActivationStore
    from neurons.subject import SubjectModel
    from service.settings import RunSettings


class FinishedRun:
    """The results of a run and the models they came from.

    Args:
        path: the run's folder.
        device: where the models are computed.
        progress: whether to show progress bars on stderr.

    Raises:
        InputError: there is no run at `path`.
        RunError: the run is not complete.
    """

    def __init__(self, path: Path, device: str = "auto", *, progress: bool = False) -> None:
        self.path = path
        self._directory = RunDirectory.open(path)
        self._device = device
        self._progress = progress

    @cached_property
    def manifest(self) -> Manifest:
        """What the run was made with."""
        return self._directory.manifest()

    @cached_property
    def settings(self) -> RunSettings:
        """What the run was told."""
        from pydantic import ValidationError

        from service.settings import RunSettings

        try:
            return RunSettings.model_validate(self.manifest.settings)
        except ValidationError as error:
            raise RunError(
                f"{self.path} was written with settings this version does not know "
                f"({error.error_count()} do not fit); run again into another --out"
            ) from error

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
    def explanations(self) -> dict[tuple[NeuronId, Tail], Explanation]:
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
    def statistics(self) -> StoreStatistics | None:
        """What every neuron does over the corpus; None in a run of an older version.

        Raises:
            RunError: the file is damaged.
        """
        from neurons.statistics_file import STATISTICS_FILE, read_statistics

        path = self.path / STATISTICS_FILE
        return read_statistics(path) if path.exists() else None

    @cached_property
    def neuron_groups(self) -> NeuronGroups:
        """Neurons that move together; found and kept if the run is of an older version.

        Raises:
            RunError: the file is damaged or belongs to another run.
        """
        from service.kept_groups import groups_of

        return groups_of(self, progress=self._progress)

    @cached_property
    def subject(self) -> SubjectModel:
        """The subject model, which must still be the one the run has read.

        Raises:
            InputError: it cannot be loaded, or the run has imported its activations.
            RunError: its weights, configuration or tokenizer have changed since.
        """
        from neurons.subject import SubjectModel
        from service.imported_stage import is_imported, no_model

        settings = self.settings
        if is_imported(settings):
            raise no_model(settings)
        subject = SubjectModel.load(
            settings.model,
            self._device,
            settings.unsafe_weights,
            settings.extraction.precision,
        )
        self._check_same("model", settings.model, subject.fingerprint)
        return subject

    @cached_property
    def encoder(self) -> SentenceEncoder:
        """The sentence encoder, which must still be the one the run has used.

        Raises:
            InputError: it cannot be loaded.
            RunError: it has changed since.
        """
        from indexer.encoder import SentenceEncoder
        from neurons.subject import choose_device

        name = self.settings.encoder
        encoder = SentenceEncoder.load(name, str(choose_device(self._device)))
        self._check_same("encoder", name, encoder.fingerprint)
        return encoder

    def _check_same(self, role: str, name: str, found: str) -> None:
        expected = self.manifest.fingerprints.get(role)
        if found != expected:
            raise RunError(
                f"{role} {name!r} is not the one {self.path} was made with: sha256 {found}, "
                f"expected {expected}. Restore it, or run again with --update"
            )
