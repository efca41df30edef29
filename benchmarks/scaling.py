"""How time grows with sentences, neurons and descriptors: exponents of fitted power laws.

An exponent of 1 is linear. Sizes are timed in turns, from the smallest to the largest and again, so
that a busy machine slows all of them; each size counts with its fastest turn.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpora import sentences
from benchmarks.processes import watch
from benchmarks.records import Measurement
from neurons.listed_texts import ListedTexts

if TYPE_CHECKING:
    from neurons.split_rows import Block

_RESULT = "scaling.json"
_TURNS = 3
_SENTENCES = (2_000, 4_000, 8_000, 16_000)
_NEURONS = (1_024, 2_048, 4_096, 8_192)
_DESCRIPTORS = (125, 250, 500, 1_000)
_MATCHED_SENTENCES = 8_000
_MATCHED_NEURONS = 1_024
_MATCHED_DESCRIPTORS = 250
_GROUP = 40


def measure(workspace: Path) -> list[Measurement]:
    """Exponents, measured in a process of its own."""
    watch([sys.executable, "-m", "benchmarks.scaling", str(workspace)])
    found = json.loads((workspace / _RESULT).read_text(encoding="utf-8"))
    return [
        Measurement.of(f"scaling.{name}", exponent, "exponent", goal="<= 1.1")
        for name, exponent in found.items()
    ]


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """Slope of a straight line through the logarithms."""
    import numpy as np

    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def fastest(work: Callable[[int], object], sizes: Sequence[int]) -> list[float]:
    """Seconds of each size."""
    seconds = [float("inf")] * len(sizes)
    work(sizes[0])  # The first call warms up.
    for _ in range(_TURNS):
        for place, size in enumerate(sizes):
            began = time.perf_counter()
            work(size)
            seconds[place] = min(seconds[place], time.perf_counter() - began)
    return seconds


def match_of(n_sentences: int, n_neurons: int, n_descriptors: int) -> None:
    """Match activations without structure, which takes as long as any."""
    import numpy as np
    from scipy.sparse import csr_matrix

    from neurons.matching import MatchingSettings, match
    from neurons.split_rows import Activations, SplitRows

    generator = np.random.default_rng(0)
    pool = generator.normal(size=(n_sentences, 1_024)).astype(np.float16)

    def blocks(n_units: int) -> Iterator[Block]:
        for first in range(0, n_neurons, n_units):
            units = np.arange(first, min(first + n_units, n_neurons)) % pool.shape[1]
            yield pool[:, units]

    members = generator.integers(n_sentences, size=(n_descriptors, _GROUP))
    owners = np.repeat(np.arange(n_descriptors), _GROUP)
    membership = csr_matrix(
        (np.ones(members.size), (owners, members.ravel())), shape=(n_descriptors, n_sentences)
    )
    parts = np.split(
        generator.permutation(n_sentences), [n_sentences // 2, n_sentences * 65 // 100]
    )
    rows = SplitRows(*map(np.sort, parts), documents=np.arange(n_sentences))
    match(Activations(n_neurons, n_sentences, blocks), membership, rows, MatchingSettings(), 0)


def _work(workspace: Path) -> None:
    from neurons.extraction import extract
    from neurons.reading import ExtractionSettings
    from neurons.subject import SubjectModel

    texts = sentences(workspace, max(_SENTENCES))
    subject = SubjectModel.load("bundled", "cpu")

    def extracted(size: int) -> None:
        folder = workspace / "scaling"
        extract(subject, ListedTexts(texts[:size]), folder, ExtractionSettings(), key="benchmark")
        shutil.rmtree(folder)

    def by_sentences(size: int) -> None:
        match_of(size, _MATCHED_NEURONS, _MATCHED_DESCRIPTORS)

    def by_neurons(size: int) -> None:
        match_of(_MATCHED_SENTENCES, size, _MATCHED_DESCRIPTORS)

    def by_descriptors(size: int) -> None:
        match_of(_MATCHED_SENTENCES, _MATCHED_NEURONS, size)

    found = {
        "extraction_by_sentences": exponent(_SENTENCES, fastest(extracted, _SENTENCES)),
        "matching_by_sentences": exponent(_SENTENCES, fastest(by_sentences, _SENTENCES)),
        "matching_by_neurons": exponent(_NEURONS, fastest(by_neurons, _NEURONS)),
        "matching_by_descriptors": exponent(_DESCRIPTORS, fastest(by_descriptors, _DESCRIPTORS)),
    }
    (workspace / _RESULT).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
