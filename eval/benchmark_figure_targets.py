"""What figures of protocols are to reach, whatever data set they are of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eval.benchmark_records import BenchmarkFigure, TargetResult
from eval.variant_words import VariantWords


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureTarget:
    """A target for figures of a protocol, which each run has to reach by its worst figure.

    Attributes:
        target: its name.
        protocol: whose figures.
        metric: which of them; `k` likewise.
        goal: the value to reach, from above where `at_most`.
        plain: the plain words of the variant, whatever settings come with them; all if None.
        settings: settings of the variant that must have these values.
        without: settings that the variant must not have: figures over some of the units.
        at_least: settings of the variant that must be this large.
        corpora: runs on these only; all if empty.
        ceiling: the metric that the value is divided by first.
    """

    target: str
    protocol: str
    metric: str
    goal: float
    k: int | None = None
    at_most: bool = False
    plain: tuple[str, ...] | None = None
    settings: tuple[tuple[str, str], ...] = ()
    without: tuple[str, ...] = ()
    at_least: tuple[tuple[str, float], ...] = ()
    corpora: tuple[str, ...] = ()
    ceiling: str = ""

    @property
    def wanted(self) -> str:
        """The goal in words."""
        metric = self.metric if self.k is None else f"{self.metric}@{self.k}"
        divided = f" / {self.ceiling}" if self.ceiling else ""
        return f"{metric}{divided} {'<=' if self.at_most else '>='} {self.goal:g}"

    def concerns(self, figure: BenchmarkFigure) -> bool:
        """Whether the figure is one that has to reach the goal."""
        if (figure.protocol, figure.metric, figure.k) != (self.protocol, self.metric, self.k):
            return False
        if self.corpora and figure.corpus not in self.corpora:
            return False
        words = VariantWords.parse(figure.variant)
        if self.plain is not None and words.plain != self.plain:
            return False
        if not words.settings.keys().isdisjoint(self.without):
            return False
        if any(words.settings.get(name) != value for name, value in self.settings):
            return False
        numbers = ((words.number(name), least) for name, least in self.at_least)
        return all(number is not None and number >= least for number, least in numbers)


_STRENGTH = (("strength", 1.5),)
_NUMBER = ("number",)
_NULLS = ("shuffled_sentences", "shuffled_memberships", "random_descriptors")
FIGURE_TARGETS = (
    FigureTarget(
        target="planted units, the matcher alone",
        protocol="planted",
        metric="P",
        k=2,
        goal=0.95,
        plain=(),
        settings=(("gold", "descriptors"),),
        at_least=_STRENGTH,
        without=_NUMBER,
    ),
    *(
        FigureTarget(
            target=f"planted units, the whole pipeline, {corpus}",
            protocol="planted",
            metric="P",
            k=2,
            goal=goal,
            plain=(),
            settings=(("gold", "labels"),),
            at_least=_STRENGTH,
            without=_NUMBER,
            corpora=(corpus,),
        )
        for corpus, goal in (("clinc150", 0.80), ("dbpedia14", 0.90))
    ),
    FigureTarget(
        target="planted units, the whole pipeline: recall of its ceiling",
        protocol="planted",
        metric="R",
        k=2,
        goal=0.85,
        plain=(),
        settings=(("gold", "labels"),),
        at_least=_STRENGTH,
        without=_NUMBER,
        corpora=("clinc150", "dbpedia14"),
        ceiling="R_ceiling",
    ),
    FigureTarget(
        target="units planted in the model, found again",
        protocol="planted_model",
        metric="P",
        k=1,
        goal=0.90,
        plain=(),
    ),
    *(
        FigureTarget(
            target=f"false descriptions under {null.replace('_', ' ')}",
            protocol="controls",
            metric="described",
            goal=0.05,
            at_most=True,
            plain=(null,),
        )
        for null in _NULLS
    ),
    FigureTarget(
        target="stability above its null and baseline",
        protocol="stability",
        metric="stable",
        k=2,
        goal=1.0,
        settings=(("tail", "+"),),
    ),
)
"""Of issue 5, "What it must reach"; what label recovery must reach is in `recovery_targets`."""


def figure_target(target: FigureTarget, figures: Iterable[BenchmarkFigure]) -> TargetResult:
    """The worst figure decides; figures without a value leave a target open."""
    own = list(figures)
    measured: list[tuple[float, BenchmarkFigure]] = []
    open_reasons = []
    for figure in own:
        if not target.concerns(figure):
            continue
        value = _measured(target, figure, own)
        if value is None:
            open_reasons.append(f"{figure.corpus}: {figure.reason or 'no value'}")
        else:
            measured.append((value, figure))
    if not measured:
        reason = "; ".join(dict.fromkeys(open_reasons)) or "not measured"
        return TargetResult(
            target=target.target, wanted=target.wanted, found="", reached=None, missed_by=reason
        )
    decide = max if target.at_most else min
    value, figure = decide(measured, key=lambda pair: pair[0])
    short = value - target.goal if target.at_most else target.goal - value
    facet = f" {figure.facet}" if figure.facet else ""
    return TargetResult(
        target=target.target,
        wanted=target.wanted,
        found=f"{value:.3f} ({figure.corpus}{facet}, {figure.variant}), the worst of "
        f"{len(measured)}",
        reached=short <= 0.0,
        missed_by="" if short <= 0.0 else f"{short:.3f}",
    )


def _measured(
    target: FigureTarget, figure: BenchmarkFigure, figures: Sequence[BenchmarkFigure]
) -> float | None:
    if not target.ceiling or figure.value is None:
        return figure.value
    place = (figure.corpus, figure.protocol, figure.variant, figure.k, figure.facet)
    for each in figures:
        where = (each.corpus, each.protocol, each.variant, each.k, each.facet)
        if where == place and each.metric == target.ceiling and each.value:
            return figure.value / each.value
    return None
