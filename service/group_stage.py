"""The stage that finds neurons that move together: neuron_groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from neurons.group_records import (
    NEURON_GROUPS_FILE,
    NeuronGroups,
    NeuronGroupSettings,
    write_neuron_groups,
)
from service.catalog_stages import MEMBERSHIP
from service.lexical_stage import LexicalStage

if TYPE_CHECKING:
    pass

NEURON_GROUPS = NEURON_GROUPS_FILE
SETTINGS = NeuronGroupSettings()


class GroupStage(LexicalStage):
    """Adds groups of neurons to the stages of a run."""

    def group_neurons(self) -> None:
        """`neuron_groups.json`."""
        inputs = {
            "activations": self.outputs("extract"),
            "catalog": self.outputs("catalog"),
            "corpus": self.corpus.fingerprint,
            "groups": SETTINGS.model_dump(mode="json"),
            "matching": self.settings.matching.model_dump(mode="json"),
            "seed": self.settings.seed,
        }
        self.run.stage("neuron_groups", inputs, [NEURON_GROUPS], self._group_neurons)

    def _group_neurons(self) -> Any:
        from descriptors.catalog import handicaps, read_membership
        from neurons.group_matching import Evidence, find_neuron_groups
        from neurons.split_rows import Activations

        catalog = self.kept_descriptors()
        evidence = Evidence(
            activations=Activations.of_store(self.store),
            neurons=self.neurons,
            membership=read_membership(self.run.path / MEMBERSHIP),
            descriptors=[(descriptor.id, descriptor.text) for descriptor in catalog],
            handicaps=handicaps(catalog),
            rows=self.split_rows,
        )
        found = find_neuron_groups(
            evidence,
            SETTINGS,
            self.settings.matching,
            self.settings.seed,
            watch=self.watched("neuron groups"),
        )
        write_neuron_groups(self.run.path / NEURON_GROUPS, found)
        return _counts(found)


def _counts(found: NeuronGroups) -> dict[str, Any]:
    described = [group for group in found.groups if any(tail.matches for tail in group.tails)]
    return {
        "groups": len(found.groups),
        "neurons": sum(len(group.members) for group in found.groups),
        "described": len(described),
        "not_replicated": found.not_replicated,
        "too_few_sentences": found.too_few_sentences,
    }
