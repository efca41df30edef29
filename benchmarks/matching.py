"""How long 9,216 neurons take to be matched against 500 descriptors on 20,000 sentences.

The descriptors are 500 clusters of the sentence embeddings. The rival is one call of scikit-learn's
`roc_auc_score` for every pair and split, timed on a few pairs and scaled to all of them.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.corpora import sentences
from benchmarks.extraction import SENTENCES, ensure_store
from benchmarks.processes import watch
from benchmarks.records import Measurement

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from neurons.split_rows import SplitRows
    from neurons.store import ActivationStore

_DESCRIPTORS = 500
_SLICE_PAIRS = 300
_SEED = 0
_RESULT = "matching.json"
_GOAL = "<= 20"


def measure(workspace: Path) -> list[Measurement]:
    """Seconds of matching in a process of its own, and its ratio to a loop over pairs."""
    ensure_store(workspace)
    watch([sys.executable, "-m", "benchmarks.matching", str(workspace)])
    found = json.loads((workspace / _RESULT).read_text(encoding="utf-8"))
    return [
        Measurement.of(
            "matching.ffn",
            found["seconds"],
            "s",
            goal=_GOAL,
            against=f"roc_auc_score of every pair, scaled from {_SLICE_PAIRS} pairs",
            reference=found["loop_seconds"],
        ),
        Measurement.of(
            "matching.activations_read",
            found["bytes"] / found["seconds"] / 1e9,
            "GB/s",
            against="copying as many bytes in memory",
            reference=found["bytes"] / found["copy_seconds"] / 1e9,
        ),
        Measurement.of(
            "matching.times_the_loop", found["loop_seconds"] / found["seconds"], "", goal=">= 200"
        ),
    ]


def _work(workspace: Path) -> None:
    from neurons.matching import MatchingSettings, match
    from neurons.split_rows import Activations
    from neurons.store import ActivationStore

    store = ActivationStore.open(ensure_store(workspace))
    membership = _cluster_membership(sentences(workspace, SENTENCES))
    rows = _split_rows(store.n_sentences)
    activations = Activations.of_store(store)
    began = time.perf_counter()
    match(activations, membership, rows, MatchingSettings(), _SEED)
    seconds = time.perf_counter() - began
    pairs = store.n_neurons * membership.shape[0]
    loop_seconds = pairs * _seconds_per_pair(store, membership, rows)
    result = {
        "seconds": seconds,
        "loop_seconds": loop_seconds,
        "bytes": store.n_sentences * store.n_neurons * 2,
        "copy_seconds": _copy_seconds(store),
    }
    (workspace / _RESULT).write_text(json.dumps(result), encoding="utf-8")


def _copy_seconds(store: ActivationStore) -> float:
    """Seconds to copy all activations from memory to memory, once they have been read."""
    import numpy as np

    arrays = [np.array(store.array(place)) for place in store.layer_sites]
    copies = [np.empty_like(array) for array in arrays]
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        for array, copy in zip(arrays, copies, strict=True):
            np.copyto(copy, array)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _cluster_membership(texts: list[str]) -> csr_matrix:
    """Sentences of each cluster (`n_descriptors, n_sentences`)."""
    import numpy as np
    from scipy.sparse import csr_matrix

    from indexer.clustering import spherical_kmeans
    from indexer.encoder import SentenceEncoder

    vectors = SentenceEncoder.load("bundled", "cpu").encode(texts)
    clusters = spherical_kmeans(vectors, _DESCRIPTORS, _SEED).assignment
    members = (np.ones(len(texts)), (clusters, np.arange(len(texts))))
    return csr_matrix(members, shape=(_DESCRIPTORS, len(texts)))


def _split_rows(n_sentences: int) -> SplitRows:
    import numpy as np

    from neurons.split_rows import SplitRows

    order = np.random.default_rng(_SEED).permutation(n_sentences)
    limits = [n_sentences * 50 // 100, n_sentences * 65 // 100]
    discover, validation, test = (np.sort(part) for part in np.split(order, limits))
    return SplitRows(discover, validation, test, documents=np.arange(n_sentences))


def _seconds_per_pair(store: ActivationStore, membership: csr_matrix, rows: SplitRows) -> float:
    """Seconds of scikit-learn for one pair over the three splits.

    Raises:
        ValueError: the matcher's AUROC is another one, so that comparing times means nothing.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score

    from neurons.auroc import auroc, set_sizes

    generator = np.random.default_rng(_SEED)
    array = store.array(store.layer_sites[0])
    units = generator.integers(array.shape[1], size=_SLICE_PAIRS)
    splits = (rows.discover, rows.validation, rows.test)
    judgeable = np.flatnonzero(
        np.min([set_sizes(membership[:, own]) for own in splits], axis=0) > 0
    )
    sets = generator.choice(judgeable, _SLICE_PAIRS)
    seconds = 0.0
    for own in splits:
        values = np.asarray(array[own][:, units])
        members = membership[sets][:, own]
        expected = np.diagonal(auroc(values, members))
        scores, labels = values.astype(np.float32).T, members.toarray() > 0
        began = time.perf_counter()
        found = [roc_auc_score(label, score) for label, score in zip(labels, scores, strict=True)]
        seconds += time.perf_counter() - began
        if not np.allclose(found, expected, rtol=0.0, atol=1e-9):
            raise ValueError(f"AUROC differs by {np.max(np.abs(found - expected))}")
    return seconds / _SLICE_PAIRS


if __name__ == "__main__":
    _work(Path(sys.argv[1]))
