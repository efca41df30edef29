"""What a Ray worker process does: load once what all portions need, then answer them one by one."""

from __future__ import annotations

import os
import platform
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from indexer.engine import Resource
from indexer.errors import InputError

KEPT = 2
"""Resources that a process keeps loaded, such as an encoder and a subject model."""

_DISTRIBUTIONS = (
    "neuroscribe",
    "numpy",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
)
"""What the bytes of an answer depend on."""

_loaded: OrderedDict[tuple[str, int], Any] = OrderedDict()


@dataclass(frozen=True, slots=True)
class Shared:
    """What all portions of one `map` need."""

    work: Callable[[Any, Any], Any]
    resource: Resource[Any]
    threads: int
    versions: dict[str, str]


def answer(shared: Shared, portion: Any) -> Any:
    """Work on one portion.

    Raises:
        InputError: this node has other versions than the machine that asks.
        Exception: what the work or its resource raises.
    """
    return shared.work(_load(shared), portion)


def nothing() -> None:
    """Only ask for a place to run."""


def versions() -> dict[str, str]:
    """Those of the installed packages that compute; builds for CPU and for GPU count as one."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _load(shared: Shared) -> Any:
    """What the resource loads; least recently used ones give way *before* the new one comes."""
    # Thread pools are sized when a library loads: with other threads, load again.
    key = (shared.resource.key, shared.threads)
    if key not in _loaded:
        _check_versions(shared.versions)
        while len(_loaded) >= KEPT:
            _loaded.popitem(last=False)
        _use_threads(shared.threads)
        _loaded[key] = shared.resource.load()
        _use_threads(shared.threads)
    _loaded.move_to_end(key)
    return _loaded[key]


def _check_versions(expected: dict[str, str]) -> None:
    found = versions()
    other = [name for name in expected if found[name] != expected[name]]
    if other:
        each = "; ".join(f"{name} {found[name]}, expected {expected[name]}" for name in other)
        raise InputError(
            f"Ray node {platform.node()!r} has other versions than the machine that asks: found "
            f"{each}. Install the same on both: vectors of two versions do not mix."
        )


def _use_threads(threads: int) -> None:
    """Set the threads of this process, whatever Ray or the node's environment has set."""
    import threadpoolctl  # type: ignore[import-untyped]

    # For libraries that are not loaded yet, and those that are.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    threadpoolctl.threadpool_limits(threads)
    # PyTorch's MKL is linked into it, where threadpoolctl does not see it.
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(threads)
