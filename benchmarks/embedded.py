"""How fast the embedded generator names groups, and how long a catalog of 500 descriptors takes."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from benchmarks.corpora import many_texts, sentences
from benchmarks.processes import neuroscribe, watch
from benchmarks.records import Measurement

_GROUPS = 256
_GROUP_TEXTS = 40
_CONTRAST_TEXTS = 20
_TRIALS = 3


def measure(workspace: Path) -> list[Measurement]:
    """Groups a second of the proposer, as a run asks it, and seconds of a whole catalog."""
    from descriptors.catalog import kept, read_descriptors

    rate = _groups_per_second(workspace)
    out = workspace / "embedded-catalog"
    watched = watch(
        neuroscribe(
            *("catalog", "build", "--corpus", str(many_texts(workspace)), "--limit", "23000"),
            *("--proposer", "embedded", "--groups", "embeddings", "--out", str(out)),
        )
    )
    size = len(kept(read_descriptors(out / "descriptors.parquet")))
    shutil.rmtree(out)
    return [
        Measurement.of("embedded.groups", rate, "groups/s", goal=">= 20"),
        Measurement.of("embedded.catalog_seconds", watched.seconds, "s", goal="<= 60"),
        Measurement.of("embedded.catalog_descriptors", float(size), "descriptors"),
    ]


def _groups_per_second(workspace: Path) -> float:
    """The best of a few trials on groups of real sentences, of which a run has the vectors."""
    from descriptors.embedded import EmbeddedProposer
    from descriptors.embedded_generator import EmbeddedGenerator
    from descriptors.proposer import GroupTexts
    from descriptors.records import Group
    from indexer.encoder import SentenceEncoder
    from indexer.remembering import RememberingEncoder

    step = _GROUP_TEXTS + _CONTRAST_TEXTS
    texts = sentences(workspace, _GROUPS * step)
    groups = [
        GroupTexts(
            Group(id=str(start), source="user", rows=()),
            tuple(texts[start : start + _GROUP_TEXTS]),
            tuple(texts[start + _GROUP_TEXTS : start + step]),
        )
        for start in range(0, len(texts), step)
    ]
    encoder, generator = SentenceEncoder.load("bundled", "cpu"), EmbeddedGenerator.load()
    vectors = encoder.encode(texts)
    rates = []
    for _ in range(_TRIALS):
        # A fresh one each time: it would remember the phrases of the trial before.
        known = RememberingEncoder(encoder)
        known.remember(texts, vectors)
        proposer = EmbeddedProposer(known, generator)
        began = time.perf_counter()
        named = sum(1 for _ in proposer.propose(groups))
        rates.append(named / (time.perf_counter() - began))
    return max(rates)
