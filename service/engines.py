"""The engine a command was told to use, open for as long as the command runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from indexer.engine import Engine, LocalEngine
from indexer.errors import InputError

LOCAL = "local"


@contextmanager
def opened_engine(written: str, device: str) -> Iterator[Engine]:
    """Yield the engine that `local`, `ray`, `ray:auto` or `ray://HOST:PORT` names.

    On a cluster a task books one core, and one GPU if this machine computes on one.

    Raises:
        InputError: there is no such engine, Ray is missing, or the cluster has no room.
        BackendError: no cluster answers.
    """
    if written == LOCAL:
        yield LocalEngine()
        return
    if written.split(":", 1)[0] != "ray":
        raise InputError(
            f"--engine {written}: expected local, ray (this machine, or the cluster it belongs to) "
            "or ray://HOST:PORT"
        )
    from indexer.ray_engine import RayEngine
    from neurons.subject import choose_device

    gpus = 1.0 if choose_device(device).type == "cuda" else 0.0
    with RayEngine.connect(written, gpus_per_task=gpus) as engine:
        yield engine
