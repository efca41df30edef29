"""The plots of an evaluation: pictures with explanation, text alternative and numbers.

Each function takes figures, or what a run keeps beside them, and gives a `Plot`, or None where
there is too little to draw. The same input gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eval.null_distributions import NullDistributions
from eval.plot_benchmark import BenchmarkPoint, benchmark_plot
from eval.plot_calibration import calibration_plot
from eval.plot_canvas import Plot
from eval.plot_cutoffs import cutoff_plot
from eval.plot_histograms import (
    HistogramSet,
    distribution_plots,
    lexical_histograms,
    null_histograms,
)
from eval.plot_layers import layer_plots
from eval.plot_planted import planted_plot
from eval.plot_risk_coverage import risk_coverage_plot
from eval.records import Figure

__all__ = [
    "BenchmarkPoint",
    "Plot",
    "benchmark_plot",
    "calibration_plot",
    "cutoff_plot",
    "distribution_plots",
    "evaluation_plots",
    "layer_plots",
    "lexical_histograms",
    "null_histograms",
    "planted_plot",
    "risk_coverage_plot",
]


def evaluation_plots(
    figures: Iterable[Figure],
    *,
    nulls: NullDistributions | None = None,
    first_matches: Sequence[HistogramSet] = (),
) -> tuple[Plot, ...]:
    """Every plot that one run allows, in the order to read them.

    Args:
        figures: what its evaluation found.
        nulls: the content of its `controls.json`, if it has one.
        first_matches: its matches beside those of random weights, see `lexical_histograms`.
    """
    kept = tuple(figures)
    nulls = nulls or NullDistributions()
    plots = (
        cutoff_plot(kept),
        risk_coverage_plot(kept),
        *layer_plots(kept),
        planted_plot(kept),
        *distribution_plots(null_histograms(nulls), "nulls"),
        calibration_plot(nulls.calibrations),
        *distribution_plots(first_matches, "lexical"),
    )
    return tuple(plot for plot in plots if plot is not None)
