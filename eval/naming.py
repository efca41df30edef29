"""Does a descriptor say its label in words? Judged in sentence-embedding space.

Sentences tell what a descriptor holds for, not whether its words say so. A descriptor names a label
if the cosine of its text and the label's words is one that pairs which do not mean each other
hardly ever reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from indexer.arrays import BoolArray, DoubleArray

FEWEST_PAIRS = 20


@dataclass(frozen=True, slots=True)
class NamingThreshold:
    """The cosine that a descriptor must exceed to name a label.

    Attributes:
        cosine: the threshold.
        share: of the unrelated pairs, those that exceed it.
        n_pairs: how many unrelated pairs there are.
    """

    cosine: float
    share: float
    n_pairs: int


def label_words(label: str) -> str:
    """The words of a label: `intent:card_lost` is read as `card lost`."""
    facet, colon, value = label.partition(":")
    return (value if facet and colon else label).replace("_", " ").strip() or label


def naming_threshold(
    cosines: DoubleArray, related: BoolArray, share: float = 0.05
) -> NamingThreshold | None:
    """The smallest cosine that at most `share` of the unrelated pairs exceed.

    None with fewer than 20 unrelated pairs, of which no share this small can be told.

    Args:
        cosines: of each descriptor's text and each label's words (`n_descriptors, n_labels`).
        related: pairs that mean each other, in any reading; they are left out.
        share: of the unrelated pairs that may exceed it.

    Raises:
        ValueError: shapes differ, a cosine is not finite, or a share outside 0 to 1 (excluded).
    """
    if cosines.shape != related.shape:
        raise ValueError(f"cosines have shape {cosines.shape}, related pairs {related.shape}")
    if not 0.0 < share < 1.0:
        raise ValueError(f"share is {share}, expected more than 0 and less than 1")
    if not np.isfinite(cosines).all():
        raise ValueError("a cosine is not finite")
    unrelated = np.sort(cosines[~related])
    if unrelated.size < FEWEST_PAIRS:
        return None
    threshold = unrelated[unrelated.size - 1 - int(share * unrelated.size)]
    return NamingThreshold(
        float(threshold), float((unrelated > threshold).mean()), int(unrelated.size)
    )
