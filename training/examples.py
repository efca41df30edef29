"""Training groups as positions in the text pool, and the examples drawn from them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from descriptors.embedded_model import DecoderShape, PrefixInput
from descriptors.salience import content_words, inverse_document_frequency, salient_words
from indexer.arrays import FloatArray, IntArray
from training import sources
from training.phrases import nearest_texts, sentences_by_phrase

SHARES = {
    "synset": 0.05,
    "hypernym": 0.13,
    "hypernym_words": 0.03,
    "list": 0.02,
    "labelled": 0.06,
    "own": 0.18,
    "phrase": 0.08,
    "near": 0.45,
}
"""How often each kind of group is drawn."""

_MOST_MEMBERS = 64
_CONTRAST = 40
_SEARCHED = 50_000
_NEAR_PHRASES = 70_000
_NEAR_SEARCHED = 150_000
_NEAR = 24
_NEAR_COSINE = 0.42
_NEAR_UNSAID = 0.5
_WORDLESS = 0.25
_CONTRASTLESS = 0.15
_NOISY = 0.35


@dataclass(frozen=True, eq=False)
class TrainingGroup:
    """Members and contrast as positions in the pool, and the names to learn."""

    kind: str
    names: tuple[str, ...]
    members: IntArray
    contrast: IntArray
    development: bool


def kind_of(origin: str) -> str:
    """The kind in `SHARES` that a source belongs to."""
    if origin.startswith("own:"):
        return "own"
    return origin if origin in SHARES else "labelled"


def build_groups(
    named: Sequence[sources.NamedTexts],
    nouns: frozenset[str],
    texts: Sequence[str],
    vectors: FloatArray,
    seed: int,
) -> list[TrainingGroup]:
    """All groups with their contrast: texts near the group's mean that are not in it."""
    generator = np.random.default_rng(seed)
    position = {text: place for place, text in enumerate(texts)}
    raw: list[tuple[str, tuple[str, ...], IntArray, bool]] = []
    for each in named:
        places = np.array(sorted({position[text] for text in each.texts}), dtype=np.int64)
        raw.append((kind_of(each.origin), each.names, places, each.development))
    plain = np.array([p for p, text in enumerate(texts) if len(text.split()) >= 4])
    by_phrase = sentences_by_phrase([texts[place] for place in plain], nouns)
    for phrase, held in by_phrase.items():
        raw.append(("phrase", (phrase,), plain[held], False))
    phrases = sorted({*by_phrase, *nouns, *(text for text in texts if 1 <= text.count(" ") <= 2)})
    raw += _near_groups(phrases, texts, vectors, plain, generator)
    searched = np.sort(generator.choice(plain, min(len(plain), _SEARCHED), False))
    near = _near_means(raw, vectors, searched)
    groups = []
    for place, (kind, names, members, development) in enumerate(raw):
        apart = near.get(place)
        if apart is None:
            # Any other text sets one definition apart; looking for near ones would take hours.
            apart = generator.choice(searched, _CONTRAST, False)
        apart = apart[~np.isin(apart, members)]
        if kind in ("phrase", "near"):
            apart = np.array([p for p in apart if names[0] not in texts[p].lower()], dtype=np.int64)
        if kind == "near":
            apart = apart[_NEAR // 2 :]
        contrast = apart if len(apart) <= _CONTRAST else generator.choice(apart, _CONTRAST, False)
        if len(members) > 4 * _MOST_MEMBERS:
            members = generator.choice(members, 4 * _MOST_MEMBERS, False)
        groups.append(TrainingGroup(kind, names, members, contrast, development))
    return groups


def _near_means(
    raw: Sequence[tuple[str, tuple[str, ...], IntArray, bool]],
    vectors: FloatArray,
    searched: IntArray,
) -> dict[int, IntArray]:
    """Texts near the mean of each group of several texts, by the group's place."""
    places = [place for place, each in enumerate(raw) if each[0] != "synset"]
    means = np.stack([np.asarray(vectors[raw[p][2]], np.float32).mean(axis=0) for p in places])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    _, nearest = nearest_texts(means, vectors[searched], 2 * _CONTRAST)
    return dict(zip(places, searched[nearest], strict=True))


def _near_groups(
    phrases: list[str],
    texts: Sequence[str],
    vectors: FloatArray,
    plain: IntArray,
    generator: np.random.Generator,
) -> list[tuple[str, tuple[str, ...], IntArray, bool]]:
    position = {text: place for place, text in enumerate(texts)}
    queries = [(phrase, position[phrase]) for phrase in phrases if phrase in position]
    chosen = generator.choice(len(queries), min(len(queries), _NEAR_PHRASES), False)
    queries = [queries[place] for place in chosen]
    searched = generator.choice(plain, min(len(plain), _NEAR_SEARCHED), False)
    cosines, nearest = nearest_texts(vectors[[p for _, p in queries]], vectors[searched], _NEAR)
    found: list[tuple[str, tuple[str, ...], IntArray, bool]] = []
    for (phrase, _), values, near in zip(queries, cosines, searched[nearest], strict=True):
        members = near[values >= _NEAR_COSINE]
        if generator.random() < _NEAR_UNSAID:
            # A name is often what none of its sentences says.
            unsaid = [place for place in members if phrase.lower() not in texts[place].lower()]
            members = np.array(unsaid, dtype=np.int64)
        if len(members) >= 3:
            found.append(("near", (phrase.lower(),), members, False))
    return found


class ExampleDrawer:
    """Draws examples: a few members of a group, a few noise texts, some contrast, one name."""

    def __init__(
        self,
        groups: Sequence[TrainingGroup],
        texts: Sequence[str],
        vectors: FloatArray,
        pieces: dict[str, tuple[int, ...]],
        shape: DecoderShape,
    ) -> None:
        self._vectors = vectors
        self._words = [content_words(text) for text in texts]
        self._rarity = inverse_document_frequency(self._words)
        self._pieces = pieces
        self._shape = shape
        self._by_kind: dict[str, list[TrainingGroup]] = defaultdict(list)
        for group in groups:
            if not group.development:
                self._by_kind[group.kind].append(group)
        self._kinds = [kind for kind in SHARES if self._by_kind[kind]]
        shares = np.array([SHARES[kind] for kind in self._kinds])
        self._shares = shares / shares.sum()

    @property
    def counts(self) -> Counter[str]:
        """How many groups there are of each kind."""
        return Counter({kind: len(self._by_kind[kind]) for kind in self._kinds})

    def draw(
        self, n_examples: int, generator: np.random.Generator
    ) -> list[tuple[PrefixInput, str]]:
        """Examples as prefix input and name."""
        kinds = generator.choice(len(self._kinds), n_examples, p=self._shares)
        return [self._one(self._by_kind[self._kinds[kind]], generator) for kind in kinds]

    def _one(
        self, groups: list[TrainingGroup], generator: np.random.Generator
    ) -> tuple[PrefixInput, str]:
        group = groups[generator.integers(len(groups))]
        n_members = min(len(group.members), int(2 ** generator.uniform(0, 5)))
        members = generator.choice(group.members, n_members, False)
        if n_members >= 4 and generator.random() < _NOISY and len(group.contrast):
            n_noise = int(generator.integers(1, max(2, n_members // 4 + 1)))
            members[-n_noise:] = generator.choice(group.contrast, n_noise)
        contrast = group.contrast
        if generator.random() < _CONTRASTLESS:
            contrast = contrast[:0]
        elif len(contrast) > 16:
            contrast = generator.choice(contrast, 16, False)
        first = min(2, len(group.names) - 1)
        # The best name is learned most often, its synonyms too.
        name = (
            group.names[0]
            if generator.random() < 0.6
            else group.names[generator.integers(first + 1)]
        )
        return self.prefix_input(members, contrast, generator.random() < _WORDLESS), name

    def prefix_input(self, members: IntArray, contrast: IntArray, wordless: bool) -> PrefixInput:
        """The decoder's input for given positions in the pool."""
        words = (
            []
            if wordless
            else salient_words(
                [self._words[place] for place in members],
                [self._words[place] for place in contrast],
                self._rarity,
                self._shape.n_word_pieces,
            )
        )
        vectors = np.asarray(self._vectors[members], np.float32)
        return PrefixInput(
            sentences=vectors,
            mean=vectors.mean(axis=0),
            contrast=np.asarray(self._vectors[contrast], np.float32),
            word_pieces=tuple(piece for word in words for piece in self._pieces_of(word)),
        )

    def _pieces_of(self, word: str) -> tuple[int, ...]:
        return self._pieces.get(word, ())
