"""Names for the array types that cross module boundaries, and how float16 files begin."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def half_header(n_rows: int, n_columns: int) -> bytes:
    """The start of a .npy file of float16 rows, which follow it one after the other."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f2", "fortran_order": False, "shape": (n_rows, n_columns)}
    )
    return buffer.getvalue()
