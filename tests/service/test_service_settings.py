"""What the service is told: flags before variables before the file before defaults."""

from pathlib import Path
from typing import Any

import pytest

from indexer.errors import InputError
from service.jobs.own_processes import own_environment
from service.service_settings import ServiceSettings


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of whoever runs the tests."""
    for name in ServiceSettings.model_fields:
        monkeypatch.delenv(f"NEUROSCRIBE_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_precedence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert ServiceSettings.told().port == 8765
    (tmp_path / "neuroscribe.toml").write_text('port = 1\nhub_corpora = ["a", "b"]\n')
    told = ServiceSettings.told()
    assert (told.port, told.hub_corpora) == (1, ("a", "b"))
    monkeypatch.setenv("NEUROSCRIBE_PORT", "2")
    assert ServiceSettings.told().port == 2
    assert ServiceSettings.told(port=3).port == 3
    assert ServiceSettings.told(port=None).port == 2


def test_a_named_file_comes_instead_of_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "neuroscribe.toml").write_text("port = 1\n")
    named = tmp_path / "team.toml"
    named.write_text('host = "0.0.0.0"\n')
    told = ServiceSettings.told(config=named)
    assert (told.port, told.host) == (8765, "0.0.0.0")
    monkeypatch.setenv("NEUROSCRIBE_CONFIG", str(named))
    assert ServiceSettings.told().host == "0.0.0.0"


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("a", ("a",)),
        (" a , b,", ("a", "b")),
        ('["a", "b,c"]', ("a", "b,c")),
        ("[]", ()),
        ("", ()),
    ],
)
def test_names_in_a_variable(
    monkeypatch: pytest.MonkeyPatch, written: str, names: tuple[str, ...]
) -> None:
    monkeypatch.setenv("NEUROSCRIBE_ALLOWED_HOSTS", written)
    assert ServiceSettings.told().allowed_hosts == names


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("prot = 1", "there is no setting 'prot'; there are config, runs, host, port"),
        ("port = 70000", r"setting port \(variable NEUROSCRIBE_PORT\): found 70000"),
        ('authentication = "maybe"', "found 'maybe'"),
        ("port = ", "cannot be read as TOML"),
        ("allowed_hosts = 3", "setting allowed_hosts"),
        ("body_bytes = 1", "greater than or equal to 1024"),
    ],
)
def test_a_file_that_is_wrong(tmp_path: Path, file: str, said: str) -> None:
    (tmp_path / "neuroscribe.toml").write_text(file)
    with pytest.raises(InputError, match=said):
        ServiceSettings.told()


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(InputError, match="there is no settings file"):
        ServiceSettings.told(config=Path("nothing.toml"))


def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEUROSCRIBE_DATABASE_URL", "postgresql+psycopg://me:hidden@host/x")
    told = ServiceSettings.told()
    assert "hidden" in told.database
    for shown in (repr(told), str(told), told.model_dump_json()):
        assert "hidden" not in shown
    monkeypatch.delenv("NEUROSCRIBE_DATABASE_URL")
    (tmp_path / "neuroscribe.toml").write_text('database_url = ["hidden"]')
    with pytest.raises(InputError, match="setting database_url") as caught:
        ServiceSettings.told()
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert ServiceSettings.told(host=host).is_loopback == loopback


def test_other_processes_are_told_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    flags: dict[str, Any] = {
        "runs": tmp_path / "runs",
        "allowed_hosts": "a,b",
        "database_url": "postgresql+psycopg://me:hidden@host/x",
        "models_folder": tmp_path,
    }
    told = ServiceSettings.told(**flags)
    for name, value in own_environment(told).items():
        monkeypatch.setenv(name, value)
    assert ServiceSettings.told() == told
