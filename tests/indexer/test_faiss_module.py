"""Which matrix kernels FAISS is loaded with, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from indexer.faiss_module import best_kernels

_LOADED = """
import json, os, sys
from threadpoolctl import threadpool_info
from indexer.faiss_module import faiss_module
assert "faiss" not in sys.modules
module = faiss_module()
assert module is sys.modules["faiss"] is faiss_module()
own = [
    each["architecture"]
    for each in threadpool_info()
    if each["internal_api"] == "openblas" and "faiss" in each["filepath"]
]
print(json.dumps({"kernels": own, "left": os.environ.get("OPENBLAS_CORETYPE")}))
"""


def loaded(**environment: str) -> dict[str, Any]:
    inherited = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    answer = subprocess.run(
        [sys.executable, "-c", _LOADED],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(answer.stdout)
    if not found["kernels"]:
        pytest.skip("this build of FAISS has no OpenBLAS")
    return found


def test_kernels_fit_the_processor_and_no_other_library_is_told() -> None:
    fitting = best_kernels()
    if fitting is None:
        pytest.skip("this processor has none of the instructions")
    assert loaded() == {"kernels": [fitting], "left": None}


@pytest.mark.skipif(best_kernels() is None, reason="this processor may not have AVX2")
def test_what_the_user_chooses_stands() -> None:
    found = loaded(OPENBLAS_CORETYPE="Haswell")
    assert found == {"kernels": ["Haswell"], "left": "Haswell"}
