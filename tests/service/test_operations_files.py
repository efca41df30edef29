"""What people run the service with: the image, the team's set-up, the Makefile and the manual.

There is no Docker daemon where the tests run; so the files are read, and what can be done without
one is done: the files that the image copies are installed.
"""

import ast
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from pydantic import SecretStr
from typer.main import get_command

from service.admission import describe_admission
from service.cli import app
from service.client import Client
from service.service_settings import ServiceSettings

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"[\w./-]+:v?\d[\w.-]*")
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as pairs of a word and what follows it."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in joined.splitlines() if line]


def after(word: str) -> list[str]:
    """What follows each instruction of a kind."""
    return [rest for each, rest in instructions() if each == word]


def compose() -> dict[str, Any]:
    """The team's set-up with the variables that a user must give, and defaults for the others."""

    def value(found: re.Match[str]) -> str:
        assert found[2] is not None, f"{found[1]} has no default and is not asked for"
        return found[3] if found[2] == "-" else "given"

    loaded: dict[str, Any] = yaml.safe_load(
        VARIABLE.sub(value, (ROOT / "compose.yaml").read_text())
    )
    return loaded


def own_services() -> dict[str, dict[str, Any]]:
    """Those that run our image."""
    return {name: each for name, each in compose()["services"].items() if "build" in each}


def test_the_image_is_pinned_and_unprivileged() -> None:
    (image,) = [rest.split("=")[1] for rest in after("ARG") if rest.startswith("PYTHON_IMAGE")]
    assert PINNED.fullmatch(image)
    assert image.startswith("python:3.11-slim")
    assert [each.split()[0] for each in after("FROM")] == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
    assert after("USER")[-1].split(":") == ["10001", "10001"]
    words = [word for word, _ in instructions()]
    last_change = max(place for place, word in enumerate(words) if word in {"RUN", "COPY"})
    assert words.index("USER") > last_change
    assert "ADD" not in words
    assert after("VOLUME") == ['["/runs", "/cache"]']


def test_the_image_asks_itself_whether_it_is_ready() -> None:
    (check,) = after("HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + 3 :])
    ast.parse(command[-1])
    assert "/readyz" in command[-1]


def test_nothing_secret_is_in_the_image() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert not re.search(r"(?i)(password|secret|token|api_key)", text)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[ignored.index("*") :][0] == "*"


def copied() -> list[str]:
    """What the image takes from the checkout."""
    return [
        name
        for rest in after("COPY")
        if not rest.startswith("--from")
        for name in rest.split()[:-1]
    ]


def test_what_is_copied_is_not_ignored() -> None:
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    admitted = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert rules[0] == "*"
    assert set(copied()) == admitted
    for name in admitted:
        assert (ROOT / name).exists(), name
    for secret in (".env", "runs", "neuroscribe.toml", ".git", ".venv"):
        assert not any(fnmatch(secret, each) for each in admitted)


def pip_commands(text: str, pip: str) -> list[list[str]]:
    """The packages and constraints that each `pip install` names, without its manners."""
    manners = {"--quiet", "--editable", "--index-url", "${TORCH_INDEX}"}
    found = re.findall(rf"{re.escape(pip)} install ([^\n&]*)", text)
    return [[word for word in shlex.split(each) if word not in manners] for each in found]


def test_the_image_installs_what_the_makefile_does() -> None:
    made = pip_commands((ROOT / "Makefile").read_text(), "$(BIN)/pip")
    built = pip_commands("\n".join(after("RUN")), "/opt/neuroscribe/bin/pip")
    assert built == [[word.removesuffix("[dev]") for word in each] for each in made]
    assert built[1] == ["--constraint", "constraints.txt", "torch"]


@pytest.mark.slow
def test_what_the_image_copies_is_a_whole_installation(tmp_path: Path) -> None:
    context, target = tmp_path / "context", tmp_path / "installed"
    context.mkdir()
    for name in copied():
        subprocess.run(["cp", "-r", str(ROOT / name), str(context)], check=True)
    install = [*(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps")]
    done = subprocess.run(
        [*install, "--target", str(target), str(context)], capture_output=True, text=True
    )
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("the package registry cannot be reached, and the build needs hatchling from it")
    assert done.returncode == 0, done.stderr
    for folder in ("indexer", "descriptors", "neurons", "eval", "service"):
        own = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
        for path in own:
            if "__pycache__" not in path.parts:
                assert (target / path.relative_to(ROOT)).is_file(), path
    asked = subprocess.run(
        [sys.executable, "-m", "service.cli", "serve", "--dry-run"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(target), "NEUROSCRIBE_RUNS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(asked.stdout)["settings"]["runs"] == str(tmp_path)


def test_settings_of_the_image_exist() -> None:
    told = dict(each.split("=", 1) for rest in after("ENV") for each in shlex.split(rest))
    names = {name for name in told if name.startswith("NEUROSCRIBE_")}
    assert names == {"NEUROSCRIBE_HOST", "NEUROSCRIBE_PORT", "NEUROSCRIBE_RUNS"}
    assert told["NEUROSCRIBE_PORT"] == str(ServiceSettings.model_fields["port"].default)
    assert json.loads(after("VOLUME")[0])[0] == told["NEUROSCRIBE_RUNS"]


@pytest.mark.parametrize("name", ["api", "worker", "worker-gpu"])
def test_settings_of_the_team_are_possible(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = own_services()[name]["environment"]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
        if variable.startswith("NEUROSCRIBE_"):
            setting = variable.removeprefix("NEUROSCRIBE_").lower()
            assert setting in ServiceSettings.model_fields, variable
    settings = ServiceSettings.told()
    assert settings.authentication == "required"
    assert isinstance(settings.database_url, SecretStr)
    assert settings.database.startswith("postgresql+psycopg://neuroscribe:given@postgres:5432/")
    assert describe_admission(settings).proposers == ("embedded", "keyphrase")


def test_api_and_workers_are_told_the_same() -> None:
    told = [
        {key: value for key, value in each["environment"].items() if key.startswith("NEURO")}
        for each in own_services().values()
    ]
    assert told[0] == told[1] == told[2]


def test_our_commands_are_those_of_the_command_line() -> None:
    commands: Any = get_command(app)
    for service in own_services().values():
        name, *arguments = service["command"]
        commands.commands[name].make_context(name, list(arguments))


def test_services_have_no_more_rights_than_they_need() -> None:
    services = compose()["services"]
    assert set(services) == {"api", "worker", "worker-gpu", "postgres", "vllm"}
    for name, service in services.items():
        assert "privileged" not in service, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert not any("docker.sock" in str(each) for each in service.get("volumes", [])), name
        assert "network_mode" not in service, name
    for name, service in own_services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["depends_on"]["postgres"]["condition"] == "service_healthy", name
        assert any(each.endswith(":/models:ro") for each in service["volumes"]), name
    assert compose()["networks"]["inside"] == {"internal": True}
    assert services["postgres"]["networks"] == ["inside"]
    assert "ports" not in services["postgres"]
    assert services["api"]["ports"] == ["127.0.0.1:8765:8765"]


def test_other_images_are_pinned_and_watched() -> None:
    services = compose()["services"]
    for name in ("postgres", "vllm"):
        assert PINNED.fullmatch(services[name]["image"]), name
        assert services[name]["healthcheck"]["test"][0] == "CMD", name
    assert services["postgres"]["image"].startswith("postgres:15")
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert services["vllm"]["profiles"] == ["vllm"]


def test_no_secret_is_written_down() -> None:
    text = (ROOT / "compose.yaml").read_text()
    for line in text.splitlines():
        if re.search(r"(PASSWORD|API_KEY)", line) and not line.startswith("#"):
            assert re.search(r"\$\{(POSTGRES_PASSWORD:\?|OPENAI_API_KEY:-\})", line), line


@pytest.mark.slow
def test_the_team_is_served_and_its_health_check_passes(tmp_path: Path) -> None:
    """As compose starts the API, on SQLite: it wants a key, then answers the image's check."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    image = dict(each.split("=", 1) for rest in after("ENV") for each in shlex.split(rest))
    team = own_services()["api"]["environment"] | {
        "NEUROSCRIBE_HOST": image["NEUROSCRIBE_HOST"],
        "NEUROSCRIBE_RUNS": str(tmp_path / "runs"),
        "NEUROSCRIBE_PORT": port,
    }
    del team["NEUROSCRIBE_DATABASE_URL"]
    command = [sys.executable, "-m", "service.cli"]
    options: Any = {"env": os.environ | team, "cwd": tmp_path, "text": True}
    options["env"]["PYTHONPATH"] = str(ROOT)
    serve = [*command, *own_services()["api"]["command"]]
    refused = subprocess.run(serve, capture_output=True, check=False, **options)
    assert refused.returncode != 0
    assert "keys create" in refused.stderr
    create = [*command, "keys", "create", "ada", "--scope", "admin"]
    key = subprocess.run(create, capture_output=True, check=True, **options).stdout.strip()
    check = json.loads(after("HEALTHCHECK")[0].split("CMD", 1)[1])[1:]
    check = [sys.executable, *(word.replace("8765", port) for word in check)]
    with subprocess.Popen(
        serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    ) as api:
        try:
            deadline = time.monotonic() + 60
            while subprocess.run(check, capture_output=True, check=False).returncode:
                assert time.monotonic() < deadline, "the service was not ready in a minute"
                assert api.poll() is None, "the service ended"
            for headers, status in [({}, 401), ({"Authorization": f"Bearer {key}"}, 200)]:
                asked = httpx2.get(f"http://localhost:{port}/v1/runs", headers=headers)
                assert asked.status_code == status
        finally:
            api.terminate()
        assert api.wait(30) == 0


def manual() -> str:
    """The manual of the service."""
    return (ROOT / "docs" / "service.md").read_text(encoding="utf-8")


def default_as_told(value: Any) -> str:
    """A default as the manual writes it."""
    if value is None or value == ():
        return "none"
    return f"`{', '.join(value) if isinstance(value, tuple) else value}`"


def test_the_manual_lists_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S.*?) \| \S.*\|$", manual(), re.MULTILINE)
    listed = [row for row in rows if row[0] in ServiceSettings.model_fields]
    expected = [
        (name, default_as_told(field.default))
        for name, field in ServiceSettings.model_fields.items()
    ]
    assert listed == expected


def fenced(language: str) -> Iterator[str]:
    """The blocks of the manual in a language."""
    yield from re.findall(rf"^```{language}\n(.*?)^```$", manual(), re.MULTILINE | re.DOTALL)


def test_the_manual_asks_routes_that_exist(tmp_path: Path) -> None:
    from service.api.app import create_app

    paths = create_app(ServiceSettings(runs=tmp_path)).openapi()["paths"]
    patterns = {re.compile(re.sub(r"\{\w+\}", r"[^/]+", path)): path for path in paths}
    asked = [each for block in fenced("") for each in re.findall(r"^curl (.*)$", block, re.M)]
    assert len(asked) > 10
    for command in asked:
        words = shlex.split(command)
        path = words[-1].removeprefix("$SERVICE").split("?")[0]
        found = [known for pattern, known in patterns.items() if pattern.fullmatch(path)]
        assert found, path
        wanted = "post" if {"--json", "--data-binary"} & set(words) else "get"
        assert any(wanted in paths[known] for known in found), command
        if "--json" in words:
            assert json.loads(words[words.index("--json") + 1])


def test_the_manual_of_the_client_is_true() -> None:
    (example,) = fenced("python")
    tree = ast.parse(example)
    called = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "client"
    }
    assert called == {"upload", "submit_job", "wait", "list_neurons", "explain_text"}
    for name in called:
        assert callable(getattr(Client, name)), name
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            module = __import__(node.module, fromlist=[each.name for each in node.names])
            assert all(hasattr(module, each.name) for each in node.names)


def test_the_manual_names_commands_that_exist() -> None:
    commands: Any = get_command(app)
    lines = [line for block in fenced("") for line in block.splitlines()]
    told = [shlex.split(line, comments=True) for line in lines if line.startswith("neuroscribe ")]
    assert len(told) >= 8
    for _, name, *arguments in told:
        command = commands.commands[name]
        if name == "keys":
            command = command.commands[arguments.pop(0)]
        command.make_context(name, arguments)


@pytest.mark.parametrize("path", ["README.md", "docs/service.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / path).parent / target).exists(), target


def test_the_makefile_tells_of_the_service() -> None:
    shown = subprocess.run(
        ["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True
    ).stdout
    assert "make serve" in shown
    assert "make audit" in shown


@contextmanager
def service_of_vulnerabilities(vulnerable: str) -> Iterator[str]:
    """A server that knows one hole of one package, as osv.dev would tell it."""

    class Answers(BaseHTTPRequestHandler):
        """Its answers."""

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked["package"]["name"]
            event = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99"}]}
            affected = {"package": {"name": name, "ecosystem": "PyPI"}, "ranges": [event]}
            hole = {"id": "GHSA-made-up", "summary": "", "details": "", "affected": [affected]}
            answer = json.dumps({"vulns": [hole]} if name == vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def audited(url: str, cache: Path) -> subprocess.CompletedProcess[str]:
    """What the audit of `make lint` says of this environment, told by the service at `url`."""
    command = [sys.executable, str(ROOT / ".ci" / "audit.py"), sys.executable, "-m", "pip_audit"]
    options = ["--vulnerability-service", "osv", "--osv-url", url, "--cache-dir", str(cache)]
    return subprocess.run(
        [*command, *options],
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_known_vulnerability_fails_the_audit_and_a_missing_network_does_not(
    tmp_path: Path,
) -> None:
    with service_of_vulnerabilities("jinja2") as url:
        found = audited(url, tmp_path)
    assert found.returncode == 1
    assert re.search(r"^jinja2 \S+: GHSA-made-up; mended in 99$", found.stdout, re.MULTILINE)
    with service_of_vulnerabilities("no-such-package") as url:
        clean = audited(url, tmp_path)
    assert clean.returncode == 0
    assert re.search(r"\d+ packages audited", clean.stdout)
    unreached = audited(url, tmp_path)
    assert unreached.returncode == 0
    assert "NOTHING WAS AUDITED" in unreached.stdout


def test_a_fault_of_the_audit_fails_it() -> None:
    command = [sys.executable, str(ROOT / ".ci" / "audit.py"), sys.executable, "-m", "pip_audit"]
    done = subprocess.run([*command, "--no-such-option"], capture_output=True, check=False)
    assert done.returncode == 1


def test_lint_audits() -> None:
    shown = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "lint"], capture_output=True, text=True, check=True
    ).stdout
    assert ".ci/audit.py" in shown


def test_ci_is_a_script_that_parses() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
