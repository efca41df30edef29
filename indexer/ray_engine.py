"""An engine that spreads portions over a Ray cluster: this machine, or any number of them.

Every node needs neuroscribe and the packages it computes with installed, in the versions of the
machine that asks; a worker process refuses to start with others. Models are loaded on the node: the
bundled one is a package, a folder must be there under the same path. On a cluster that this
process starts, workers also see its `sys.path`.

The answers are the bytes that the local engine gives with as many threads, if the processors are of
one kind: measured with the bundled encoder, 1 to 4 threads give the same vectors to the bit on an
AMD EPYC, but not on an Intel Xeon, and AVX2 and AVX-512 kernels do not. On a cluster of mixed
processors the last bits depend on where a portion ran.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, TypeVar

from indexer import ray_cluster
from indexer.engine import Resource
from indexer.errors import BackendError, InputError
from indexer.ray_worker import Shared, answer, nothing, versions

Loaded = TypeVar("Loaded")
Portion = TypeVar("Portion")
Answer = TypeVar("Answer")

AHEAD = 2
"""Portions in flight for each task that can run at once: one runs, one waits at its door."""

_POLL_S = 2.0
"""Seconds between looks at the nodes, which may come and go."""


class RayEngine:
    """Tasks on a Ray cluster, answered in the order of the portions.

    Portions of a worker process or a node that dies are computed again elsewhere. Not safe against
    the loss of the head node: Ray ends this process with it, and a re-run resumes.
    """

    in_process = False

    def __init__(
        self, *, cpus_per_task: int, gpus_per_task: float, threads: int, retries: int, wait_s: float
    ) -> None:
        self._cpus = cpus_per_task
        self._gpus = gpus_per_task
        self._threads = threads
        self._retries = retries
        self._wait_s = wait_s
        self._open = True

    @classmethod
    def connect(
        cls,
        address: str = "ray",
        *,
        cpus_per_task: int = 1,
        gpus_per_task: float = 0.0,
        threads: int | None = None,
        retries: int = 3,
        wait_s: float = 30.0,
    ) -> RayEngine:
        """Join a cluster, or start one on this machine; `close` leaves or ends it.

        Args:
            address: one of `ray_cluster.ADDRESSES`.
            cpus_per_task: cores that a task books; with more, fewer run at once.
            gpus_per_task: GPUs that a task books; parts are shared. A task that books none sees
                none.
            threads: that a task computes with; `cpus_per_task` by default.
            retries: how often a portion is computed again whose worker or node died.
            wait_s: seconds to wait for the cluster, and for a node that is large enough.

        Raises:
            InputError: Ray is missing, the address or a number is not one, or no node can hold a
                task.
            BackendError: no cluster answers.
        """
        threads = cpus_per_task if threads is None else threads
        _check_numbers(cpus_per_task=cpus_per_task, threads=threads, retries=retries)
        if not gpus_per_task >= 0:
            raise InputError(f"found gpus_per_task {gpus_per_task}, expected 0 or more")
        ray_cluster.enter(address, wait_s)
        engine = cls(
            cpus_per_task=cpus_per_task,
            gpus_per_task=gpus_per_task,
            threads=threads,
            retries=retries,
            wait_s=wait_s,
        )
        try:
            engine._check_room()
        except BaseException:
            engine.close()
            raise
        return engine

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster, and end it if this process started it and no other engine uses it."""
        if self._open:
            self._open = False
            ray_cluster.leave()

    def map(
        self,
        work: Callable[[Loaded, Portion], Answer],
        resource: Resource[Loaded],
        portions: Iterable[Portion],
    ) -> Iterator[Answer]:
        """Yield the answer for each portion, in their order.

        At most `AHEAD` portions per task that can run at once are taken and not answered yet. When
        the consumer stops, what is still in flight is cancelled: what waits never runs, and what
        runs is interrupted at its next step of Python, unless Ray loses the request (seen once, on
        a busy machine): then it ends by itself.

        Raises:
            BackendError: a portion's workers died too often, or the cluster is gone or too small.
            Exception: what `work` or the resource raised, as it was raised, at once.
        """
        self._check_open()
        ray = ray_cluster.ray_module()
        task = self._task(ray)
        shared = ray.put(Shared(work, resource, self._threads, versions()))
        remaining = iter(portions)
        pending: deque[Any] = deque()
        try:
            while True:
                room = max(1, AHEAD * self._slots()) - len(pending)
                for portion in islice(remaining, max(0, room)):
                    pending.append(task.remote(shared, portion))
                    del portion
                if not pending:
                    return
                found = self._answer(ray, pending[0])
                pending.popleft()
                yield found
                # Ours would be one more answer that the object store cannot drop.
                del found
                self._check_open()
        finally:
            self._cancel(ray, pending)

    def _task(self, ray: Any) -> Any:
        # Ray ends a worker after each task that books a GPU, and the model with it, unless told.
        return ray.remote(
            num_cpus=self._cpus,
            num_gpus=self._gpus,
            max_calls=0,
            max_retries=self._retries,
            retry_exceptions=False,
            scheduling_strategy="SPREAD",
        )(answer)

    def _answer(self, ray: Any, reference: Any) -> Any:
        """Wait for one answer, but not for a node that is not coming."""
        try:
            without_room_since: float | None = None
            while not ray.wait([reference], timeout=_POLL_S)[0]:
                if self._slots():
                    without_room_since = None
                    continue
                now = time.monotonic()
                without_room_since = without_room_since or now
                if now - without_room_since > self._wait_s:
                    raise BackendError(
                        f"no node of the Ray cluster has had {self._demand} for "
                        f"{self._wait_s:.0f} s; found {_listing(ray_cluster.nodes())}"
                    )
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            # Ray hides the exception in a class of its own, made of both.
            if not isinstance(error.cause, ray.exceptions.RayError):
                raise error.cause from error
            raise BackendError(_task_failure(error.cause)) from error
        except ray.exceptions.UnserializableException as error:
            raise BackendError(_task_failure(error)) from error
        except (ray.exceptions.RayError, ConnectionError) as error:
            raise BackendError(
                f"the Ray cluster gave no answer for a portion, tried up to {self._retries + 1} "
                f"times: {type(error).__name__}: {ray_cluster.brief(error)}. Too little memory for "
                "so many tasks is the usual cause; with more cpus_per_task fewer run at once."
            ) from error

    def _cancel(self, ray: Any, pending: deque[Any]) -> None:
        # After `close` nothing runs any more, and asking Ray would start a new cluster.
        if not pending or not self._open or not ray.is_initialized():
            return
        # What ended the loop may be that the cluster is gone, and that is what to tell.
        with contextlib.suppress(ray.exceptions.RayError, ConnectionError):
            # Ray 2.60 aborts this process if a task is cancelled in the microseconds in which its
            # answer comes in (Ray's PR 54798 mends a like case): those that are answered are left
            # alone, and those that wait for a place go first.
            for reference in reversed(pending):
                if not ray.wait([reference], timeout=0, fetch_local=False)[0]:
                    ray.cancel(reference)

    def _slots(self) -> int:
        """How many tasks the living nodes can hold at once."""
        return sum(self._fitting(resources) for resources in ray_cluster.nodes())

    def _fitting(self, resources: dict[str, float]) -> int:
        fitting = int(resources.get("CPU", 0) / self._cpus)
        if self._gpus:
            fitting = min(fitting, int(resources.get("GPU", 0) / self._gpus + 1e-6))
        return fitting

    def _check_room(self) -> None:
        """Ask for a place as a task does: a cluster that grows on demand sees nothing else."""
        if self._slots():
            return
        ray = ray_cluster.ray_module()
        probe = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus)(nothing).remote()
        if ray.wait([probe], timeout=self._wait_s)[0]:
            return
        ray.cancel(probe)
        raise InputError(
            f"no node of the Ray cluster has {self._demand}, which one task books; found "
            f"{_listing(ray_cluster.nodes())}. Ask for less, or add a node."
        )

    @property
    def _demand(self) -> str:
        return f"{self._cpus} CPUs" + (f" and {self._gpus:g} GPUs" if self._gpus else "")

    def _check_open(self) -> None:
        if not self._open:
            raise ValueError("this RayEngine is closed; connect a new one")


def _check_numbers(*, cpus_per_task: int, threads: int, retries: int) -> None:
    lowest = {"cpus_per_task": (cpus_per_task, 1), "threads": (threads, 1), "retries": (retries, 0)}
    for name, (value, least) in lowest.items():
        if value < least:
            raise InputError(f"found {name} {value}, expected {least} or more")


def _listing(found: list[dict[str, float]]) -> str:
    each = (
        f"{resources.get('CPU', 0):g} CPUs and {resources.get('GPU', 0):g} GPUs"
        for resources in found
    )
    return "; ".join(each) or "no node at all"


def _task_failure(error: Exception) -> str:
    return (
        f"a Ray task failed: {ray_cluster.brief(error)}. Every node needs neuroscribe, and what it "
        "computes with, installed."
    )
