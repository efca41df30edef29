"""Splits of a corpus into `discover`, `validation` and `test`, drawn by document."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from descriptors.records import Split
from indexer.arrays import IntArray
from indexer.errors import InputError
from indexer.records import Record

SPLIT_ORDER = (Split.DISCOVER, Split.VALIDATION, Split.TEST)
"""The splits in the order of their codes 0, 1, 2."""

MIN_SPLIT_SENTENCES = 10
"""Fewer sentences in a split than this support no figure at all."""

_SUM_TOLERANCE = 1e-6


class SplitFractions(Record):
    """Shares of the sentences that the splits are to get; above 0, together 1."""

    discover: float = Field(default=0.50, gt=0, lt=1)
    validation: float = Field(default=0.15, gt=0, lt=1)
    test: float = Field(default=0.35, gt=0, lt=1)

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.discover + self.validation + self.test
        if abs(total - 1.0) > _SUM_TOLERANCE:
            raise ValueError(f"split fractions sum to {total:g}; expected 1, such as 0.5/0.15/0.35")
        return self

    def __str__(self) -> str:
        return "/".join(f"{100 * share:g}" for share in (self.discover, self.validation, self.test))

    @classmethod
    def parse(cls, text: str) -> SplitFractions:
        """Read percentages such as `50/15/35`, or fractions such as `0.5/0.15/0.35`.

        Raises:
            InputError: `text` is not three positive numbers that sum to 100 or to 1.
        """
        try:
            shares = [float(part) for part in text.split("/")]
        except ValueError:
            shares = []
        total = sum(shares)
        usable = len(shares) == 3 and all(math.isfinite(s) and s > 0 for s in shares)
        if not usable or not any(
            abs(total - whole) <= _SUM_TOLERANCE * whole for whole in (1, 100)
        ):
            raise InputError(
                f"split {text!r} is not usable; expected discover/validation/test as three "
                "positive numbers that sum to 100 (or to 1), for example 50/15/35"
            )
        discover, validation, test = (share / total for share in shares)
        return cls(discover=discover, validation=validation, test=test)


def split_by_document(
    documents: Sequence[str], fractions: SplitFractions, seed: int
) -> NDArray[np.int8]:
    """Codes into `SPLIT_ORDER` for each sentence (`n_sentences`) from its document's name.

    Documents are put in the order of sha256(seed, name) and cut where their sentences reach the
    fractions, so the order of the corpus plays no part and no document is taken apart.

    Raises:
        InputError: a split would get no document or under `MIN_SPLIT_SENTENCES` sentences.
    """
    names, rows = np.unique(np.asarray(documents, dtype=object), return_inverse=True)
    counts = np.bincount(rows.reshape(-1), minlength=len(names)).astype(np.int64)
    codes: NDArray[np.int8] = split_documents(names.tolist(), counts, fractions, seed)[rows]
    return codes


def split_documents(
    names: Sequence[str], sentence_counts: IntArray, fractions: SplitFractions, seed: int
) -> NDArray[np.int8]:
    """Codes into `SPLIT_ORDER` for each document (`n_documents`); see `split_by_document`.

    Raises:
        InputError: a split would get no document or under `MIN_SPLIT_SENTENCES` sentences.
        ValueError: names and sentence counts differ in number.
    """
    if len(names) != len(sentence_counts):
        raise ValueError(f"{len(names)} documents but {len(sentence_counts)} sentence counts")
    if len(names) < len(SPLIT_ORDER):
        raise _unusable(sentence_counts, fractions, f"at least {len(SPLIT_ORDER)} documents")
    order = np.array(
        sorted(range(len(names)), key=lambda document: (_rank(names[document], seed), document))
    )
    ordered_counts = sentence_counts[order]
    # A document lies where its middle sentence lies, so that long ones spill over evenly.
    middles = np.cumsum(ordered_counts) - ordered_counts / 2
    total = float(sentence_counts.sum())
    cuts = np.array([fractions.discover, fractions.discover + fractions.validation]) * total
    first, second = (int(cut) for cut in np.searchsorted(middles, cuts))
    first = min(max(first, 1), len(names) - 2)
    second = min(max(second, first + 1), len(names) - 1)
    codes = np.empty(len(names), dtype=np.int8)
    codes[order[:first]], codes[order[first:second]], codes[order[second:]] = 0, 1, 2
    split_counts = np.bincount(codes, weights=sentence_counts, minlength=len(SPLIT_ORDER))
    if split_counts.min() < MIN_SPLIT_SENTENCES:
        raise _unusable(
            sentence_counts, fractions, f"at least {MIN_SPLIT_SENTENCES} sentences in every split"
        )
    return codes


def _rank(document: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{document}".encode()).digest()


def _unusable(sentence_counts: IntArray, fractions: SplitFractions, expected: str) -> InputError:
    smallest = min(fractions.discover, fractions.validation, fractions.test)
    enough = math.ceil(1.5 * MIN_SPLIT_SENTENCES / smallest)
    return InputError(
        f"no usable split: found {len(sentence_counts)} documents with "
        f"{int(sentence_counts.sum())} sentences, the largest with "
        f"{int(sentence_counts.max(initial=0))}; {expected} are needed for a split of {fractions} "
        "(discover/validation/test by document). What works: some "
        f"{enough} sentences or more in many documents (a text without a document field is a "
        "document of its own), or more even fractions"
    )
