"""Requests that other web sites have a browser send, and names that the service does not have."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api.access import ANYONE, Caller
from service.api.app import create_app
from service.api.key_records import ApiKey, Scope
from service.api.origins import HostCheck, require_same_origin
from service.api.refusals import RefusalError
from service.service_settings import ServiceSettings

KEY = ApiKey.model_validate(
    {"id": "0" * 12, "name": "bob", "scope": Scope.ADMIN, "created_at": "2026-01-01T00:00:00Z"}
)
BY_HEADER, BY_COOKIE = Caller(KEY), Caller(KEY, by_cookie=True)
HERE = b"127.0.0.1:8765"


def lets(method: str, headers: dict[bytes, bytes], caller: Caller) -> bool:
    try:
        require_same_origin(method, {b"host": HERE, **headers}, caller)
    except RefusalError:
        return False
    return True


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize(
    ("headers", "anyone", "by_cookie"),
    [
        ({}, True, False),
        ({b"origin": b"http://127.0.0.1:8765"}, True, True),
        ({b"origin": b"HTTP://127.0.0.1:8765"}, True, True),
        ({b"origin": b"http://127.0.0.1:9999"}, False, False),
        ({b"origin": b"http://evil.example"}, False, False),
        ({b"origin": b"http://127.0.0.1:8765.evil.example"}, False, False),
        ({b"origin": b"http://127.0.0.1:8765@evil.example"}, False, False),
        ({b"origin": b"null"}, False, False),
        ({b"origin": b""}, False, False),
        ({b"origin": b"http://[::1"}, False, False),
        ({b"sec-fetch-site": b"same-origin"}, True, True),
        ({b"sec-fetch-site": b"none"}, True, True),
        ({b"sec-fetch-site": b"same-site"}, False, False),
        ({b"sec-fetch-site": b"cross-site"}, False, False),
        ({b"sec-fetch-site": b"cross-site", b"origin": b"http://127.0.0.1:8765"}, False, False),
        ({b"sec-fetch-site": b"whatever"}, False, False),
    ],
)
def test_unsafe_requests(
    method: str, headers: dict[bytes, bytes], anyone: bool, by_cookie: bool
) -> None:
    assert lets(method, headers, ANYONE) == anyone
    assert lets(method, headers, BY_COOKIE) == by_cookie
    assert lets(method, headers, BY_HEADER)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_safe_requests_may_come_from_anywhere(method: str) -> None:
    assert lets(method, {b"origin": b"http://evil.example"}, BY_COOKIE)


@pytest.mark.parametrize(
    ("told", "host", "status"),
    [
        ({}, b"localhost", None),
        ({}, b"LOCALHOST:8765", None),
        ({}, b"127.0.0.1:1", None),
        ({}, b"[::1]:8765", None),
        ({}, b"evil.example", 421),
        ({}, b"localhost.evil.example", 421),
        ({}, b"evil.example:8765", 421),
        ({}, b"127.0.0.2", 421),
        ({}, b"", 400),
        ({}, b"localhost/x", 400),
        ({}, b"localhost:80:80", 400),
        ({}, b"[::1", 400),
        ({}, b"localhost, evil.example", 400),
        ({}, b"\xff", 400),
        ({"host": "127.0.0.2"}, b"127.0.0.2", None),
        ({"host": "::1"}, b"[::1]", None),
        ({"allowed_hosts": "neurons.example,[::2]"}, b"neurons.example:8765", None),
        ({"allowed_hosts": "neurons.example,[::2]"}, b"[::2]", None),
        ({"allowed_hosts": "neurons.example"}, b"evil.example", 421),
        ({"host": "0.0.0.0"}, b"anything.example", None),
        ({"host": "0.0.0.0"}, b"[::1", 400),
        ({"host": "0.0.0.0", "allowed_hosts": "neurons.example"}, b"evil.example", 421),
    ],
)
def test_hosts(tmp_path: Path, told: dict[str, Any], host: bytes, status: int | None) -> None:
    check = HostCheck(ServiceSettings.told(runs=tmp_path, **told))
    if status is None:
        check({b"host": host})
        return
    with pytest.raises(RefusalError) as caught:
        check({b"host": host})
    assert caught.value.status == status


def test_a_page_of_another_site_reaches_nothing(tmp_path: Path) -> None:
    """As a browser would send it: the service of a developer, a page of an attacker."""
    app = create_app(ServiceSettings.told(runs=tmp_path))
    with TestClient(app, base_url="http://127.0.0.1:8765") as client:
        form = client.post("/start", data={}, headers={"Origin": "http://evil.example"})
        assert form.status_code == 403
        rebound = client.get("/v1/runs", headers={"Host": "evil.example:8765"})
        assert rebound.status_code == 421
        assert "allowed_hosts" in rebound.json()["detail"]
        asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        preflight = client.options("/v1/jobs", headers=asked)
        assert preflight.status_code == 204
        read = client.get("/v1/runs", headers={"Origin": "http://evil.example"})
        for answer in (form, rebound, preflight, read):
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
