import numpy as np

from eval.intervals import bootstrap_interval
from eval.mean_figures import mean, mean_figure


def test_a_mean_with_its_interval_null_and_baseline() -> None:
    values = np.array([0.0, 1.0, 1.0, 0.5])
    figure = mean_figure(
        values,
        protocol="p",
        variant="v",
        metric="m",
        k=2,
        facet="f",
        null=np.array([0.0, 0.5]),
        baseline=np.zeros(0),
        seed=4,
    )
    interval = bootstrap_interval(values, seed=4)
    assert interval is not None
    assert (figure.ci_low, figure.ci_high) == (interval.low, interval.high)
    assert (figure.value, figure.null, figure.baseline, figure.n) == (0.625, 0.25, None, 4)
    assert (figure.protocol, figure.variant, figure.metric) == ("p", "v", "m")
    assert (figure.k, figure.facet, figure.split) == (2, "f", "test")


def test_too_little_for_an_interval_or_a_mean() -> None:
    one = mean_figure(np.array([0.3]), protocol="p", variant="", metric="m", seed=0)
    assert (one.value, one.ci_low, one.ci_high, one.null, one.n) == (0.3, None, None, None, 1)
    nothing = mean_figure(np.zeros(0), protocol="p", variant="", metric="m", seed=0)
    assert (nothing.value, nothing.ci_low, nothing.n) == (None, None, 0)


def test_the_mean_does_not_depend_on_order() -> None:
    values = np.random.default_rng(1).random(1001) * 10.0 ** (np.arange(1001) % 9)
    assert mean(values) == mean(values[::-1]) == mean(np.sort(values))
