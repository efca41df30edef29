"""`neuroscribe keys`: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest

from service.api.key_records import Scope
from service.api.key_tables import KeyDatabase
from service.api.keys import KeyStore
from service.cli import run_command
from service.service_settings import ServiceSettings


def found(runs: Path, secret: str) -> Scope | None:
    database = KeyDatabase(ServiceSettings.told(runs=runs).database)
    key = KeyStore(database).find(secret)
    database.close()
    return None if key is None else key.scope


def created(runs: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert run_command(["keys", "create", "bob", "--runs", str(runs), *options]) == 0
    printed = capsys.readouterr()
    secret = printed.out.strip()
    assert secret not in printed.err
    return secret


def test_the_key_alone_is_on_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert found(tmp_path, created(tmp_path, capsys)) is Scope.READ
    assert found(tmp_path, created(tmp_path, capsys, "--scope", "admin")) is Scope.ADMIN


def test_the_list_shows_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = created(tmp_path, capsys, "--days", "3")
    assert run_command(["keys", "list", "--runs", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "bob" in shown
    assert "valid" in shown
    assert secret.split("_")[1] in shown
    assert secret.split("_")[2] not in shown
    assert run_command(["keys", "list", "--runs", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["expires_at"] is not None
    assert set(row) == {
        *("id", "name", "scope"),
        *(f"{w}_at" for w in ("created", "expires", "revoked", "used")),
    }


def test_rotate_and_revoke(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = created(tmp_path, capsys)
    assert (
        run_command(["keys", "rotate", old.split("_")[1], "--runs", str(tmp_path), "--json"]) == 0
    )
    new = json.loads(capsys.readouterr().out)["secret"]
    assert found(tmp_path, old) is None
    assert found(tmp_path, new) is Scope.READ
    assert run_command(["keys", "revoke", new.split("_")[1], "--runs", str(tmp_path)]) == 0
    assert found(tmp_path, new) is None
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list"], "keys create NAME"),
        (["revoke", "abc"], "keys create NAME"),
        (["create", " "], "as the name of a key"),
        (["create", "bob", "--days", "0"], "--days"),
        (["create", "bob", "--scope", "all"], "--scope"),
        (["create", "bob", "--config", "missing.toml"], "there is no settings file"),
        ([], "Usage"),
    ],
)
def test_refusals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    runs = ["--runs", str(tmp_path / "nothing")] if arguments else []
    assert run_command(["keys", *arguments, *runs]) == 2
    assert said in capsys.readouterr().err


def test_unknown_ids_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    created(tmp_path, capsys)
    for command in ("rotate", "revoke"):
        assert run_command(["keys", command, "0123", "--runs", str(tmp_path)]) == 2
        assert "there is no key '0123'" in capsys.readouterr().err
