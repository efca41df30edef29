"""A run as its evaluation sees it: finished up to its explanations, with its models at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from service.run_files import RunFiles

if TYPE_CHECKING:
    from indexer.encoder import SentenceEncoder
    from indexer.engine import Engine
    from neurons.subject import SubjectModel
    from service.settings import RunSettings


class EvaluatedRun(RunFiles):
    """What protocols read.

    Args:
        path: the run's folder.
        settings: what the run was told.
        subject: gives the subject model, loading it when it is first asked for.
        encoder: gives the sentence encoder likewise.
        engine: where heavy work runs.
        progress: whether to show progress bars on stderr.
    """

    def __init__(
        self,
        path: Path,
        settings: RunSettings,
        *,
        subject: Callable[[], SubjectModel],
        encoder: Callable[[], SentenceEncoder],
        engine: Engine,
        progress: bool = False,
    ) -> None:
        super().__init__(path, progress=progress)
        self._settings = settings
        self._subject = subject
        self._encoder = encoder
        self.engine = engine

    @property
    def settings(self) -> RunSettings:
        """What the run was told."""
        return self._settings

    @property
    def subject(self) -> SubjectModel:
        """The subject model.

        Raises:
            InputError: the run has imported its activations.
        """
        return self._subject()

    @property
    def encoder(self) -> SentenceEncoder:
        """The sentence encoder."""
        return self._encoder()
