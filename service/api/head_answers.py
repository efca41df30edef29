"""HEAD is answered wherever GET is, by the headers of GET's answer.

Load balancers and download tools ask with HEAD. The routes know nothing of it: what they send as a
body ends here, and a body that comes in parts is not even made, as events of a job never end.
"""

from __future__ import annotations

from starlette.types import Message, Scope, Send


class BodyUnwantedError(Exception):
    """Ends a route that has sent its headers and goes on with a body that nobody reads."""


def asked_by_get(scope: Scope) -> Scope:
    """The request as its route shall see it: one of HEAD as the same of GET."""
    # A copy: the server looks at its own to know that no body follows.
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


def without_body(send: Send) -> Send:
    """Sends an answer without its body.

    Raises:
        BodyUnwantedError: the body comes in parts; the answer is complete.
    """

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
        elif message.get("body") or not message.get("more_body", False):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            if message.get("more_body", False):
                raise BodyUnwantedError

    return send_head
