"""Where a request comes from and goes to: against DNS rebinding and forged requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from service.api.access import SAFE_METHODS, Caller
from service.api.refusals import RefusalError
from service.service_settings import ServiceSettings

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?:\[(?P<literal>[0-9a-f:.]+)\]|(?P<name>[a-z0-9_.-]+))(?::\d{1,5})?")


class HostCheck:
    """Which names a request may address the service by.

    A web site whose name is made to point at this machine (DNS rebinding) sends its own name. It
    could read whatever needs no key, so that a service that only this machine reaches, or that was
    told its names, is known by no other.

    Args:
        settings: of the service.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._checking = settings.is_loopback or bool(settings.allowed_hosts)
        named = {name.lower().strip("[]") for name in settings.allowed_hosts}
        self._known = _THIS_MACHINE | named | {settings.host.lower()}

    def __call__(self, headers: Mapping[bytes, bytes]) -> None:
        """Turn away a request to an unknown name, or to none that can be one.

        Raises:
            RefusalError: it is one.
        """
        given = headers.get(b"host", b"").decode("latin-1").lower()
        found = _HOST.fullmatch(given)
        name = None if found is None else found["literal"] or found["name"]
        if name is None:
            raise RefusalError(
                HTTPStatus.BAD_REQUEST, "HostError", f"found {given!r} as the host; expected a name"
            )
        if self._checking and name not in self._known:
            raise RefusalError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "HostError",
                f"found {given!r} as the host; expected one of {', '.join(sorted(self._known))}; "
                "the setting allowed_hosts adds names",
            )


def require_same_origin(method: str, headers: Mapping[bytes, bytes], caller: Caller) -> None:
    """Turn away what a page of another web site has a browser send.

    Browsers tell where an unsafe request comes from; other programs do not. A key in a header
    cannot be sent by another site's page, and vouches for the request.

    Raises:
        RefusalError: another site's page sent the request, or a cookie came without its origin.
    """
    if method in SAFE_METHODS or caller.by_header:
        return
    site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
    if site is not None:
        same = site in {b"same-origin", b"none"}
    elif origin is not None:
        same = _authority(origin) == headers.get(b"host", b"").decode("latin-1").lower()
    else:
        same = not caller.by_cookie
    if not same:
        raise RefusalError(
            HTTPStatus.FORBIDDEN,
            "OriginError",
            "the request does not come from a page of this service; "
            "other programs send an API key as `Authorization: Bearer KEY`",
        )


def _authority(origin: bytes) -> str | None:
    try:
        return urlsplit(origin.decode("latin-1").lower()).netloc or None
    except ValueError:
        return None
