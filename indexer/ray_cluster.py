"""How this process joins a Ray cluster, or starts one, and leaves it as it was found.

Ray keeps one connection per process, so engines that name the same cluster share it: the last one
to leave ends it. A connection that somebody else in this process made is used, and never ended.

Ray has two ways in. `ray://HOST:10001` is the Ray client: this machine needs no Ray processes and
may be anywhere. `HOST:6379` makes this process a driver, which only a machine that is itself a
node of the cluster can be (`ray start --address HOST:6379`).
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from indexer.errors import BackendError, InputError

ADDRESSES = (
    "`ray` (joins the cluster of this machine, or starts one), `ray:auto` (joins only), `ray:local`"
    " (starts only), `ray:HOST:6379` (this machine is a node of that cluster) and "
    "`ray://HOST:10001` (from any machine)"
)

_NEWS_LENGTH = 200
_FIRST_PORT, _LAST_PORT = 1, 65_535
_lock = threading.Lock()


@dataclass(slots=True)
class _Connection:
    """What the engines of this process share, guarded by `_lock`."""

    names: frozenset[str] = frozenset()
    engines: int = 0
    borrowed: bool = False


_connection = _Connection()


def ray_module() -> Any:
    """Ray, which is an extra.

    Raises:
        InputError: it is not installed.
    """
    if find_spec("ray") is None:
        raise InputError(
            "--engine ray needs Ray, which is not installed here. "
            "Run `pip install 'neuroscribe[ray]'`, or leave --engine out."
        )
    # Reporting of use to the makers of Ray is on for clusters that a user starts; nothing here may
    # ever reach the network unasked.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray

    return ray


def enter(address: str, wait_s: float) -> None:
    """Connect this process to the cluster at `address`, one of `ADDRESSES`.

    Raises:
        InputError: no such kind of address, Ray is missing, or this process is in another cluster.
        BackendError: no cluster answers there within about `wait_s` seconds.
    """
    target = _target(address)
    ray = ray_module()
    with _lock:
        if _connection.engines == 0:
            _connection.borrowed = bool(ray.is_initialized())
            if not _connection.borrowed:
                _connect(ray, target, wait_s)
            _connection.names = _names(ray, None if _connection.borrowed else target)
        if target not in {None, "auto", *_connection.names}:
            raise InputError(
                f"found Ray address {target!r}, but this process is in another cluster already "
                f"({', '.join(sorted(_connection.names)) or 'of unknown address'}), and a process "
                "is in one at a time; use `ray` to share it"
            )
        _connection.engines += 1


def leave() -> None:
    """Take back one `enter`; the last one ends what `enter` began."""
    ray = ray_module()
    with _lock:
        _connection.engines -= 1
        if _connection.engines == 0 and not _connection.borrowed:
            ray.shutdown()


def nodes() -> list[dict[str, float]]:
    """What each living node has in all, used or not: `CPU`, `GPU` and more.

    Raises:
        BackendError: the cluster does not answer any more.
    """
    ray = ray_module()
    try:
        return [node["Resources"] for node in ray.nodes() if node["Alive"]]
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise BackendError(
            f"the Ray cluster is gone: {brief(error)}. Start it and run again."
        ) from error


def brief(error: Exception) -> str:
    """One line of an error of Ray, which may be pages: the first says where, the last what."""
    lines = [line.strip(" .") for line in str(error).splitlines() if line.strip(" .")]
    return " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]])) or type(error).__name__


def _names(ray: Any, target: str | None) -> frozenset[str]:
    """Every address by which the cluster of this process may be named."""
    own = {target} if target else set()
    if not ray.util.client.ray.is_connected():
        own.add(ray.get_runtime_context().gcs_address)
    return frozenset(own)


def _target(address: str) -> str | None:
    """What Ray calls the address: None is to join or start, as Ray means it."""
    written = address if address.startswith("ray://") else address.removeprefix("ray:")
    if written in {"", "ray"}:
        target = os.environ.get("RAY_ADDRESS") or None
    elif written == "auto":
        target = os.environ.get("RAY_ADDRESS") or "auto"
    else:
        target = written
    if target not in {None, "auto", "local"}:
        _host_and_port(target)
    return target


def _host_and_port(target: str | None) -> tuple[str, int]:
    host, _, port = (target or "").removeprefix("ray://").rpartition(":")
    if not host or "/" in host or not port.isascii() or not port.isdigit():
        raise InputError(f"found Ray address {target!r}, expected {ADDRESSES}")
    if not _FIRST_PORT <= int(port) <= _LAST_PORT:
        raise InputError(f"found port {port} in Ray address {target!r}, expected 1 to 65535")
    return host.strip("[]"), int(port)


def _connect(ray: Any, target: str | None, wait_s: float) -> None:
    # Nothing of Ray on stdout, which is for results, and no log lines of workers anywhere.
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if target is None or not target.startswith("ray://"):
        options["include_dashboard"] = False
    elif find_spec("grpc") is None:
        raise InputError(
            f"Ray address {target!r} needs the client of Ray, which is not installed here. "
            "Run `pip install 'neuroscribe[ray]'`."
        )
    if target not in {None, "auto", "local"}:
        _check_listening(target, wait_s)
    # Answers that nobody wants any more may be errors, and are none of the user's.
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
    _keep_off_stdout()
    try:
        with _sigterm_kept():
            _initialise(ray, target, options)
    except (
        ConnectionError,
        RuntimeError,
        ValueError,
        TimeoutError,
        ray.exceptions.RayError,
    ) as error:
        # A start that failed may leave processes, and a flag that says Ray is running.
        ray.shutdown()
        raise BackendError(_refusal(target, error)) from error


def _initialise(ray: Any, target: str | None, options: dict[str, Any]) -> None:
    try:
        ray.init(address=target, **options)
    except ConnectionAbortedError:
        # The cluster forks a server for each client, which now and then loses gRPC's descriptors
        # and dies; the next one mostly lives.
        if target is None or not target.startswith("ray://"):
            raise
        ray.shutdown()
        ray.init(address=target, **options)


def _refusal(target: str | None, error: Exception) -> str:
    found = brief(error)
    if target is None or target == "local":
        return f"no Ray cluster could be started on this machine: {found}"
    if target == "auto":
        return f"no Ray cluster runs on this machine: {found}. Use `ray` to start one."
    hint = "Ray and Python must have the same version there and here"
    if not target.startswith("ray://"):
        host, _ = _host_and_port(target)
        hint += (
            f", and this machine must be a node of that cluster; `ray://{host}:10001` works from "
            "any machine"
        )
    return f"the Ray cluster at {target!r} cannot be joined: {found}. {hint}."


def _check_listening(target: str | None, wait_s: float) -> None:
    """Ray itself waits half a minute, or for ever, for a port that answers nothing."""
    host, port = _host_and_port(target)
    try:
        socket.create_connection((host, port), timeout=wait_s).close()
        _check_grpc(host, port, wait_s)
    except OSError as error:
        raise BackendError(
            f"no Ray cluster answers at {target!r}: {error or 'no answer in time'}. Expected "
            f"{ADDRESSES}; `ray start --head` starts one."
        ) from error


def _check_grpc(host: str, port: int, wait_s: float) -> None:
    # Encrypted ports do not talk to us without keys, and only Ray's client brings gRPC.
    if os.environ.get("RAY_USE_TLS", "0") != "0" or find_spec("grpc") is None:
        return
    import grpc

    name = f"[{host}]" if ":" in host else host
    with grpc.insecure_channel(f"{name}:{port}") as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=wait_s)
        except grpc.FutureTimeoutError as error:
            raise TimeoutError(f"it does not speak gRPC, waited {wait_s:.0f} s") from error


def _keep_off_stdout() -> None:
    """Send news of dead workers to stderr: Ray prints them on stdout, and has no switch for it."""
    from ray._private import worker

    show = getattr(worker, "print_to_stdstream", None)
    if show is None or hasattr(show, "to_stderr"):
        return

    def show_on_stderr(data: dict[str, Any], *args: Any, **options: Any) -> None:
        # Whole pages of a raylet's log follow the line that says what happened.
        lines = [str(line).partition("\n")[0][:_NEWS_LENGTH] for line in data["lines"]]
        show(data | {"lines": lines, "is_err": True}, *args, **options)

    show_on_stderr.to_stderr = True  # type: ignore[attr-defined]
    worker.print_to_stdstream = show_on_stderr


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray takes SIGTERM over for good; who runs us decides what it means."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # None is a handler that Python did not set, and cannot put back.
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)
