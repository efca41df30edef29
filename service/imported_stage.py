"""Runs on activations that NeuroX has extracted: `--model neurox:FILE` in place of a model.

Layers keep the numbers they have in the file, L0.hidden is its layer 0: for NeuroX that is the
embedding output unless it was told to leave it out, which the file does not say.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from indexer.errors import InputError
from service.extraction_stage import ACTIVATIONS
from service.report_stage import ReportStage
from service.stages import output_fingerprint

if TYPE_CHECKING:
    from descriptors.corpus import Corpus
    from indexer.engine import Engine
    from neurons.exemplars import NeuronTail
    from neurons.neurox import NeuroxSentence, NeuroxSource
    from neurons.records import NeuronExemplars
    from neurons.subject import SubjectModel
    from service.run_directory import RunDirectory
    from service.settings import RunSettings

PREFIX = "neurox:"


def is_imported(settings: RunSettings) -> bool:
    """Whether the activations come from a file of NeuroX."""
    return settings.model.startswith(PREFIX)


def stages_of(
    run: RunDirectory, settings: RunSettings, progress: bool, engine: Engine | None = None
) -> ReportStage:
    """The stages of a run, whatever its activations come from."""
    kind = ImportedStage if is_imported(settings) else ReportStage
    return kind(run, settings, progress, engine)


def no_model(settings: RunSettings) -> InputError:
    """What to answer where a model is needed and there is none."""
    from service.public_names import public_name

    source = public_name(settings.model).removeprefix(PREFIX)
    return InputError(
        f"the activations come from {source}, and there is no model to read a "
        "text with; run with --model and the model itself to do that"
    )


class ImportedStage(ReportStage):
    """Takes activations from a file; exemplars are shown without their tokens."""

    def prepare_neurons(self) -> None:
        """Open the file.

        Raises:
            InputError: it cannot be used.
        """
        _ = self.source

    @cached_property
    def subject(self) -> SubjectModel:
        """There is none.

        Raises:
            InputError: always.
        """
        raise no_model(self.settings)

    @cached_property
    def source(self) -> NeuroxSource:
        """The sentences and activations of the file."""
        from neurons.neurox_hdf5 import NeuroxHdf5
        from neurons.neurox_json import NeuroxJson

        path = self._path
        if path.suffix not in (".hdf5", ".json"):
            raise InputError(
                f"--model {self.settings.model}: expected {PREFIX} and a file of NeuroX, whose "
                "name ends in .hdf5 or .json"
            )
        return NeuroxHdf5.open(path) if path.suffix == ".hdf5" else NeuroxJson.open(path)

    def extract(self) -> None:
        """`activations/`, from the file."""
        extraction = self.settings.extraction
        inputs = {
            "model": output_fingerprint(self._path),
            "corpus": self.corpus.fingerprint,
            "pooling": extraction.pooling.value,
            "window_sentences": extraction.window_sentences,
        }
        self.run.stage("extract", inputs, [ACTIVATIONS], lambda: self._import(inputs))

    def _import(self, inputs: Any) -> Any:
        from indexer.storage import fingerprint
        from neurons.neurox_pooling import NeuroxPoolingSettings, pool_to_store
        from neurons.records import LayerSite, Site

        check_length(self.source, self.corpus, self._path)
        with closing(self.source.sentences()) as sentences:
            n_layers = len(next(sentences).activations)
        extraction = self.settings.extraction
        report = pool_to_store(
            CheckedSource(self.source, self.corpus),
            self.run.path / ACTIVATIONS,
            {layer: LayerSite(layer, Site.HIDDEN) for layer in range(n_layers)},
            NeuroxPoolingSettings(
                pooling=extraction.pooling, window_sentences=extraction.window_sentences
            ),
            fingerprint(inputs),
            progress=self.progress,
        )
        return report.model_dump(mode="json")

    def exemplar_inputs(self) -> dict[str, Any]:
        """No model is read for exemplars."""
        return {"model": None}

    def exemplars_of(self, tails: list[NeuronTail], limit: int) -> list[NeuronExemplars]:
        """Exemplars without tokens."""
        from neurons.plain_exemplars import plain_exemplars

        rows = np.arange(len(self.corpus), dtype=np.int64)
        return plain_exemplars(self.store, tails, rows, limit)

    @property
    def _path(self) -> Path:
        path = Path(self.settings.model.removeprefix(PREFIX)).expanduser()
        if not path.is_file():
            raise InputError(f"--model {self.settings.model}: there is no file {path}")
        return path


@dataclass(frozen=True)
class CheckedSource:
    """Sentences of a file, each made sure to be that of the same row of the corpus."""

    source: NeuroxSource
    corpus: Corpus

    def __len__(self) -> int:
        """The number of sentences."""
        return len(self.source)

    def sentences(self, first: int = 0) -> Generator[NeuroxSentence, None, None]:
        """Read the sentences from the `first`-th on.

        Raises:
            InputError: one is not that of the corpus, or cannot be read.
        """
        for row, sentence in enumerate(self.source.sentences(first), first):
            expected = " ".join(self.corpus.text(row).split())
            # Files of older programs lose the text of a sentence that comes twice.
            if sentence.text is not None and " ".join(sentence.text.split()) != expected:
                raise InputError(
                    f"sentence {row} of the corpus is {expected[:80]!r}, but the activations are "
                    f"of {sentence.text[:80]!r}; give the sentences the file was made from, in "
                    "its order, with --segment none"
                )
            yield sentence


def check_length(source: NeuroxSource, corpus: Corpus, path: Path) -> None:
    """Refuse a corpus of another number of sentences than the file.

    Raises:
        InputError: the numbers differ.
    """
    if len(source) != len(corpus):
        raise InputError(
            f"the corpus has {len(corpus)} sentences, {path} has {len(source)}; give the sentences "
            "the file was made from, in its order, with --segment none"
        )
