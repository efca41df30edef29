"""Models are loaded one at a time in a process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOADING = threading.RLock()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold while a model is built or read from its files.

    transformers puts other functions in the place of some of torch's and its own meanwhile. Two
    threads at once would each put back what they found, and leave the process for good with models
    whose weights are neither tied nor drawn.
    """
    with _LOADING:
        yield
