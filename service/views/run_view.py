"""A finished run as the API and the pages read it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import NeuroscribeError
from service.catalog_etag import etag_of_built
from service.public_names import public_name
from service.views.concept_search import ConceptSearch
from service.views.descriptor_answers import DescriptorAnswers
from service.views.layer_maps import layer_map
from service.views.neuron_answers import NeuronAnswers
from service.views.opened_run import MANIFEST, FileMark, OpenedRun
from service.views.overview_counts import overview
from service.views.records import (
    DescriptorAnswer,
    DescriptorList,
    LayerMap,
    NeuronAnswer,
    NeuronFilter,
    RunCard,
    RunState,
    SentenceList,
    TailList,
    TextAnswer,
)
from service.views.tail_lists import TailLists
from service.views.text_reader import TextReader

if TYPE_CHECKING:
    from eval.records import Figure
    from service.explained import ExplainedConcept
    from service.overview import RunOverview
    from service.views.shared_models import SharedModels

logger = logging.getLogger(__name__)


class Standing(Enum):
    """What has become of a run since it was opened.

    `UPDATING`: another process rewrites it, and it is read as it was. `REPLACED`: it was rewritten.
    `GONE`: it is rewritten so far that it cannot be read as it was.
    """

    CURRENT = auto()
    UPDATING = auto()
    REPLACED = auto()
    GONE = auto()


class RunView:
    """Answers about one run; safe for many threads, and unchanged while the run is rewritten.

    Args:
        path: the run's folder.
        models: where models are shared with other runs.

    Raises:
        InputError: there is no run at `path`.
        BusyError: it is being rewritten.
        RunError: it is not complete, or damaged.
    """

    def __init__(self, path: Path, models: SharedModels) -> None:
        self.name = path.name
        self._run = OpenedRun(path, models)
        self._mark = self._run.mark
        # As a text, which the system is asked with for every answer: making a path costs more.
        self._manifest = str(path / MANIFEST)
        self._tails = TailLists(self._run)
        self._neurons = NeuronAnswers(self._run, self.name)
        self._descriptors = DescriptorAnswers(self._run, self.name, self._tails)
        self._overview = overview(self._run)
        self._layer_map = layer_map(self._run)
        self._concepts = ConceptSearch(self._run)
        self._texts = TextReader(self._run)

    @property
    def etag(self) -> str:
        """Changes whenever an answer may change."""
        return self._run.etag

    @property
    def catalog_etag(self) -> str:
        """Changes whenever the catalog or its edits change; what an edit must name.

        Edits come from other processes as well, so they are looked at each time.

        Raises:
            RunError: they cannot be read.
        """
        record = self._run.manifest.stages.get("catalog")
        return etag_of_built({} if record is None else record.outputs, self._run.path)

    @property
    def standing(self) -> Standing:
        """What has become of the run since it was opened."""
        found = FileMark.of(self._manifest)
        if found == self._mark:
            return Standing.CURRENT
        if found is not None:
            return Standing.REPLACED
        return Standing.UPDATING if self._run.maps_current_files else Standing.GONE

    def prepare(self) -> Iterator[object]:
        """Load and compute, step by step, what the first questions would wait for.

        What cannot be had is told of in the log, and again to whoever asks such a question.
        """
        for answers in (self._texts, self._concepts):
            try:
                yield from answers.prepare()
            except NeuroscribeError as error:
                logger.info("%s: %s", self.name, error)

    def card(self) -> RunCard:
        """The run at a glance."""
        settings, table = self._run.settings, self._run.explanations
        is_current = self.standing is Standing.CURRENT
        return RunCard(
            name=self.name,
            state=RunState.FINISHED if is_current else RunState.UPDATING,
            corpus=public_name(settings.corpus),
            model=public_name(settings.model),
            encoder=public_name(settings.encoder),
            proposers=settings.proposers,
            changed_at=datetime.fromtimestamp(self._mark.changed / 1e9, UTC),
            n_sentences=len(self._run.corpus),
            n_descriptors=len(self._run.catalog),
            n_neurons=self._run.store.n_neurons,
            n_described=int(table.described.sum()),
        )

    def overview(self) -> RunOverview:
        """What it has read, proposed and described."""
        return self._overview

    def layer_map(self) -> LayerMap:
        """Every layer site."""
        return self._layer_map

    def tails(self, wanted: NeuronFilter, *, offset: int, limit: int) -> TailList:
        """The tails that pass a filter, in its order."""
        return self._tails.answer(wanted, offset=offset, limit=limit)

    def neuron(self, address: str) -> NeuronAnswer:
        """What a neuron responds to.

        Raises:
            NotFoundError: the run has no such neuron.
            BackendError: the model computes what is no number.
            RunError: the model cannot be loaded, or has changed since.
        """
        return self._neurons.answer(address)

    def concept(self, words: str, *, n_descriptors: int, n_neurons: int) -> ExplainedConcept:
        """The descriptors nearest to some words and the neurons that carry them.

        Raises:
            InputError: the words are blank or not valid Unicode, or no descriptor is kept.
            RunError: the encoder cannot be loaded, or has changed since.
        """
        return self._concepts.answer(words, n_descriptors, n_neurons)

    def text(self, text: str, *, n_neurons: int) -> TextAnswer:
        """What fires on a text.

        Raises:
            InputError: the text is blank or not valid Unicode, or the run has no model.
            BackendError: the model computes what is no number.
            RunError: the model cannot be loaded, or has changed since.
        """
        return self._texts.answer(self.name, text, n_neurons)

    def descriptors(
        self, *, search: str, kept: bool | None, offset: int, limit: int
    ) -> DescriptorList:
        """Descriptors whose phrase holds `search`, kept ones first."""
        return self._descriptors.listed(search=search, kept=kept, offset=offset, limit=limit)

    def descriptor(self, identifier: str) -> DescriptorAnswer:
        """A descriptor.

        Raises:
            NotFoundError: there is none of this identifier.
        """
        return self._descriptors.answer(identifier)

    def sentences(self, identifier: str, *, offset: int, limit: int) -> SentenceList:
        """The sentences of a descriptor; one that is not kept has none.

        Raises:
            NotFoundError: there is none of this identifier.
        """
        return self._descriptors.sentences(identifier, offset=offset, limit=limit)

    def evaluation(self) -> tuple[Figure, ...]:
        """All figures."""
        return self._run.figures
