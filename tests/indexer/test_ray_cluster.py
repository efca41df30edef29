from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from indexer import ray_cluster
from indexer.errors import BackendError, InputError
from indexer.ray_engine import RayEngine

pytest.importorskip("ray", reason="needs the extra `ray`")

OWN_CLUSTER = """
import json, signal, sys
from indexer.ray_engine import RayEngine

class Factor:
    key = "factor"
    def load(self):
        return 3

def loud(factor, portion):
    print("a worker talks")
    return factor * portion

before = signal.getsignal(signal.SIGTERM)
with RayEngine.connect(sys.argv[1]) as engine:
    answers = list(engine.map(loud, Factor(), range(4)))
    import ray
    session = ray._private.worker._global_node.get_session_dir_path() if sys.argv[2:] else ""
kept = signal.getsignal(signal.SIGTERM) is before
print(json.dumps({"answers": answers, "kept": kept, "session": session}))
"""


def run_alone(*arguments: str) -> dict[str, Any]:
    """Map in a process of its own; what it prints must be one line of JSON and nothing else."""
    root = str(Path(ray_cluster.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    environment.pop("RAY_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-c", OWN_CLUSTER, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def port_that_is_given_to_nobody() -> int:
    """A free one below those that the system gives, of which the rest of Ray takes dozens."""
    for port in range(21000, 32000, 7):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    pytest.fail("no port between 21000 and 32000 is free")


def wait_until_listening(port: int, wait_s: float = 120) -> None:
    """The head of a cluster does not wait for its server for clients, a process of its own."""
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"nothing listened on port {port} within {wait_s} s")


def command_lines() -> str:
    """Those of every process of this machine."""
    return "\n".join(
        path.read_bytes().decode(errors="replace")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists()
    )


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_a_cluster_that_we_start_is_silent_and_ends_with_the_engine() -> None:
    found = run_alone("ray:local", "session")
    assert found["answers"] == [0, 3, 6, 9]
    assert found["kept"]
    assert Path(found["session"]).name.startswith("session_")
    assert found["session"] not in command_lines()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_the_client_of_ray_reaches_a_cluster_and_leaves_it_running() -> None:
    pytest.importorskip("grpc", reason="needs the extra `ray`")
    from ray.cluster_utils import Cluster

    port = port_that_is_given_to_nobody()
    head = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head | {"ray_client_server_port": port})
    try:
        wait_until_listening(port)
        for _ in range(2):
            assert run_alone(f"ray://127.0.0.1:{port}")["answers"] == [0, 3, 6, 9]
        assert cluster.remaining_processes_alive()
    finally:
        cluster.shutdown()


def test_an_address_where_nothing_listens_is_told_at_once() -> None:
    with pytest.raises(BackendError, match=r"no Ray cluster answers at 'ray://127.0.0.1:1'"):
        RayEngine.connect("ray://127.0.0.1:1", wait_s=2)


def test_an_address_where_something_else_listens_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BackendError, match=rf"127.0.0.1:{port}.*waited 1 s"):
            RayEngine.connect(f"ray:127.0.0.1:{port}", wait_s=1)


@pytest.mark.parametrize("address", ["nonsense", "ray://host", "ray:host:0", "ray:http://host:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match=r"in Ray address|found Ray address"):
        RayEngine.connect(address)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'neuroscribe\[ray\]'"):
        RayEngine.connect()


@pytest.mark.parametrize(
    "numbers", [{"cpus_per_task": 0}, {"threads": 0}, {"retries": -1}, {"gpus_per_task": -1.0}]
)
def test_numbers_out_of_range_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=rf"found {next(iter(numbers))} "):
        RayEngine.connect(**numbers)
