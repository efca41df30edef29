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
    monkeypatch.setenv("NEUROSCRIBE_HUB_CORPORA", written)
    assert ServiceSettings.told().hub_corpora == names


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


@pytest.mark.parametrize("name", ["database_url", "models_folder", "config"])
def test_an_empty_variable_says_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"NEUROSCRIBE_{name.upper()}", "")
    assert getattr(ServiceSettings.told(), name) is None


@pytest.mark.parametrize(
    "url", ["hidden", "postgres:hidden", "mysql://me:hidden@h/x", "postgresql+psycopg://h:hidden/x"]
)
def test_what_is_no_database_is_refused_unseen(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROSCRIBE_DATABASE_URL", url)
    with pytest.raises(InputError, match=r"setting database_url .* expected .*postgresql") as told:
        ServiceSettings.told()
    assert "hidden" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("trusted_proxies", "caddy", "10.0.0.2"),
        ("trusted_proxies", "*", "10.0.0.2"),
        ("trusted_proxies", "10.0.0.2/8", "host bits"),
        ("allowed_hosts", "https://neurons.example.org", "without https://"),
        ("allowed_hosts", "neurons.example.org:8765", "port"),
        ("allowed_hosts", "*", "no name of a host"),
    ],
)
def test_what_could_have_no_effect_is_refused(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"NEUROSCRIBE_{name.upper()}", value)
    with pytest.raises(InputError, match=rf"setting {name} .*{said}"):
        ServiceSettings.told()


def test_addresses_and_names_are_taken() -> None:
    proxies, names = "10.0.0.2,172.16.0.0/12,::1,fd00::/8", "localhost,a-b.example,[::1],10.0.0.1"
    told = ServiceSettings.told(trusted_proxies=proxies, allowed_hosts=names)
    assert len(told.trusted_proxies) == len(told.allowed_hosts) == 4


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROSCRIBE_KEY", "another program's")
    monkeypatch.setenv("NEUROSCRIBE_DEBUG", "1")
    ServiceSettings.told()
    monkeypatch.setenv("NEUROSCRIBE_AUTHENTICATON", "required")
    with pytest.raises(InputError, match="AUTHENTICATON is no setting; is NEUROSCRIBE_AUTHENTICAT"):
        ServiceSettings.told()


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
