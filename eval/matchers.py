"""The matchers a benchmark compares, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from eval.clip_dissect import rank_reorder, soft_wpmi
from eval.exemplar_matchers import exemplar_counts, frequency
from eval.label_matchers import average_precision, probeless, signed_probeless
from eval.matcher_task import RankingMatcher

OURS = "ours"
TRUE_LABELS = "true_labels"


@dataclass(frozen=True, slots=True)
class RivalMatcher:
    """A matcher and what a reader of its figures must know.

    Attributes:
        rank: gives the rankings.
        about: what it does, for the legend of a table.
        sees_labels: it ranks true labels in place of descriptors, so that its figures bound what
            descriptors can reach.
        compares_texts: it needs vectors of sentences and descriptors.
    """

    rank: RankingMatcher
    about: str
    sees_labels: bool = False
    compares_texts: bool = False


RIVALS: Mapping[str, RivalMatcher] = MappingProxyType(
    {
        "exemplar_counts": RivalMatcher(
            exemplar_counts,
            "descriptors by the raw share of the 100 most activating sentences they hold for (the "
            "plain reading of Mondal et al. 2024)",
        ),
        "frequency": RivalMatcher(
            frequency, "the commonest descriptors for every neuron; does not look at neurons"
        ),
        "softwpmi": RivalMatcher(
            soft_wpmi, "soft WPMI of CLIP-Dissect (Oikarinen & Weng 2023)", compares_texts=True
        ),
        "rank_reorder": RivalMatcher(
            rank_reorder,
            "rank reorder of CLIP-Dissect (Oikarinen & Weng 2023)",
            compares_texts=True,
        ),
        "probeless": RivalMatcher(
            probeless,
            "true labels by the absolute difference of class means (Antverg & Belinkov 2022)",
            sees_labels=True,
        ),
        "signed_probeless": RivalMatcher(
            signed_probeless,
            "true labels by the difference of class means towards the tail",
            sees_labels=True,
        ),
        "average_precision": RivalMatcher(
            average_precision,
            "true labels by the average precision of the activation",
            sees_labels=True,
        ),
    }
)
"""All but our own matcher, which a run has applied already, with descriptors and true labels."""

ABOUT_OWN: Mapping[str, str] = MappingProxyType(
    {
        OURS: "the explanations of the run; may abstain, which counts as misses",
        TRUE_LABELS: "our matcher with the true labels as descriptors: the upper bound",
    }
)

MATCHER_NAMES = (OURS, *RIVALS, TRUE_LABELS)


def about_matcher(name: str) -> str:
    """What a matcher does, in a few words.

    Raises:
        KeyError: there is no such matcher.
    """
    return ABOUT_OWN[name] if name in ABOUT_OWN else RIVALS[name].about
