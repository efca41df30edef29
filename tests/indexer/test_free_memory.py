from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from indexer.free_memory import release_free_memory


def anonymous_kilobytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells anonymous memory")
def test_what_is_free_goes_back_and_what_is_in_use_stays() -> None:
    # Blocks too small to be mapped one by one, with one in use at the end of each run of them.
    blocks = [np.ones(8_000) for _ in range(3_000)]
    kept = blocks[::100]
    before = anonymous_kilobytes()
    del blocks
    release_free_memory()
    assert anonymous_kilobytes() < before - 150_000
    assert all((block == 1.0).all() for block in kept)
