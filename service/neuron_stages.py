"""Stages from the catalog to the explanations: describe, match, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurons.records import Explanation, NeuronId
from neurons.statistics_file import STATISTICS_FILE
from service.catalog_stages import DESCRIPTORS, MEMBERSHIP, CatalogStages
from service.extraction_stage import ACTIVATIONS as ACTIVATIONS
from service.neuron_bar import neuron_bar

if TYPE_CHECKING:
    from descriptors.records import Descriptor
    from neurons.exemplars import NeuronTail
    from neurons.rank_arithmetic import RankArithmetic
    from neurons.records import NeuronExemplars
    from neurons.split_rows import Watch

EXPLANATIONS = "explanations.parquet"
EXEMPLARS = "exemplars.jsonl"

_EXEMPLARS_SHOWN = 5
_STRONGEST_KEPT = 20


class NeuronStages(CatalogStages):
    """The last half of a run."""

    def watched(self, doing: str) -> Watch:
        """Shows progress over blocks of neurons."""
        return neuron_bar(doing, shown=self.progress)

    def describe_neurons(self) -> None:
        """`neurons.parquet`: moments, quantiles and strongest sentences of every neuron."""
        inputs = {"activations": self.outputs("extract"), "kept": _STRONGEST_KEPT}
        self.run.stage("statistics", inputs, [STATISTICS_FILE], self._describe_neurons)

    def _describe_neurons(self) -> Any:
        from neurons.statistics import neuron_statistics
        from neurons.statistics_file import write_statistics

        found = neuron_statistics(self.store, _STRONGEST_KEPT, self.watched("statistics"))
        write_statistics(self.run.path / STATISTICS_FILE, found)
        return {"constant": int(found.constant.sum())}

    @property
    def rank_arithmetic(self) -> RankArithmetic:
        """Where ranks are computed: on a GPU where there is one; the result is the same."""
        from neurons.auroc_torch import ranks_on
        from neurons.subject import choose_device

        return ranks_on(choose_device(self.settings.device))

    def kept_descriptors(self) -> list[Descriptor]:
        """What `catalog` kept, in the order of the membership's rows."""
        from descriptors.catalog import kept, read_descriptors

        return kept(read_descriptors(self.run.path / DESCRIPTORS))

    def match(self) -> None:
        """`explanations.parquet`."""
        inputs = {
            "activations": self.outputs("extract"),
            "catalog": self.outputs("catalog"),
            "corpus": self.corpus.fingerprint,
            "matching": self.settings.matching.model_dump(mode="json"),
            "seed": self.settings.seed,
        }
        self.run.stage("match", inputs, [EXPLANATIONS], self._match)

    def _match(self) -> Any:
        from descriptors.catalog import handicaps, read_membership
        from neurons.explanation_file import described_tails, write_explanations
        from neurons.matching import match
        from neurons.split_rows import Activations

        catalog = self.kept_descriptors()
        matches = match(
            Activations.of_store(self.store),
            read_membership(self.run.path / MEMBERSHIP),
            self.split_rows,
            self.settings.matching,
            self.settings.seed,
            watch=self.watched("match"),
            arithmetic=self.rank_arithmetic,
            engine=self.engine,
            handicaps=handicaps(catalog),
        )
        names = [(descriptor.id, descriptor.text) for descriptor in catalog]
        write_explanations(self.run.path / EXPLANATIONS, matches, self.neurons, names)
        described = described_tails(matches)
        return {
            "neurons": len(described),
            "described_positive": int(described[:, 0].sum()),
            "described_negative": int(described[:, 1].sum()),
            "usable_descriptors": matches.usable_descriptors,
            "null": matches.null.model_dump(mode="json"),
        }

    def explanations(self) -> list[Explanation]:
        """What `match` wrote."""
        from neurons.explanation_file import read_explanations

        return read_explanations(self.run.path / EXPLANATIONS)

    def show(self) -> None:
        """`exemplars.jsonl`: sentences and tokens of the neurons that the report shows."""
        inputs = {
            "explanations": self.outputs("match"),
            "activations": self.outputs("extract"),
            **self.exemplar_inputs(),
            "shown": _EXEMPLARS_SHOWN,
        }
        self.run.stage("exemplars", inputs, [EXEMPLARS], self._show)

    def _show(self) -> Any:
        from eval.report_selection import best_explanations
        from neurons.exemplars import write_exemplars

        described = [each for each in self.explanations() if each.matches]
        tails = [_tail_of(each) for each in best_explanations(described)]
        found = self.exemplars_of(tails, _EXEMPLARS_SHOWN)
        write_exemplars(self.run.path / EXEMPLARS, found)
        return {"tails": len(found)}

    def exemplar_inputs(self) -> dict[str, Any]:
        """What decides on the tokens of exemplars."""
        return {"model": self.subject.fingerprint}

    def exemplars_of(self, tails: list[NeuronTail], limit: int) -> list[NeuronExemplars]:
        """The sentences on which each tail is most active, with their tokens."""
        from neurons.exemplars import find_exemplars

        rows = np.arange(len(self.corpus), dtype=np.int64)
        return find_exemplars(self.subject, self.store, self.corpus, tails, rows, limit)


def _tail_of(explanation: Explanation) -> NeuronTail:
    from neurons.exemplars import NeuronTail

    return NeuronTail(NeuronId.parse(explanation.neuron), explanation.tail)
