"""Do two runs say the same of the same neurons? Of other proposers, or of another corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.agreement import AgreementOptions, Comparison, agreement_figures, mapped_ranking
from eval.counterparts import cosine_counterparts, overlap_counterparts
from eval.metrics import Ranking
from eval.records import Figure
from eval.stability import PROTOCOL, StabilitySettings
from indexer.arrays import IntArray
from indexer.errors import InputError
from neurons.matching import TAILS
from service.tail_samples import site_populations

if TYPE_CHECKING:
    from service.finished_run import FinishedRun
    from service.run_files import RunFiles

GENERATORS, CORPORA = "generators", "corpora"


def figures_against(
    run: RunFiles, model: str, other: FinishedRun, settings: StabilitySettings
) -> list[Figure]:
    """Agreement of two runs on the described neurons of each site and tail; see `eval.agreement`.

    Descriptors of runs on the same sentences are the same where they hold for the same sentences
    (reading `generators`), else where their texts are near (`corpora`); how many of them have a
    counterpart is told as `counterparts`. The baseline are permuted neurons.

    Args:
        run: the run that is evaluated.
        model: fingerprint of its subject model.
        other: a finished run on the neurons of the same model.
        settings: as for the protocol `stability`.

    Raises:
        InputError: the runs are not about the same neurons.
    """
    if other.manifest.fingerprints.get("model") != model or other.neurons != run.neurons:
        raise InputError(
            f"{other.path} is about other neurons than {run.path}; expected a run on the same "
            "model with the same --site"
        )
    same = other.corpus.fingerprint == run.corpus.fingerprint
    reading = GENERATORS if same else CORPORA
    mapping = _counterparts(run, other, same)
    told = f"against={other.path.name.replace(' ', '_')}"
    found = [
        Figure(
            protocol=PROTOCOL,
            variant=f"{reading} {told}",
            metric="counterparts",
            split="all",
            value=float(np.mean(mapping >= 0)),
            n=mapping.size,
        )
    ]
    for tail, own, theirs in zip(TAILS, run.rankings, other.rankings, strict=True):
        known = mapped_ranking(theirs, mapping, len(run.catalog))
        for population in site_populations(run):
            found += _compared(
                Comparison(own, known).take(population.neurons),
                reading,
                f"{told} tail={tail.value} site={population.name}",
                settings,
                run.settings.seed,
            )
    return found


def _counterparts(run: RunFiles, other: FinishedRun, same_corpus: bool) -> IntArray:
    """The descriptor of `run` that each of `other` means (`n_others`), -1 for none."""
    if same_corpus:
        return overlap_counterparts(other.membership, run.membership)
    theirs = run.encoder.encode([each.text for each in other.catalog])
    return cosine_counterparts(theirs, run.encoder.encode([each.text for each in run.catalog]))


def _compared(
    comparison: Comparison, reading: str, where: str, settings: StabilitySettings, seed: int
) -> list[Figure]:
    """Over neurons that either run describes, and over those that both do."""
    figures = []
    both = comparison.where_both_describe()
    for words, each in ((reading, comparison), (f"{reading} both", both)):
        options = AgreementOptions(
            protocol=PROTOCOL,
            variant=f"{words} {where}",
            split="discover+validation",
            k=settings.k,
            depth=_depth(each.one),
            minimum_neurons=settings.minimum_neurons,
            seed=seed,
        )
        figures += agreement_figures([each], options)
    return figures


def _depth(ranking: Ranking) -> int:
    return int(ranking.descriptors.shape[1])
