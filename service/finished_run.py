"""A finished run opened for questions."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import RunError
from service.run_directory import RunDirectory
from service.run_files import RunFiles
from service.stages import Manifest

if TYPE_CHECKING:
    from indexer.encoder import SentenceEncoder
    from neurons.group_records import NeuronGroups
    from neurons.statistics_records import StoreStatistics
    from neurons.subject import SubjectModel
    from service.settings import RunSettings


class FinishedRun(RunFiles):
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
        super().__init__(path, progress=progress)
        self._directory = RunDirectory.open(path)
        self._device = device

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

        return groups_of(self, progress=self.progress)

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
