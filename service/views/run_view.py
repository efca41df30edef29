"""A finished run as the API and the pages read it."""

from __future__ import annotations

from eval.records import Figure
from service.explained import ExplainedConcept
from service.overview import RunOverview
from service.views.records import (
    DescriptorAnswer,
    DescriptorList,
    LayerMap,
    NeuronAnswer,
    NeuronFilter,
    RunCard,
    SentenceList,
    TailList,
    TextAnswer,
)


class RunView:
    """Answers about one run; safe for many threads, and unchanged while the run is rewritten."""

    name: str
    etag: str
    """Changes whenever an answer may change."""

    catalog_etag: str
    """Changes whenever the catalog or its edits change; what an edit must name."""

    def card(self) -> RunCard:
        """The run at a glance."""
        raise NotImplementedError

    def overview(self) -> RunOverview:
        """What it has read, proposed and described."""
        raise NotImplementedError

    def layer_map(self) -> LayerMap:
        """Every layer site."""
        raise NotImplementedError

    def tails(self, wanted: NeuronFilter, *, offset: int, limit: int) -> TailList:
        """The tails that pass a filter, in its order."""
        raise NotImplementedError

    def neuron(self, address: str) -> NeuronAnswer:
        """What a neuron responds to.

        Raises:
            NotFoundError: the run has no such neuron.
        """
        raise NotImplementedError

    def concept(self, words: str, *, n_descriptors: int, n_neurons: int) -> ExplainedConcept:
        """The descriptors nearest to some words and the neurons that carry them.

        Raises:
            InputError: the words are blank, or no descriptor is kept.
        """
        raise NotImplementedError

    def text(self, text: str, *, n_neurons: int) -> TextAnswer:
        """What fires on a text.

        Raises:
            InputError: the text is blank or not valid Unicode, or the run has no model.
        """
        raise NotImplementedError

    def descriptors(
        self, *, search: str, kept: bool | None, offset: int, limit: int
    ) -> DescriptorList:
        """Descriptors whose phrase holds `search`, kept ones first."""
        raise NotImplementedError

    def descriptor(self, identifier: str) -> DescriptorAnswer:
        """A descriptor.

        Raises:
            NotFoundError: there is none of this identifier.
        """
        raise NotImplementedError

    def sentences(self, identifier: str, *, offset: int, limit: int) -> SentenceList:
        """The sentences of a kept descriptor.

        Raises:
            NotFoundError: there is none of this identifier.
        """
        raise NotImplementedError

    def evaluation(self) -> tuple[Figure, ...]:
        """All figures."""
        raise NotImplementedError
