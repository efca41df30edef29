"""The described neurons of a run that protocols judge, by site and sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval.described_tails import DescribedTails
    from eval.label_recovery import Population
    from service.run_files import RunFiles


def site_populations(run: RunFiles) -> tuple[Population, ...]:
    """The neurons of each site, counted over all stored columns."""
    import numpy as np

    from eval.label_recovery import Population

    sites = np.array([neuron.site.value for neuron in run.neurons])
    return tuple(
        Population(str(site), np.flatnonzero(sites == site))
        for site in dict.fromkeys(sites.tolist())
    )


def described_samples(run: RunFiles, limit: int | None = None) -> tuple[DescribedTails, ...]:
    """The described tails of each site and sign, at most `limit` drawn by the run's seed."""
    from eval.described_tails import described_tails

    return described_tails(run.rankings, site_populations(run), limit=limit, seed=run.settings.seed)
