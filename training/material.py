"""Everything training reads, gathered once: named texts, embeddings, tokenizer, word embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from descriptors.salience import content_words
from descriptors.word_embeddings import bundled_tokenizer, bundled_word_embeddings
from indexer.arrays import FloatArray
from training import sources
from training.pool import TextPool

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Material:
    """Named texts, nouns, the pool of all texts with vectors, and the encoder's words."""

    named: tuple[sources.NamedTexts, ...]
    nouns: frozenset[str]
    texts: tuple[str, ...]
    vectors: FloatArray
    pieces: dict[str, tuple[int, ...]]
    tokenizer: PreTrainedTokenizerBase
    word_embeddings: Tensor


def gather(folder: Path) -> Material:
    """Read all sources and embed what is not embedded yet into `folder`."""
    table = sources.synsets()
    shared = [*sources.hypernym_groups(table), *sources.concept_lists(), *sources.labelled()]
    synsets = [
        sources.NamedTexts("synset", names, tuple(sources.synset_texts(row)))
        for row in table
        if (names := sources.lemmas(row))
    ]
    shared += synsets
    single = [row["lemma"] for row in table] + sources.plain_texts()
    texts = single + [text for each in shared for text in each.texts]
    texts += [text for row in table for text in sources.synset_texts(row)]
    pool = TextPool.embed(texts, folder)
    own = list(sources.own_groups())
    more = TextPool.embed([text for each in own for text in each.texts], folder)
    fresh = [row for row, text in enumerate(more.texts) if text not in pool.position]
    all_texts = (*pool.texts, *(more.texts[row] for row in fresh))
    tokenizer = bundled_tokenizer()
    words = sorted({word for text in all_texts for word in content_words(text)})
    ids = tokenizer(words, add_special_tokens=False)["input_ids"]
    return Material(
        named=(*shared, *own),
        nouns=sources.naming_nouns(table),
        texts=all_texts,
        vectors=np.concatenate([pool.vectors, more.vectors[fresh]]),
        pieces={word: tuple(piece[:3]) for word, piece in zip(words, ids, strict=True)},
        tokenizer=tokenizer,
        word_embeddings=bundled_word_embeddings(),
    )
