"""The first stage: the texts a run was pointed at become `corpus.parquet`."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descriptors.records import Split
from indexer.arrays import IntArray
from indexer.engine import Engine, LocalEngine
from indexer.errors import InputError

if TYPE_CHECKING:
    from descriptors.corpus import Corpus, IngestReport
    from service.run_directory import RunDirectory
    from service.settings import RunSettings

CORPUS = "corpus.parquet"
_STAGE = "corpus"


class CorpusStage:
    """What every stage needs: the run, its settings and its sentences."""

    def __init__(
        self,
        run: RunDirectory,
        settings: RunSettings,
        progress: bool,
        engine: Engine | None = None,
    ) -> None:
        self.run = run
        self.settings = settings
        self.progress = progress
        self.engine = engine or LocalEngine()

    def outputs(self, name: str) -> dict[str, str]:
        """Fingerprints of the files that a finished stage wrote."""
        return self.run.stages()[name].outputs

    @cached_property
    def corpus(self) -> Corpus:
        """The sentences of the run, without labels."""
        from descriptors.corpus import read_corpus

        return read_corpus(self.run.path / CORPUS)

    def rows(self, split: Split) -> IntArray:
        """The rows of one split."""
        return self.corpus.rows(split)

    def prepare(self) -> None:
        """Read what the user gave before anything in the run changes, so that bad input harms none.

        Raises:
            InputError: it cannot be used.
        """
        if not self.run.holds(_STAGE, self._reading_inputs):
            _ = self._read_aside

    def read(self) -> None:
        """Corpus in: `corpus.parquet`."""

        def action() -> Any:
            report = self._read_aside.model_dump(mode="json")
            os.replace(self.run.scratch / CORPUS, self.run.path / CORPUS)
            # Where the package is installed is no property of the run.
            return {**report, "source": self.settings.corpus}

        self.run.stage(_STAGE, self._reading_inputs, [CORPUS], action)

    @cached_property
    def _source(self) -> str:
        from descriptors.sample import resolve_source

        return resolve_source(self.settings.corpus)

    @cached_property
    def _reading_inputs(self) -> dict[str, Any]:
        return {
            "corpus": self.settings.corpus,
            "content": _content_fingerprint(self._source),
            "reading": self.settings.reading.model_dump(mode="json"),
        }

    @cached_property
    def _read_aside(self) -> IngestReport:
        from descriptors.ingest import ingest

        return ingest(self._source, self.run.scratch / CORPUS, self.settings.reading)


def _content_fingerprint(source: str) -> str:
    from indexer.storage import file_fingerprint

    path = Path(source)
    try:
        # A hub data set has no file here; its name is all that is known before it is read.
        return file_fingerprint(path) if path.is_file() else source
    except OSError as error:
        raise InputError(
            f"cannot read {source}: {error.strerror}; expected a file that you may read"
        ) from error
