"""The neuron groups of a finished run; those of an older run are found once and kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.errors import InputError, RunError
from neurons.group_records import (
    NEURON_GROUPS_FILE,
    NeuronGroups,
    read_neuron_groups,
    write_neuron_groups,
)
from neurons.records import NeuronId
from service.group_stage import SETTINGS
from service.neuron_bar import neuron_bar
from service.run_directory import RunDirectory

if TYPE_CHECKING:
    from service.finished_run import FinishedRun

logger = logging.getLogger(__name__)


def groups_of(run: FinishedRun, *, progress: bool = False) -> NeuronGroups:
    """Read the groups of a run, or find and keep them if an older version has made it.

    Raises:
        RunError: the file is damaged or belongs to another run.
    """
    path = run.path / NEURON_GROUPS_FILE
    if not path.exists():
        logger.warning("%s has no neuron groups yet; they are computed once and kept", run.path)
        found = _found(run, progress)
        _keep(run.path, found)
        return found
    found = read_neuron_groups(path)
    known = {descriptor.id for descriptor in run.catalog}
    for group in found.groups:
        matched = {match.descriptor_id for tail in group.tails for match in tail.matches}
        if matched - known or not all(_is_stored(run, each.neuron) for each in group.members):
            raise RunError(
                f"{path} does not belong to this run: its group {group.id} has neurons or "
                "descriptors that the run lacks. Remove the file; it is computed again when it is "
                "next asked for"
            )
    return found


def _is_stored(run: FinishedRun, address: str) -> bool:
    try:
        neuron = NeuronId.parse(address)
    except InputError:
        return False
    sites = run.store.layer_sites
    return neuron.layer_site in sites and neuron.unit < run.store.units(neuron.layer_site)


def _found(run: FinishedRun, progress: bool) -> NeuronGroups:
    from neurons.group_matching import Evidence, find_neuron_groups
    from neurons.split_rows import Activations

    evidence = Evidence(
        activations=Activations.of_store(run.store),
        neurons=run.neurons,
        membership=run.membership,
        descriptors=[(descriptor.id, descriptor.text) for descriptor in run.catalog],
        handicaps=run.handicaps,
        rows=run.split_rows,
    )
    settings = run.settings
    watch = neuron_bar("neuron groups", shown=progress)
    return find_neuron_groups(evidence, SETTINGS, settings.matching, settings.seed, watch=watch)


def _keep(path: Path, found: NeuronGroups) -> None:
    """Write the groups unless the run may not be written now; they can be found again."""
    try:
        directory = RunDirectory.create(path)
    except (InputError, RunError) as error:
        logger.warning("neuron groups are not kept: %s", error)
        return
    try:
        write_neuron_groups(path / NEURON_GROUPS_FILE, found)
    except RunError as error:
        logger.warning("neuron groups are not kept: %s", error)
    finally:
        directory.close()
