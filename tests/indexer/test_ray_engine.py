from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexer.encoder import SentenceEncoder
from indexer.engine import LocalEngine
from indexer.errors import BackendError, InputError
from indexer.ray_engine import AHEAD, RayEngine

ray: Any = pytest.importorskip("ray", reason="needs the extra `ray`")

pytestmark = [
    pytest.mark.usefixtures("one_torch_thread"),
    pytest.mark.slow,
    # Ray leaves the log files of the processes it starts for the garbage collector to close.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@dataclass(frozen=True)
class Factor:
    """A resource that writes a line to `log` when a process loads it."""

    log: Path
    key: str = "factor"

    def load(self) -> int:
        write(self.log, str(os.getpid()))
        return 3


@dataclass(frozen=True)
class Step:
    """A portion: a number, and what happens on the way."""

    number: int
    log: Path
    seconds: float = 0.0


@dataclass(frozen=True)
class Bundled:
    """The bundled encoder as a resource."""

    key: str = "bundled"

    def load(self) -> SentenceEncoder:
        return SentenceEncoder.load("bundled", "cpu")


def write(log: Path, line: str) -> None:
    with log.open("a") as handle:
        handle.write(f"{line}\n")


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def step(factor: int, portion: Step) -> int:
    """Three times the number, after noting which process on which node works on it."""
    node = ray.get_runtime_context().get_node_id() if ray.is_initialized() else "here"
    write(portion.log, f"{portion.number} {os.getpid()} {node}")
    end = time.monotonic() + portion.seconds
    while time.monotonic() < end:
        time.sleep(0.02)
    return factor * portion.number


def refuse(factor: int, portion: Step) -> int:
    write(portion.log, str(portion.number))
    raise InputError("found a bad portion, expected a good one")


def die(factor: int, portion: Step) -> int:
    write(portion.log, str(portion.number))
    os.kill(os.getpid(), signal.SIGKILL)
    return factor


def threads_here(encoder: SentenceEncoder, portion: int) -> tuple[int, str]:
    import torch

    return torch.get_num_threads(), os.environ["OMP_NUM_THREADS"]


def embed(encoder: SentenceEncoder, portion: list[str]) -> bytes:
    return encoder.encode(portion).astype("<f2").tobytes()


def wait_for(condition: Any, what: str, seconds: float = 40.0) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


@pytest.fixture(scope="module")
def engine(two_ray_nodes: Any) -> Iterator[RayEngine]:
    with RayEngine.connect(two_ray_nodes.address) as engine:
        yield engine


def test_answers_are_in_order_and_few_portions_are_in_flight(
    engine: RayEngine, tmp_path: Path
) -> None:
    taken = 0

    def portions() -> Iterator[Step]:
        nonlocal taken
        for number in range(30):
            taken += 1
            # The first is the slowest, so that later ones are ready before it.
            yield Step(number, tmp_path / "steps", 0.5 if number == 0 else 0.0)

    answers = engine.map(step, Factor(tmp_path / "loads"), portions())
    assert taken == 0
    found = []
    for answer in answers:
        found.append(answer)
        assert taken <= len(found) + 2 * AHEAD
    assert found == list(LocalEngine().map(step, Factor(tmp_path / "here"), portions()))


def test_a_process_loads_a_resource_once(engine: RayEngine, tmp_path: Path) -> None:
    loads, steps = tmp_path / "loads", tmp_path / "steps"
    resource = Factor(loads, key="loaded once")
    for _ in range(2):
        list(engine.map(step, resource, [Step(number, steps, 0.05) for number in range(10)]))
    assert len(lines(steps)) == 20
    assert len(set(lines(loads))) == len(lines(loads))
    assert set(lines(loads)) == {line.split()[1] for line in lines(steps)}
    assert len({line.split()[2] for line in lines(steps)}) == 2


def test_answers_survive_a_worker_killed_at_work(engine: RayEngine, tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    portions = [Step(number, steps, 0.3) for number in range(12)]
    answers = engine.map(step, Factor(tmp_path / "loads"), portions)
    found = [next(answers), next(answers)]
    before = len(lines(steps))
    latest = wait_for(lambda: lines(steps)[before:], "a step that has just begun")[-1]
    os.kill(int(latest.split()[1]), signal.SIGKILL)
    assert found + list(answers) == [3 * number for number in range(12)]
    numbers = [int(line.split()[0]) for line in lines(steps)]
    assert numbers.count(int(latest.split()[0])) > 1


def test_answers_survive_a_node_that_goes_away(
    engine: RayEngine, two_ray_nodes: Any, ray_node: dict[str, Any], tmp_path: Path
) -> None:
    node = two_ray_nodes.add_node(**ray_node)
    steps = tmp_path / "steps"
    portions = [Step(number, steps, 0.3) for number in range(24)]
    answers = engine.map(step, Factor(tmp_path / "loads"), portions)
    found = [next(answers)]
    while not any(node.node_id in line for line in lines(steps)):
        found.append(next(answers))
    assert len(found) < len(portions)
    two_ray_nodes.remove_node(node, allow_graceful=False)
    assert found + list(answers) == [3 * number for number in range(24)]


def test_an_error_of_ours_arrives_as_itself_and_is_not_tried_again(
    engine: RayEngine, tmp_path: Path
) -> None:
    steps = tmp_path / "steps"
    answers = engine.map(refuse, Factor(tmp_path / "loads"), [Step(7, steps)])
    with pytest.raises(InputError) as raised:
        next(answers)
    assert type(raised.value) is InputError
    assert str(raised.value) == "found a bad portion, expected a good one"
    time.sleep(0.5)
    assert lines(steps) == ["7"]


def test_a_portion_that_kills_its_workers_is_given_up(
    engine: RayEngine, two_ray_nodes: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps = tmp_path / "steps"
    with RayEngine.connect(two_ray_nodes.address, retries=1) as impatient:
        answers = impatient.map(die, Factor(tmp_path / "loads"), [Step(7, steps)])
        with pytest.raises(BackendError, match="tried up to 2 times: WorkerCrashedError"):
            next(answers)
    assert lines(steps) == ["7", "7"]
    # The news of it comes from a thread of Ray's, which would print it on stdout.
    told: list[str] = []

    def is_told() -> bool:
        written = capfd.readouterr()
        assert written.out == ""
        told.append(written.err)
        return "worker died" in "".join(told)

    wait_for(is_told, "the news")
    # The other engine still has its cluster.
    assert list(engine.map(step, Factor(tmp_path / "loads"), [Step(2, steps)])) == [6]


def test_nothing_runs_on_when_the_consumer_stops(engine: RayEngine, tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    first = Step(0, steps)
    # On a busy machine Ray may lose the request to interrupt what runs; it ends by itself then.
    long = [Step(number, steps, 30.0) for number in range(1, 40)]
    answers = engine.map(step, Factor(tmp_path / "loads"), [first, *long])
    assert next(answers) == 0
    wait_for(lambda: len(lines(steps)) == 3, "both nodes to be busy")
    del answers
    assert list(engine.map(step, Factor(tmp_path / "loads"), [Step(2, steps)] * 4)) == [6] * 4
    assert {line.split()[0] for line in lines(steps)[3:]} == {"2"}


def test_vectors_have_the_bytes_of_the_local_engine(engine: RayEngine) -> None:
    sentences = ["The battery lasts two days.", "Late!", "Größe passt, Farbe nicht 🙂", ""]
    windows = [[f"{sentence} ({number})" for sentence in sentences] for number in range(5)]
    assert list(engine.map(embed, Bundled(), windows)) == list(
        LocalEngine().map(embed, Bundled(), windows)
    )
    assert list(engine.map(threads_here, Bundled(), [0])) == [(1, "1")]


def test_arrays_arrive_whole(engine: RayEngine, tmp_path: Path) -> None:
    portions = [np.full((300, 400), number, dtype=np.float32) for number in range(6)]
    answers = engine.map(np.multiply, Factor(tmp_path / "loads"), portions)
    for number, answer in enumerate(answers):
        assert answer.shape == (300, 400)
        assert (answer == 3 * number).all()


def test_a_task_larger_than_every_node_is_refused(engine: RayEngine, two_ray_nodes: Any) -> None:
    with pytest.raises(InputError, match=r"has 2 CPUs, which one task books; found 1 CPUs and"):
        RayEngine.connect(two_ray_nodes.address, cpus_per_task=2, wait_s=0.5)
    with pytest.raises(InputError, match=r"has 1 CPUs and 0.5 GPUs, which one task books"):
        RayEngine.connect(two_ray_nodes.address, gpus_per_task=0.5, wait_s=0.5)


def test_a_process_is_in_one_cluster_at_a_time(engine: RayEngine, two_ray_nodes: Any) -> None:
    with pytest.raises(InputError, match="in another cluster already"):
        RayEngine.connect("ray:local")
    with RayEngine.connect("ray:auto") as other:
        pass
    with pytest.raises(ValueError, match="is closed"):
        next(other.map(step, Factor(Path("unused")), []))
    assert ray.is_initialized()
