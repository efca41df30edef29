"""The HTTP server under the service: uvicorn, with an end to headers and to streams."""

from __future__ import annotations

from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.service_settings import ServiceSettings

HEADER_BYTES = 64 * 1024
"""The most that the headers of a request may take; others are not read to their end."""


class BoundedHeaders(HttpToolsProtocol):
    """Closes connections whose headers do not end; uvicorn would keep them all in memory."""

    _in_headers = False
    _header_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read a piece of a request."""
        self._header_bytes += len(data)
        super().data_received(data)
        # Asked afterwards, as a piece may hold the end of the headers and much of a body.
        if self._in_headers and self._header_bytes > HEADER_BYTES:
            self.send_400_response(f"found headers of more than {HEADER_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Begin to count; the first bytes of headers that begin within a piece are not counted."""
        self._in_headers, self._header_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Let what follows be as long as the limits of bodies allow."""
        self._in_headers = False
        super().on_headers_complete()


class ServiceServer(uvicorn.Server):
    """Serves the application; tells its streams to end when it is told to itself.

    Args:
        application: the service.
        settings: of the service.
    """

    def __init__(self, application: FastAPI, settings: ServiceSettings) -> None:
        self._application = application
        config = uvicorn.Config(
            application,
            http=BoundedHeaders,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
        super().__init__(config)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End what has no end of its own, for which the server would wait."""
        # Not there before the application has started.
        if hasattr(self._application.state, "service"):
            self._application.state.service.stopping.set()
        super().handle_exit(sig, frame)
