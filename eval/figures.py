"""The geometry of the report's charts: where marks go and which colour step they take.

Drawing itself is left to the template, which escapes every label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexer.arrays import DoubleArray, FloatArray

COLOUR_STEPS = 6
MAP_WIDTH = 1000.0
MAP_HEIGHT = 620.0
_MARGIN = 46.0
_SMALLEST_RADIUS = 4.0
_LARGEST_RADIUS = 20.0
_TINIEST_RADIUS = 3.0
_ROOMY_BUBBLES = 80
_CHARACTER_WIDTH = 7.2
_LINE_HEIGHT = 17.0
_EXACT_LIMIT = 600
_ITERATIONS = 500


def descriptor_map(vectors: FloatArray, *, seed: int = 0) -> DoubleArray:
    """Place descriptors in the plane so that similar ones are neighbours, by t-SNE.

    Neighbourhoods mean something, distances between far points do not. The same vectors and seed
    give the same bytes on one machine. Fewer than five descriptors, or equal ones, are placed by
    their first two principal components.

    Args:
        vectors: embeddings of the descriptors (`n_descriptors, dim`).
        seed: of the layout.

    Returns:
        Coordinates between 0 and 1 (`n_descriptors, 2`), rounded to four decimals.

    Raises:
        ValueError: `vectors` is not two-dimensional or not finite.
    """
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError(f"vectors of shape {vectors.shape} are not finite rows of n x dim")
    if not len(vectors):
        return np.zeros((0, 2))
    rows = vectors.astype(np.float64)
    centred = rows - rows.mean(axis=0)
    if len(vectors) < 5 or np.linalg.matrix_rank(centred) < 2:
        return _unit_square(_principal_plane(centred))
    return _unit_square(_neighbour_embedding(centred, seed))


def _principal_plane(centred: DoubleArray) -> DoubleArray:
    plane = np.zeros((len(centred), 2))
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    found = min(2, values.size)
    plane[:, :found] = left[:, :found] * values[:found]
    return plane


def _neighbour_embedding(centred: DoubleArray, seed: int) -> DoubleArray:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    n_descriptors = len(centred)
    layout = TSNE(
        init="pca",
        perplexity=min(20.0, (n_descriptors - 1) / 3),
        method="exact" if n_descriptors <= _EXACT_LIMIT else "barnes_hut",
        max_iter=_ITERATIONS,
        random_state=seed,
    )
    # Sums over threads come in any order; one thread keeps the bytes the same.
    with threadpool_limits(limits=1):
        return np.asarray(layout.fit_transform(centred), dtype=np.float64)


def _unit_square(plane: DoubleArray) -> DoubleArray:
    low = plane.min(axis=0)
    extent = plane.max(axis=0) - low
    spread = extent > 1e-9
    scaled = np.where(spread, (plane - low) / np.where(spread, extent, 1.0), 0.5)
    return np.asarray(np.round(scaled, 4), dtype=np.float64)


def colour_step(value: float, largest: float, steps: int = COLOUR_STEPS) -> int:
    """The colour step of a count: 0 for none, else 1 to `steps` on a square-root scale.

    Raises:
        ValueError: `value` is negative or above `largest`.
    """
    if not 0 <= value <= largest:
        raise ValueError(f"value is {value}, expected between 0 and {largest}")
    if value == 0:
        return 0
    return max(1, math.ceil(steps * math.sqrt(value / largest)))


@dataclass(frozen=True, slots=True)
class StepRange:
    """The counts that share a colour step, both ends included."""

    step: int
    low: int
    high: int


def colour_legend(largest: int, steps: int = COLOUR_STEPS) -> tuple[StepRange, ...]:
    """The counts behind each colour step that whole numbers up to `largest` reach."""
    ranges: dict[int, StepRange] = {}
    for value in range(largest + 1):
        step = colour_step(value, largest, steps)
        low = ranges[step].low if step in ranges else value
        ranges[step] = StepRange(step, low, value)
    return tuple(ranges.values())


@dataclass(frozen=True, slots=True)
class Label:
    """Where the label of a bubble starts (its left end and baseline)."""

    left: float
    baseline: float


@dataclass(frozen=True, slots=True)
class Bubble:
    """A descriptor on the map, in pixels of a drawing of MAP_WIDTH x MAP_HEIGHT.

    `horizontal` and `vertical` are its coordinates between 0 and 1, for drawings of other sizes.
    `label` is None where it would cover another label or bubble.
    """

    index: int
    horizontal: float
    vertical: float
    centre_x: float
    centre_y: float
    radius: float
    step: int
    label: Label | None


@dataclass(frozen=True, slots=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: _Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    @property
    def inside_map(self) -> bool:
        return (
            self.left >= 0
            and self.top >= 0
            and self.right <= MAP_WIDTH
            and self.bottom <= MAP_HEIGHT
        )


def bubbles(
    coordinates: DoubleArray, texts: Sequence[str], sizes: Sequence[int], counts: Sequence[int]
) -> tuple[Bubble, ...]:
    """Draw descriptors as bubbles: area by `sizes`, colour by `counts`, labels where there is room.

    Bubbles come largest first, so that small ones lie on top; labels go to the highest counts
    first.

    Args:
        coordinates: between 0 and 1 (`n_descriptors, 2`).
        texts: the labels.
        sizes: member sentences of each descriptor.
        counts: neurons that carry each descriptor.

    Raises:
        ValueError: the lengths differ.
    """
    if not len(coordinates) == len(texts) == len(sizes) == len(counts):
        raise ValueError(
            f"found {len(coordinates)} coordinates, {len(texts)} texts, {len(sizes)} sizes and "
            f"{len(counts)} counts, expected as many of each"
        )
    largest_size, largest_count = max(sizes, default=0), max(counts, default=0)
    plain = [
        Bubble(
            index=index,
            horizontal=float(coordinates[index, 0]),
            vertical=float(coordinates[index, 1]),
            centre_x=round(_MARGIN + float(coordinates[index, 0]) * (MAP_WIDTH - 2 * _MARGIN), 1),
            centre_y=round(_MARGIN + float(coordinates[index, 1]) * (MAP_HEIGHT - 2 * _MARGIN), 1),
            radius=_radius(sizes[index], largest_size, len(texts)),
            step=colour_step(counts[index], largest_count),
            label=None,
        )
        for index in range(len(texts))
    ]
    labels = _place_labels(
        sorted(plain, key=lambda bubble: (-counts[bubble.index], bubble.index)), plain, texts
    )
    return tuple(
        replace(bubble, label=labels.get(bubble.index))
        for bubble in sorted(plain, key=lambda bubble: (-bubble.radius, bubble.index))
    )


def _radius(size: int, largest: int, n_bubbles: int) -> float:
    share = math.sqrt(size / largest) if largest else 0.0
    crowding = min(1.0, math.sqrt(_ROOMY_BUBBLES / n_bubbles))
    radius = _SMALLEST_RADIUS + (_LARGEST_RADIUS - _SMALLEST_RADIUS) * share
    return round(max(_TINIEST_RADIUS, radius * crowding), 1)


def _place_labels(
    order: Sequence[Bubble], all_bubbles: Sequence[Bubble], texts: Sequence[str]
) -> dict[int, Label]:
    marks = {
        bubble.index: _Box(
            bubble.centre_x - bubble.radius * 0.95,
            bubble.centre_y - bubble.radius * 0.95,
            bubble.centre_x + bubble.radius * 0.95,
            bubble.centre_y + bubble.radius * 0.95,
        )
        for bubble in all_bubbles
    }
    taken: list[_Box] = []
    labels: dict[int, Label] = {}
    for bubble in order:
        others = [box for index, box in marks.items() if index != bubble.index]
        for box in _candidates(bubble, len(texts[bubble.index]) * _CHARACTER_WIDTH):
            if box.inside_map and not any(box.overlaps(other) for other in (*taken, *others)):
                taken.append(box)
                labels[bubble.index] = Label(round(box.left, 1), round(box.bottom - 5.0, 1))
                break
    return labels


def _candidates(bubble: Bubble, width: float) -> tuple[_Box, ...]:
    gap = bubble.radius + 3.0
    middle = bubble.centre_y - _LINE_HEIGHT / 2
    lefts_and_tops = (
        (bubble.centre_x + gap, middle),
        (bubble.centre_x - gap - width, middle),
        (bubble.centre_x - width / 2, bubble.centre_y + gap - 2.0),
        (bubble.centre_x - width / 2, bubble.centre_y - gap - _LINE_HEIGHT + 2.0),
    )
    return tuple(_Box(left, top, left + width, top + _LINE_HEIGHT) for left, top in lefts_and_tops)


@dataclass(frozen=True, slots=True)
class Strip:
    """An estimate with its interval on a horizontal axis, all in percent of the axis.

    `start` and `end` are None without an interval; ends beyond the axis are drawn at its edge.
    """

    point: float
    start: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class Axis:
    """The stretch of values that a strip spans."""

    low: float
    high: float

    def percent(self, value: float) -> float:
        """Where `value` lies between the ends, 0 to 100; at the edge where it is beyond."""
        share = (value - self.low) / (self.high - self.low)
        return round(100.0 * min(1.0, max(0.0, share)), 2)

    def strip(self, value: float, ci_low: float | None, ci_high: float | None) -> Strip:
        """The strip of an estimate and the ends of its interval, if it has one."""
        if ci_low is None or ci_high is None:
            return Strip(self.percent(value), None, None)
        return Strip(self.percent(value), self.percent(ci_low), self.percent(ci_high))


AUROC_AXIS = Axis(0.4, 1.0)
SHARE_AXIS = Axis(0.0, 1.0)
