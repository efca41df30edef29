"""How long 15,000 short sentences take to become activations of 9,216 FFN units.

Before a window of sentences is extracted, its batches go through the bare model, so that both are
timed next to each other.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpora import sentences
from benchmarks.processes import watch
from benchmarks.records import Measurement

if TYPE_CHECKING:
    from indexer.arrays import IntArray
    from neurons.subject import SubjectModel

SENTENCES = 15_000
STORE = "activations"

_RESULT = "extraction.json"
_GOAL = "<= 90"


def measure(workspace: Path) -> list[Measurement]:
    """Seconds of an extraction in a process of its own, and its ratio to the bare model."""
    ensure_store(workspace)
    found = json.loads((workspace / _RESULT).read_text(encoding="utf-8"))
    return [
        Measurement.of(
            "extraction.ffn",
            found["seconds"],
            "s",
            goal=_GOAL,
            against="bare forward pass of the same batches",
            reference=found["bare_seconds"],
        )
    ]


def ensure_store(workspace: Path) -> None:
    """Extract into `workspace` unless that was done before."""
    if not (workspace / _RESULT).exists():
        watch([sys.executable, "-m", "benchmarks.extraction", str(workspace)])


class PairedTexts:
    """Sentences that pass through the bare model whenever the extraction asks for a window."""

    def __init__(self, subject: SubjectModel, texts: Sequence[str], token_budget: int) -> None:
        self.bare_seconds = 0.0
        self.own_seconds = 0.0
        self._subject = subject
        self._texts = texts
        self._token_budget = token_budget

    def __len__(self) -> int:
        return len(self._texts)

    def texts_at(self, rows: IntArray) -> Sequence[str]:
        """The texts of `rows`; the time this takes is not the extraction's."""
        began = time.perf_counter()
        chosen = [self._texts[row] for row in rows]
        self.bare_seconds += bare_forward(self._subject, chosen, self._token_budget)
        self.own_seconds += time.perf_counter() - began
        return chosen


def bare_forward(subject: SubjectModel, texts: Sequence[str], token_budget: int) -> float:
    """Seconds the model alone takes for the batches in which `texts` would be extracted."""
    import numpy as np
    import torch

    from neurons.batching import batches, padded, tokenize

    tokenized = tokenize(subject, texts, subject.maximum_tokens)
    lengths = np.asarray([text.n_tokens for text in tokenized], dtype=np.int64)
    seconds = 0.0
    with torch.inference_mode():
        for positions in batches(lengths, token_budget):
            batch = padded(subject, [tokenized[position] for position in positions])
            began = time.perf_counter()
            subject.model(input_ids=batch.token_ids, attention_mask=batch.attention_mask)
            seconds += time.perf_counter() - began
    return seconds


def _work(workspace: Path) -> None:
    from neurons.extraction import ExtractionSettings, extract
    from neurons.records import Site
    from neurons.subject import SubjectModel

    texts = sentences(workspace, SENTENCES)
    subject = SubjectModel.load("bundled", "cpu")
    settings = ExtractionSettings(sites=(Site.FFN,))
    bare_forward(subject, texts[:200], settings.token_budget)  # The first pass warms up torch.
    paired = PairedTexts(subject, texts, settings.token_budget)
    began = time.perf_counter()
    extract(subject, paired, workspace / STORE, settings, key="benchmark")
    seconds = time.perf_counter() - began - paired.own_seconds
    result = {"seconds": seconds, "bare_seconds": paired.bare_seconds}
    (workspace / _RESULT).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
