"""Who may do what: every route with keys of every scope, and when a key is asked for."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from sqlalchemy import text

from indexer.errors import InputError
from service.api.access import require_startable, scope_of
from service.api.app import create_app
from service.api.key_records import Scope
from service.api.key_tables import KEYS, KeyDatabase
from service.api.keys import KeyStore
from service.service_settings import ServiceSettings

BASE_URL = "http://127.0.0.1:8765"
PUBLIC = {"/healthz", "/readyz", "/login", "/logout", "/static/{name}"}
Start = Callable[..., TestClient]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a service over an empty folder; its client follows no redirect."""
    with ExitStack() as opened:

        def started(**told: Any) -> TestClient:
            settings = ServiceSettings.told(
                **{"runs": tmp_path / "runs", "requests_per_minute": 0, **told}
            )
            client = TestClient(create_app(settings), base_url=BASE_URL, follow_redirects=False)
            return opened.enter_context(client)

        yield started


def key_of(client: TestClient, scope: str, **more: Any) -> str:
    app = client.app
    assert isinstance(app, FastAPI)
    keys: KeyStore = app.state.service.keys
    return keys.create(f"a {scope} key", Scope(scope), **more).secret.get_secret_value()


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def api_routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path, pages included, with names put in."""
    found = [
        (method, context.path)
        for route in app.routes
        for context in getattr(route, "effective_route_contexts", lambda route=route: [route])()
        if isinstance(getattr(context, "original_route", context), APIRoute)
        for method in context.methods
    ]
    assert len(found) > 30
    return found


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "abc", path)


def test_every_route_asks_for_the_scope_it_needs(start: Start) -> None:
    """Without the scope 401, 403 or the login page; with it, anything else."""
    client = start(authentication="required")
    secrets = {scope: key_of(client, scope.value) for scope in Scope}
    assert isinstance(client.app, FastAPI)
    for method, path in api_routes(client.app):
        wanted = scope_of(method, filled(path))
        assert (wanted is None) == (path in PUBLIC), path
        if wanted is None or "/events" in path:
            continue
        plain = client.request(method, filled(path))
        is_page = method == "GET" and not path.startswith(("/v1", "/metrics"))
        assert plain.status_code == (303 if is_page else 401), (method, path)
        for scope, secret in secrets.items():
            answer = client.request(method, filled(path), headers=bearer(secret))
            allowed = scope.allows(wanted)
            assert (answer.status_code != 403) == allowed, (method, path, scope, answer.text)
            assert answer.status_code != 401
            assert answer.status_code < 500, (method, path, answer.text)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/runs", "read"),
        ("HEAD", "/v1/runs", "read"),
        ("POST", "/v1/explain", "read"),
        ("POST", "/runs/abc/text", "read"),
        ("POST", "/runs/abc/text/panel", "read"),
        ("POST", "/v1/explain/", "write"),
        ("POST", "/runs/abc/text/other", "write"),
        ("POST", "/v1/jobs", "write"),
        ("POST", "/v1/uploads", "write"),
        ("POST", "/v1/jobs/x/cancel", "write"),
        ("PUT", "/v1/explain", "write"),
        ("BREW", "/v1/coffee", "write"),
        ("DELETE", "/v1/uploads/x", "write"),
        ("DELETE", "/v1/runs/x", "admin"),
        ("POST", "/runs/x/delete", "admin"),
        ("DELETE", "/v1/runs/../runs/x", "admin"),
        ("GET", "/metrics", "read"),
        ("GET", "/openapi.json", "read"),
        ("GET", "/healthz/../v1/runs", "read"),
        ("GET", "/nothing", "read"),
    ],
)
def test_scopes(method: str, path: str, scope: str) -> None:
    assert scope_of(method, path) == scope


def test_a_key_may_come_in_either_header(start: Start) -> None:
    client = start(authentication="required")
    secret = key_of(client, "read")
    assert client.get("/v1/runs", headers=bearer(secret)).status_code == 200
    assert client.get("/v1/runs", headers={"x-api-key": secret}).status_code == 200
    assert client.get("/v1/runs", headers={"Authorization": f"bearer  {secret}"}).status_code == 200
    assert client.get("/v1/runs", params={"key": secret}).status_code == 401
    refused = client.get("/v1/runs", headers={"Authorization": f"Basic {secret}"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("secret", ["", "x", "ns_000000000000_" + "0" * 64, "\xe9", "a" * 9000])
def test_a_wrong_key_is_refused(start: Start, secret: str) -> None:
    client = start(authentication="required")
    answer = client.get("/v1/runs", headers={"x-api-key": secret.encode("latin-1")})
    assert answer.status_code == 401
    assert "unknown, has expired or was revoked" in answer.json()["detail"]


def test_an_ended_key_is_refused(start: Start) -> None:
    client = start(authentication="required")
    secret = key_of(client, "admin", lasting=timedelta(milliseconds=1))
    assert client.get("/v1/runs", headers=bearer(secret)).status_code == 401


def test_auto_asks_as_soon_as_a_key_exists(start: Start) -> None:
    client = start()
    assert client.get("/metrics").status_code == 200
    secret = key_of(client, "read")
    app = client.app
    assert isinstance(app, FastAPI)
    app.state.service.keys._existence.clear()  # what passing seconds do
    assert client.get("/metrics").status_code == 401
    assert client.get("/v1/runs", headers=bearer(secret)).status_code == 200
    app.state.service.keys.revoke(secret.split("_")[1])
    assert client.get("/v1/runs").status_code == 401


def test_off_asks_for_nothing(start: Start) -> None:
    client = start(authentication="off")
    key_of(client, "read")
    assert client.get("/v1/runs").status_code == 200
    assert client.get("/v1/runs", headers=bearer("wrong")).status_code == 200


def test_pages_lead_to_the_login_and_back(start: Start) -> None:
    client = start(authentication="required")
    secret = key_of(client, "read")
    sent = client.get("/jobs", headers={"Accept": "text/html"})
    assert sent.status_code == 303
    assert sent.headers["location"] == "/login?next=/jobs"
    form = client.get(sent.headers["location"])
    assert form.status_code == 200
    assert 'value="/jobs"' in form.text
    wrong = client.post("/login", data={"key": "ns_wrong", "next": "/jobs"})
    assert wrong.status_code == 401
    assert "no valid API key" in wrong.text
    right = client.post("/login", data={"key": f" {secret} ", "next": "/jobs"})
    assert (right.status_code, right.headers["location"]) == (303, "/jobs")
    cookie = right.headers["set-cookie"]
    assert secret not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    page = client.get("/jobs")
    assert page.status_code == 200
    assert "Sign out" in page.text
    same = {"Origin": BASE_URL}
    assert client.post("/v1/jobs", json={}, headers=same).status_code == 403
    assert client.post("/logout", headers=same).status_code == 303
    assert client.get("/jobs").status_code == 303


def test_the_token_of_an_ended_session_opens_nothing(start: Start) -> None:
    client = start(authentication="required")
    client.post("/login", data={"key": key_of(client, "read")})
    kept = dict(client.cookies)
    assert client.get("/v1/runs").status_code == 200
    client.post("/logout", headers={"Origin": BASE_URL})
    client.cookies.update(kept)
    assert client.get("/v1/runs").status_code == 401


def test_the_cookie_is_bound_to_the_host_over_https(start: Start) -> None:
    client = start(authentication="required")
    client.base_url = "https://127.0.0.1:8765"  # type: ignore[assignment]
    answer = client.post("/login", data={"key": key_of(client, "read")})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-neuroscribe=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert "strict-transport-security" in answer.headers


@pytest.mark.parametrize(
    "to",
    [
        "//evil.example/",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "",
        "x",
        "/a\r\nb",
    ],
)
def test_the_login_leads_nowhere_else(start: Start, to: str) -> None:
    client = start(authentication="required")
    answer = client.post("/login", data={"key": key_of(client, "read"), "next": to})
    assert answer.headers["location"] == "/"
    assert client.get("/login", params={"next": to}).text.count('name="next" value="/"') == 1


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join([b"a=b"] * 50), b"", b"key=\xed"])
def test_a_login_form_that_is_none(start: Start, body: bytes) -> None:
    assert start(authentication="required").post("/login", content=body).status_code in {401, 422}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"host": "0.0.0.0", "authentication": "off"}, "--host 127.0.0.1"),
        ({"host": "0.0.0.0"}, "keys create"),
        ({"host": "example.org"}, "keys create"),
        ({"trusted_proxies": "127.0.0.1"}, "keys create"),
        ({"allowed_hosts": "neurons.example"}, "keys create"),
        ({"trusted_proxies": "127.0.0.1", "authentication": "off"}, "trusted_proxies"),
        ({"authentication": "required"}, "keys create"),
    ],
)
def test_a_service_open_to_all_or_to_none_does_not_start(
    tmp_path: Path, told: dict[str, Any], said: str
) -> None:
    settings = ServiceSettings.told(runs=tmp_path, **told)
    settings.workspace.mkdir()
    database = KeyDatabase(settings.database)
    database.prepare()
    keys = KeyStore(database)
    with pytest.raises(InputError, match=said):
        require_startable(settings, keys)
    made = keys.create("bob", Scope.ADMIN)
    if told.get("authentication") != "off":
        require_startable(settings, keys)
        keys.revoke(made.key.id)
        with pytest.raises(InputError, match=said):
            require_startable(settings, keys)
    database.close()


def test_a_lost_database_is_503_and_nothing_is_let_in(start: Start) -> None:
    client = start(authentication="required")
    secret = key_of(client, "admin")
    app = client.app
    assert isinstance(app, FastAPI)
    with app.state.service.database.connected() as connection:
        connection.execute(text(f"alter table {KEYS.name} rename to gone"))
    answer = client.get("/v1/runs", headers=bearer(secret))
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("BackendError")
    assert client.get("/healthz").status_code == 200
    with app.state.service.database.connected() as connection:
        connection.execute(text(f"alter table gone rename to {KEYS.name}"))
    assert client.get("/v1/runs", headers=bearer(secret)).status_code == 200


def test_not_ready_where_the_folder_is_gone(start: Start, tmp_path: Path) -> None:
    client = start()
    assert client.get("/readyz").json() == {"status": "ok"}
    (tmp_path / "runs").rename(tmp_path / "moved")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "must exist and be writable" in answer.json()["detail"]
    assert client.get("/healthz").status_code == 200
