"""The doctor finds what works here, and tells apart what it needs from what would be nice."""

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from descriptors.proposer_factory import AVAILABLE_PROPOSERS
from indexer import bundled
from service import cli, doctor
from service.doctor import Check, Diagnosis, Finding, examine


@pytest.fixture(scope="module")
def diagnosis(tiny_model: Callable[[str], Path]) -> Diagnosis:
    return examine(str(tiny_model("bert")), device="cpu")


def test_everything_required_works_here(diagnosis: Diagnosis) -> None:
    assert [check for check in diagnosis.checks if check.required and not check.ok] == []
    assert diagnosis.ok


def test_versions_and_measurements_are_told(diagnosis: Diagnosis) -> None:
    found = {check.name: check.found for check in diagnosis.checks}
    import torch

    assert found["torch"] == torch.__version__
    assert "2 layers" in next(text for name, text in found.items() if "activations" in name)
    assert "sha256 as expected" in found["bundled weights"]
    assert "proposes" in found["proposer keyphrase"]


def test_a_missing_model_fails_its_check_and_no_other() -> None:
    diagnosis = examine("./nothing-here", device="cpu")
    failed = [check for check in diagnosis.checks if check.required and not check.ok]
    assert [check.name for check in failed] == ["activations of ./nothing-here"]
    assert "nothing-here" in failed[0].advice
    assert not diagnosis.ok


def test_other_bundled_weights_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled.bundled_model_path.cache_clear()
    monkeypatch.setattr(bundled, "_WEIGHTS_SHA256", "0" * 64)
    check = doctor._checked("bundled weights", doctor._bundled_weights)
    assert not check.ok
    assert "sha256" in check.advice
    bundled.bundled_model_path.cache_clear()


@pytest.mark.parametrize("error", [ImportError("no torch"), OSError("libgomp.so missing")])
def test_a_broken_installation_is_a_failed_check(error: Exception) -> None:
    def broken() -> Finding:
        raise error

    assert doctor._checked("torch", broken) == Check(
        name="torch", ok=False, found="failed", advice=str(error)
    )


def test_what_is_optional_may_be_missing() -> None:
    missing = Check(name="vllm", ok=False, found="not installed", required=False)
    assert Diagnosis(checks=(missing,)).ok


def test_every_back_end_has_a_line(diagnosis: Diagnosis) -> None:
    lines = {check.name for check in diagnosis.checks}
    assert {f"proposer {form}" for form in AVAILABLE_PROPOSERS} <= lines


def test_a_server_that_listens_is_reachable_and_another_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        found = doctor._server(f"http://me:secret@127.0.0.1:{port}/v1")
    assert found.ok
    assert "secret" not in found.found
    gone = doctor._server(f"http://127.0.0.1:{port}/v1")
    assert not gone.ok
    assert not gone.required


@pytest.mark.parametrize("url", ["localhost", "ftp://x", "http://127.0.0.1:nan/v1"])
def test_an_odd_address_is_not_reachable(url: str) -> None:
    assert not doctor._server(url).ok


def test_exit_code_and_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = Diagnosis(checks=(Check(name="disk", ok=False, found="full", advice="free some"),))
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: bad)
    assert cli.run_command(["doctor", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["checks"][0]["advice"] == "free some"
    assert cli.run_command(["doctor"]) == 3
    assert "full; free some" in capsys.readouterr().out
