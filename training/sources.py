"""The texts the embedded generator learns from, read from the development data and our own groups.

Only sets whose licence allows it are read here (the model card lists them); data sets that are kept
for its tests are not.
"""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descriptors.proposer import phrase_problem

SHARED = Path(__file__).parents[2] / "shared" / "data"
OWN_GROUPS = Path(__file__).with_name("groups")
LABELLED = ("review_aspects", "bold_wiki", "sib200_topics", "snips", "amzn_food", "sms_spam")
PLAIN = ("wiki_sentences", "ewt_pos", "ner_wnut17")
DEVELOPMENT_SHARE = 8
"""One of so many own groups, aspects and Wikipedia groups is kept for choosing settings."""

DEVELOPMENT_SETS = ("sib200_topics", "snips")
"""Labelled sets that only choose settings."""

_NAMES_LEFT_OUT = {"size asus", "eyesight issues", "free", "neutral", "wikipedia"}
_FACETS_LEFT_OUT = {"stars", "direction"}
_VAGUE_LEXFILES = {"noun.time", "noun.quantity", "noun.Tops", "noun.relation"}
_MOST_TEXT_CHARACTERS = 300
_MOST_NAME_WORDS = 4


@dataclass(frozen=True)
class NamedTexts:
    """Texts that share a name; `origin` tells the kind of source."""

    origin: str
    names: tuple[str, ...]
    texts: tuple[str, ...]
    development: bool = False


def rows(name: str) -> Iterator[dict[str, Any]]:
    """The rows of a development data set."""
    with gzip.open(SHARED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as handle:
        for line in handle:
            yield json.loads(line)


def text_of(row: dict[str, Any]) -> str:
    """The text of a row, of token sets too, at a sentence's length."""
    text = row.get("text") or " ".join(row.get("tokens", ()))
    return text[:_MOST_TEXT_CHARACTERS]


def synsets() -> list[dict[str, Any]]:
    """All WordNet rows of the training split."""
    return [
        row
        for name in ("wordnet_nouns", "wordnet_other")
        for row in rows(name)
        if row["split"] == "train"
    ]


def synset_texts(row: dict[str, Any]) -> list[str]:
    """The definition and examples of a synset."""
    return [row["definition"], *row.get("examples", ())]


def naming_nouns(table: list[dict[str, Any]]) -> frozenset[str]:
    """Single nouns that may name a group: no adjective or adverb too, no time and no quantity."""
    nouns: set[str] = set()
    others: set[str] = set()
    for row in table:
        words = {name.lower() for name in (row["lemma"], *row.get("synonyms", ()))}
        names_things = row["pos"] == "n" and row["lexfile"] not in _VAGUE_LEXFILES
        if names_things:
            nouns |= words
        elif row["pos"] != "v":
            others |= words
    return frozenset(word for word in nouns - others if " " not in word)


def lemmas(row: dict[str, Any]) -> tuple[str, ...]:
    """A synset's names, the commonest first, without those longer than four words."""
    names = dict.fromkeys([row["lemma"], *row.get("synonyms", ())])
    return tuple(name.lower() for name in names if len(name.split()) <= _MOST_NAME_WORDS)


def hypernym_groups(table: list[dict[str, Any]]) -> Iterator[NamedTexts]:
    """For each name with two or more hyponyms: what they mean, and what they are called."""
    below: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in table:
        for parent in row.get("hypernyms", ()):
            if len(parent.split()) <= _MOST_NAME_WORDS:
                below[parent.lower()].append(row)
    for parent, children in sorted(below.items()):
        if len(children) >= 2:
            texts = [text for child in children[:40] for text in synset_texts(child)[:2]]
            yield NamedTexts("hypernym", (parent,), tuple(texts))
            lemmas_below = tuple(child["lemma"] for child in children[:40])
            yield NamedTexts("hypernym_words", (parent,), lemmas_below)


def concept_lists() -> Iterator[NamedTexts]:
    """Lists of things under the name of the list."""
    for row in rows("concept_lists"):
        if row["split"] == "train":
            yield NamedTexts("list", (row["concept"].lower(),), tuple(map(str, row["items"])))


def labelled() -> Iterator[NamedTexts]:
    """The classes of labelled sets with their texts; some only for choosing settings."""
    for name in LABELLED:
        groups: dict[str, list[str]] = defaultdict(list)
        for row in rows(name):
            for label in row["labels"]:
                facet, _, value = label.partition(":")
                if facet not in _FACETS_LEFT_OUT and value not in _NAMES_LEFT_OUT:
                    groups[value].append(text_of(row))
        for place, (value, texts) in enumerate(sorted(groups.items())):
            kept_apart = name in DEVELOPMENT_SETS or place % DEVELOPMENT_SHARE == 3
            yield NamedTexts(name, (value.lower().replace("/", " and "),), tuple(texts), kept_apart)


def own_groups() -> Iterator[NamedTexts]:
    """The groups written for this purpose, with those of their names that may be descriptors."""
    for path in sorted(OWN_GROUPS.glob("*.jsonl")):
        for place, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            row = json.loads(line)
            yield NamedTexts(
                f"own:{row['kind']}",
                tuple(name for name in row["names"] if phrase_problem(name) is None),
                tuple(row["sentences"]),
                place % DEVELOPMENT_SHARE == 3,
            )


def plain_texts() -> list[str]:
    """Sentences without a name of their own: they serve as noise, contrast and phrase groups."""
    found = [text_of(row) for name in PLAIN for row in rows(name)]
    return [text for text in found if len(text.split()) >= 4]
