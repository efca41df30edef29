"""Whether proposers name classes they have never seen: the generator's own test."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.corpora import shared_corpus
from benchmarks.records import Measurement
from descriptors.proposer import GroupTexts
from descriptors.records import Group
from indexer.arrays import BoolArray, DoubleArray, FloatArray
from indexer.storage import atomic_path

if TYPE_CHECKING:
    from descriptors.proposer import PhraseEncoder, Proposer

PAGE = Path(__file__).with_name("naming.md")
FACETS = {
    "clinc150": "intent",
    "banking77": "intent",
    "dbpedia14": "class",
    "dbpedia70": "class",
    "news_topics41": "topic",
    "newsgroups20": "topic",
    "tech_questions20": "topic",
    "clothing_reviews": "category",
    "device_reviews": "category",
    "goemotions": "emotion",
}
"""Sets that no part of the embedded generator was trained or tuned on."""

TOPICS_AND_INTENTS = (
    *("clinc150", "banking77", "dbpedia14", "dbpedia70", "news_topics41", "newsgroups20"),
    "tech_questions20",
)
NEAR = 0.6
_LIKE = 0.8
FIRST_NAMES = 3

_TEXTS = 60
_CONTRAST_CLASSES = 4
_CONTRAST_TEXTS = 5
_MOST_CHARACTERS = 300
_GOAL = ">= 0.6"
_TITLE = """# Naming unseen classes

For each class of a labelled set (60 of its training texts, most central first, with contrast from
the four nearest classes): is one of a proposer's first three names right or near, that is, is the
cosine of its bundled sentence embedding to the class' name at least 0.6? The null gives every class
the names of another class of the set. Intervals: bootstrap over classes. None of these sets took
part in training the embedded generator or in choosing its settings; those of the keyphrase
proposer, whose shortlist `embedded` ranks too, were chosen on clinc150 and banking77. "Own words"
leaves `embedded` nothing but what it writes itself. "New" counts only classes whose name is like
none (cosine below 0.8) of the groups, lists and labelled classes that the generator was trained on;
WordNet's words, which are nearly all words, are not counted as names there. Written by
`python -m benchmarks.run --only naming`.

| data | classes | proposer | right or near | 95% interval | null | mean best cosine | new | right |
|---|---:|---|---:|---|---:|---:|---:|---:|
"""


@dataclass(frozen=True, eq=False)
class NamedGroup:
    """A class as a proposer sees it, and its name."""

    name: str
    group: GroupTexts


@dataclass(frozen=True, eq=False)
class NamingScore:
    """For each class the best cosine of its own and of another's first names (`n_classes`)."""

    own: DoubleArray
    other: DoubleArray


def measure(workspace: Path, corpus: str) -> list[Measurement]:
    """Name the classes of `corpus` by both proposers; also renews its rows of `naming.md`."""
    from descriptors.embedded import EmbeddedProposer, EmbeddedSettings
    from descriptors.embedded_generator import EmbeddedGenerator
    from descriptors.keyphrase import KeyphraseProposer
    from eval.intervals import bootstrap_interval
    from indexer.encoder import SentenceEncoder

    encoder = SentenceEncoder.load("bundled", "cpu")
    generator = EmbeddedGenerator.load()
    groups = class_groups(class_texts(corpus, FACETS[corpus]), encoder)
    new = _unlike_trained([each.name for each in groups], encoder)
    proposers: dict[str, Proposer] = {
        "embedded": EmbeddedProposer(encoder, generator),
        "embedded, own words": EmbeddedProposer(encoder, generator, EmbeddedSettings(n_copied=0)),
        "keyphrase": KeyphraseProposer(encoder),
    }
    measured, lines = [], []
    for shown, proposer in proposers.items():
        score = name_all(proposer, groups, encoder)
        near = (score.own >= NEAR).astype(np.float64)
        null = float(np.mean(score.other >= NEAR))
        interval = bootstrap_interval(near, seed=0)
        lines.append(
            f"| {corpus} | {len(groups)} | {shown} | {near.mean():.2f} | "
            f"{f'{interval.low:.2f} to {interval.high:.2f}' if interval else ''} | {null:.2f} | "
            f"{score.own.mean():.2f} | "
            f"{new.sum()} | {f'{near[new].mean():.2f}' if new.any() else ''} |"
        )
        goal = _GOAL if corpus in TOPICS_AND_INTENTS and shown == "embedded" else None
        name = f"naming.{corpus}.{shown.replace(', ', '.').replace(' ', '_')}"
        measured.append(Measurement.of(name, float(near.mean()), "share", goal=goal))
    _renew_page(corpus, lines)
    return measured


def _unlike_trained(names: Sequence[str], encoder: PhraseEncoder) -> BoolArray:
    """Which names are like none that the generator was trained to write (`n_names`)."""
    likeness = encoder.encode(names) @ encoder.encode(_trained_names()).T
    unlike: BoolArray = likeness.max(axis=1) < _LIKE
    return unlike


@cache
def _trained_names() -> tuple[str, ...]:
    from training.sources import concept_lists, labelled, own_groups

    groups = [*own_groups(), *concept_lists(), *labelled()]
    return tuple(sorted({name for each in groups if not each.development for name in each.names}))


def class_texts(corpus: str, facet: str) -> dict[str, list[str]]:
    """The first training texts of each class.

    Raises:
        FileNotFoundError: the development data is not beside the checkout.
    """
    source = shared_corpus(corpus)
    if source is None:
        raise FileNotFoundError(f"{corpus} is not in ../shared/data")
    texts: dict[str, list[str]] = defaultdict(list)
    with gzip.open(source, "rt", encoding="utf-8") as handle:
        for line in handle:
            row = json.loads(line)
            for label in row["labels"]:
                name, _, value = label.partition(":")
                if row["split"] == "train" and name == facet and len(texts[value]) < _TEXTS:
                    texts[value].append(row["text"][:_MOST_CHARACTERS])
    return {value: own for value, own in sorted(texts.items()) if own}


def class_groups(texts: dict[str, list[str]], encoder: PhraseEncoder) -> list[NamedGroup]:
    """Classes as groups: most central texts first, contrast from the nearest classes."""
    vectors = {value: encoder.encode(own) for value, own in texts.items()}
    means = np.stack([_unit(own.mean(axis=0)) for own in vectors.values()])
    ordered = {
        value: [texts[value][row] for row in np.argsort(-(vectors[value] @ mean), kind="stable")]
        for value, mean in zip(texts, means, strict=True)
    }
    likeness = means @ means.T
    np.fill_diagonal(likeness, -np.inf)
    values = list(texts)
    groups = []
    for row, value in enumerate(values):
        nearest = np.argsort(-likeness[row], kind="stable")[
            : min(_CONTRAST_CLASSES, len(values) - 1)
        ]
        contrast = [text for other in nearest for text in ordered[values[other]][:_CONTRAST_TEXTS]]
        group = Group(id=f"class/{row}", source="user", rows=())
        groups.append(NamedGroup(value, GroupTexts(group, tuple(ordered[value]), tuple(contrast))))
    return groups


def name_all(
    proposer: Proposer, groups: Sequence[NamedGroup], encoder: PhraseEncoder
) -> NamingScore:
    """How near the first names of each class come to its name and to that of the next class."""
    targets = encoder.encode([each.name for each in groups])
    shifted = np.roll(targets, 1, axis=0)
    own, other = [], []
    batches = proposer.propose([each.group for each in groups])
    for batch, target, wrong in zip(batches, targets, shifted, strict=True):
        names = [proposal.text for proposal in batch.proposals[:FIRST_NAMES]]
        # A class without a name is a miss, not a class less.
        vectors = encoder.encode(names) if names else np.zeros((1, len(target)), np.float32)
        own.append(float((vectors @ target).max()))
        other.append(float((vectors @ wrong).max()))
    return NamingScore(np.array(own), np.array(other))


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / np.linalg.norm(vector)
    return unit


def _renew_page(corpus: str, lines: Sequence[str]) -> None:
    """Replace the rows of `corpus`; the others stay, in the order of `FACETS`."""
    rows = {corpus: list(lines)}
    if PAGE.exists():
        for line in PAGE.read_text(encoding="utf-8").splitlines():
            name = line.removeprefix("| ").split(" |")[0]
            if name in FACETS and name != corpus:
                rows.setdefault(name, []).append(line)
    body = "\n".join(line for name in FACETS for line in rows.get(name, []))
    with atomic_path(PAGE) as partial:
        partial.write_text(f"{_TITLE}{body}\n", encoding="utf-8")
