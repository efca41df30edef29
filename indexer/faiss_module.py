"""FAISS, loaded with matrix kernels that fit the processor.

The wheel of faiss-cpu brings an OpenBLAS that does not know processors newer than itself and takes
its slowest kernels there, which makes searches and k-means several times as slow.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

_KERNELS = "OPENBLAS_CORETYPE"
_KERNELS_BY_FEATURES = (("SkylakeX", ("AVX512_SKX",)), ("Haswell", ("AVX2", "FMA3")))
"""What OpenBLAS calls its kernels, and what numpy calls the instructions they need."""


def faiss_module() -> Any:
    """FAISS. Where the user has chosen kernels by `OPENBLAS_CORETYPE`, that choice stands."""
    # Its type stubs leave out the search parameters and the callback writer.
    if "faiss" in sys.modules or _KERNELS in os.environ:
        return importlib.import_module("faiss")
    fitting = best_kernels()
    if fitting is None:
        return importlib.import_module("faiss")
    os.environ[_KERNELS] = fitting
    try:
        return importlib.import_module("faiss")
    finally:
        # Read once, when the library is loaded; other libraries choose for themselves.
        del os.environ[_KERNELS]


def best_kernels() -> str | None:
    """The fastest kernels whose instructions this processor has, None if it has those of none."""
    # FAISS asks numpy for them, too: nothing public tells them without asking the system.
    from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]
        __cpu_features__ as features,
    )

    for kernels, needed in _KERNELS_BY_FEATURES:
        if all(features.get(each, False) for each in needed):
            return kernels
    return None
