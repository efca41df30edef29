"""What went wrong at an OpenAI-compatible server: a matter of one request, or of all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from descriptors.generation import FailureReason, RequestFailure
from indexer.errors import BackendError

if TYPE_CHECKING:
    import openai

# Servers that need no key are given this one, since the client insists on some key.
NO_KEY = "EMPTY"
_CONTEXT_OVERFLOW = re.compile(r"context[ _]?(length|size|window)", re.IGNORECASE)
_LONGEST_QUOTE = 300
_MOST_MODELS = 30
_NO_MONEY = ("insufficient_quota", "billing_hard_limit_reached")


@dataclass(frozen=True)
class Server:
    """What messages say about a server; the key is known here only to keep it out of them."""

    base_url: str
    model: str
    api_key: str = field(repr=False)

    @property
    def shown_url(self) -> str:
        """The base URL without user, password and query, any of which may be secret."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")

    def quote(self, error: object) -> str:
        """What the server or its client said, on one line, cut, without the key."""
        text = " ".join(str(error).split())
        if self.api_key != NO_KEY:
            text = text.replace(self.api_key, "[key]")
        return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "…"


def explain(error: openai.APIError, server: Server) -> RequestFailure | BackendError:
    """The failure of one request, or the reason why none can work.

    A status of 404 is not decided here: what to say depends on the models the server has.
    """
    import openai

    if isinstance(error, openai.APIStatusError):
        return _explain_status(error, server)
    if isinstance(error, openai.APIConnectionError):
        return _explain_connection(error, server)
    return RequestFailure(reason=FailureReason.CUT_OFF, message=server.quote(error))


def is_context_overflow(error: openai.APIStatusError) -> bool:
    """Whether a rejection says that the prompt, or prompt and answer, are too long."""
    return bool(_CONTEXT_OVERFLOW.search(f"{error.code or ''} {error.type or ''} {error.message}"))


def not_found(
    error: openai.NotFoundError, server: Server, offered: list[str] | None
) -> BackendError:
    """What to say after a 404, given the models the server lists (None: it lists none)."""
    if offered is None:
        return BackendError(
            f"{server.shown_url} answers 404 and lists no models: it does not look like an "
            "OpenAI-compatible server. Its base URL usually ends with /v1; set OPENAI_BASE_URL."
        )
    if server.model in offered:
        return BackendError(
            f"{server.shown_url} lists the model {server.model!r} but does not chat with it: "
            f"{server.quote(error.message)}. Name a chat model after `openai:`."
        )
    shown = ", ".join(sorted(offered)[:_MOST_MODELS]) or "none"
    more = f" and {len(offered) - _MOST_MODELS} more" if len(offered) > _MOST_MODELS else ""
    return BackendError(
        f"{server.shown_url} does not know the model {server.model!r}; it offers: {shown}{more}. "
        "Name one of them after `openai:`."
    )


def keeps_failing(server: Server, n_failures: int, last: RequestFailure) -> BackendError:
    """What to say when request after request fails although each was retried."""
    return BackendError(
        f"{server.shown_url} keeps failing: {n_failures} requests in a row got no answer, the last "
        f"one because: {last.message}. Every answer so far is kept; run again when the server is "
        "well, or with fewer requests at a time."
    )


def _explain_status(error: openai.APIStatusError, server: Server) -> RequestFailure | BackendError:
    status, said = error.status_code, server.quote(error.message)
    if status in {401, 403}:
        return BackendError(
            f"{server.shown_url} refuses the key (status {status}): {said}. "
            "Set OPENAI_API_KEY to a key that may use this server and model."
        )
    if status == 402 or error.code in _NO_MONEY:
        return BackendError(
            f"the account at {server.shown_url} has nothing left to spend (status {status}): "
            f"{said}. Every answer so far is kept."
        )
    if status in {408, 409, 429} or status >= 500:
        reason = FailureReason.SERVER_FAILED
    elif is_context_overflow(error):
        reason = FailureReason.CONTEXT_OVERFLOW
    else:
        reason = FailureReason.REJECTED
    return RequestFailure(reason=reason, message=f"status {status}: {said}")


def _explain_connection(
    error: openai.APIConnectionError, server: Server
) -> RequestFailure | BackendError:
    import httpx2
    import openai

    cause = error.__cause__
    if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout)):
        return BackendError(
            f"no server answers at {server.shown_url}: {server.quote(cause)}. Start one, for "
            f"example `vllm serve {server.model}` (http://localhost:8000/v1) or `ollama serve` "
            "(http://localhost:11434/v1), and set OPENAI_BASE_URL to its address."
        )
    if isinstance(error, openai.APITimeoutError):
        return RequestFailure(
            reason=FailureReason.SERVER_FAILED, message="the server did not answer in time"
        )
    return RequestFailure(
        reason=FailureReason.CUT_OFF,
        message=f"the connection broke before the answer was complete: {server.quote(cause)}",
    )
