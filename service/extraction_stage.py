"""The stage that reads the subject model's neurons: extract."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from neurons.records import NeuronId
from service.index_stages import IndexStages

if TYPE_CHECKING:
    from neurons.split_rows import SplitRows
    from neurons.store import ActivationStore
    from neurons.subject import SubjectModel

ACTIVATIONS = "activations"


class ExtractionStage(IndexStages):
    """Activations of every neuron on every sentence."""

    def prepare_neurons(self) -> None:
        """Load the subject model.

        Raises:
            InputError: it cannot be used.
        """
        _ = self.subject

    @cached_property
    def subject(self) -> SubjectModel:
        """The model whose neurons are explained."""
        from neurons.subject import SubjectModel

        settings = self.settings
        return SubjectModel.load(
            settings.model,
            settings.device,
            settings.unsafe_weights,
            settings.extraction.precision,
        )

    @cached_property
    def store(self) -> ActivationStore:
        """The activations of the run."""
        from neurons.store import ActivationStore

        return ActivationStore.open(self.run.path / ACTIVATIONS)

    @cached_property
    def split_rows(self) -> SplitRows:
        """Rows of each split, with the documents of all sentences."""
        from neurons.split_rows import SplitRows

        return SplitRows.of_corpus(self.corpus)

    @property
    def neurons(self) -> list[NeuronId]:
        """The address of every stored column, in order."""
        return [
            NeuronId(place.layer, place.site, unit)
            for place in self.store.layer_sites
            for unit in range(self.store.units(place))
        ]

    def extract(self) -> None:
        """`activations/`."""
        inputs = {
            "model": self.subject.fingerprint,
            "corpus": self.corpus.fingerprint,
            "extraction": self.settings.extraction.model_dump(mode="json"),
        }
        self.run.stage("extract", inputs, [ACTIVATIONS], lambda: self._extract(inputs))

    def _extract(self, inputs: Any) -> Any:
        from indexer.storage import fingerprint
        from neurons.extraction import extract
        from neurons.parity import require_parity

        report = extract(
            self.subject,
            self.corpus,
            self.run.path / ACTIVATIONS,
            self.settings.extraction,
            fingerprint(inputs),
            parity=require_parity(self.subject),
            engine=self.engine,
            progress=self.progress,
        )
        return report.model_dump(mode="json")
