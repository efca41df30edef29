from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from indexer import ray_worker
from indexer.errors import InputError
from indexer.ray_worker import KEPT, Shared, answer, versions


@dataclass(frozen=True)
class Noted:
    """A resource that notes in `loads` what was loaded."""

    key: str
    loads: list[str] = field(default_factory=list)

    def load(self) -> str:
        self.loads.append(self.key)
        return self.key


def joined(loaded: str, portion: str) -> str:
    return loaded + portion


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_worker, "_loaded", type(ray_worker._loaded)())
    # The threads of the test process are not this module's to set.
    monkeypatch.setattr(ray_worker, "_use_threads", lambda threads: None)


def ask(resource: Noted, threads: int = 1) -> str:
    return str(answer(Shared(joined, resource, threads, versions()), "!"))


def test_a_process_loads_a_key_once_and_keeps_the_last_used() -> None:
    loads: list[str] = []
    names = [f"model {number}" for number in range(KEPT + 1)]
    for name in [*names[:KEPT], names[0], names[KEPT], names[0], names[1]]:
        assert ask(Noted(name, loads)) == f"{name}!"
    assert loads == [*names, names[1]]
    assert len(ray_worker._loaded) == KEPT


def test_other_threads_are_another_load() -> None:
    loads: list[str] = []
    for threads in (1, 2, 1):
        ask(Noted("model", loads), threads)
    assert loads == ["model", "model"]


def test_a_node_with_other_versions_refuses() -> None:
    here = versions()
    shared = Shared(joined, Noted("model"), 1, here | {"numpy": "0.0.1"})
    with pytest.raises(InputError, match=rf"numpy {here['numpy']}, expected 0\.0\.1\. Install"):
        answer(shared, "!")


def test_builds_of_one_version_do_not_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_worker.metadata, "version", lambda name: "2.13.0+cpu")
    assert versions()["torch"] == "2.13.0"
