"""Peak memory of extracting and matching 200,000 sentences, in a process of its own.

Sentences repeat after some 48,000, which changes neither time nor memory. Resident memory counts
pages of memory-mapped files, which the kernel takes back when others need them; anonymous memory is
what the process itself holds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpora import sentences
from benchmarks.processes import watch
from benchmarks.records import Measurement

if TYPE_CHECKING:
    from indexer.arrays import IntArray

_SENTENCES = 200_000
_DISTINCT = 40_000
_DESCRIPTORS = 500
_GROUP = 400
_PHASE = "large-phase"


def measure(workspace: Path) -> list[Measurement]:
    """Peak memory, and seconds for the record."""
    sentences(workspace, _DISTINCT)
    phase = workspace / _PHASE
    watched = watch(
        [sys.executable, "-m", "benchmarks.large_corpus", str(workspace)],
        lambda: phase.read_text(encoding="utf-8") if phase.exists() else "loading",
    )
    return [
        Measurement.of("large_corpus.seconds", watched.seconds, "s"),
        Measurement.of("large_corpus.resident", watched.resident_bytes / 2**20, "MB"),
        Measurement.of(
            "large_corpus.anonymous", watched.anonymous_bytes / 2**20, "MB", goal="<= 1536"
        ),
        *(
            Measurement.of(
                f"large_corpus.anonymous_{peak.phase}", peak.anonymous_bytes / 2**20, "MB"
            )
            for peak in watched.phases
        ),
    ]


class RepeatedTexts:
    """Texts over and over."""

    def __init__(self, texts: list[str], length: int) -> None:
        self._texts = texts
        self._length = length

    def __len__(self) -> int:
        return self._length

    def texts_at(self, rows: IntArray) -> list[str]:
        """The texts of `rows`."""
        return [self._texts[row % len(self._texts)] for row in rows]


def _work(workspace: Path) -> None:
    import numpy as np
    from scipy.sparse import csr_matrix

    from descriptors.corpus import read_corpus
    from neurons.extraction import extract
    from neurons.matching import MatchingSettings, match
    from neurons.reading import ExtractionSettings
    from neurons.records import Site
    from neurons.split_rows import Activations, SplitRows
    from neurons.statistics import neuron_statistics
    from neurons.store import ActivationStore
    from neurons.subject import SubjectModel

    phase = workspace / _PHASE
    corpus = read_corpus(workspace / "sentences.parquet")
    texts = RepeatedTexts(list(corpus.texts_at(range(_DISTINCT))), _SENTENCES)
    subject = SubjectModel.load("bundled", "cpu")
    phase.write_text("extract", encoding="utf-8")
    folder = workspace / "large"
    extract(subject, texts, folder, ExtractionSettings(sites=(Site.FFN,)), key="benchmark")
    store = ActivationStore.open(folder)
    phase.write_text("statistics", encoding="utf-8")
    neuron_statistics(store)
    phase.write_text("match", encoding="utf-8")
    generator = np.random.default_rng(0)
    members = generator.integers(_SENTENCES, size=(_DESCRIPTORS, _GROUP))
    owners = np.repeat(np.arange(_DESCRIPTORS), _GROUP)
    membership = csr_matrix(
        (np.ones(members.size), (owners, members.ravel())), shape=(_DESCRIPTORS, _SENTENCES)
    )
    parts = np.split(generator.permutation(_SENTENCES), [_SENTENCES // 2, _SENTENCES * 65 // 100])
    rows = SplitRows(*map(np.sort, parts), documents=np.arange(_SENTENCES))
    match(Activations.of_store(store), membership, rows, MatchingSettings(), 0)


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
