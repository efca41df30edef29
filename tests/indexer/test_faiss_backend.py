from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("order", ["torch first", "faiss first"])
def test_torch_and_faiss_share_a_process(order: str) -> None:
    script = """
import sys
import numpy as np
from indexer.encoder import SentenceEncoder
from indexer.index import IndexKind, VectorIndex
generator = np.random.default_rng(0)
rows = generator.normal(size=(4000, 384)).astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
if sys.argv[1] == "faiss first":
    VectorIndex.build(rows, IndexKind.INVERTED_LISTS).search(rows[:100], 5)
encoder = SentenceEncoder.load("bundled", "cpu")
for _ in range(3):
    vectors = encoder.encode([f"sentence number {n}" for n in range(70)])
    index = VectorIndex.build(np.vstack([rows, vectors]))
    found = index.search(vectors, 1).ids[:, 0].tolist()
    assert found == list(range(4000, 4070)), found
print("shared")
"""
    shown = subprocess.run(
        [sys.executable, "-c", script, order],
        capture_output=True,
        timeout=120,
        text=True,
        env={"PATH": "", "OMP_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )
    assert (shown.returncode, shown.stdout) == (0, "shared\n"), shown.stderr
