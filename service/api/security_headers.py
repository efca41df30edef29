"""The headers that every answer carries."""

from __future__ import annotations

RawHeaders = list[tuple[bytes, bytes]]

_ALWAYS: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not `no-referrer`, with which browsers hide the origin of forms even from their own site.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"camera=(), geolocation=(), microphone=(), payment=(), usb=(), interest-cohort=()",
    ),
]
_ALWAYS_NAMED = frozenset(name for name, _ in _ALWAYS)
_POLICY = b"content-security-policy"
_OF_DATA = b"default-src 'none'; frame-ancestors 'none'; sandbox"
_OF_PAGES = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
_HTTPS = (b"strict-transport-security", b"max-age=31536000")
_NOT_KEPT = (b"cache-control", b"no-store")


def add_security_headers(
    headers: RawHeaders, *, nonce: str, scheme: str, authenticated: bool
) -> None:
    """Complete the headers of an answer; what a route has set itself stays.

    Args:
        headers: completed in place.
        nonce: of the page, if it is one.
        scheme: of the request.
        authenticated: whether the answer was given for a key, and is for its holder only.
    """
    own = {name.lower(): value for name, value in headers}
    if own.keys().isdisjoint(_ALWAYS_NAMED):
        headers += _ALWAYS
    else:
        headers += [each for each in _ALWAYS if each[0] not in own]
    if _POLICY not in own:
        is_page = own.get(b"content-type", b"").startswith(b"text/html")
        headers.append((_POLICY, _OF_PAGES.format(nonce=nonce).encode() if is_page else _OF_DATA))
    if scheme == "https":
        headers.append(_HTTPS)
    if authenticated and b"cache-control" not in own:
        headers.append(_NOT_KEPT)
