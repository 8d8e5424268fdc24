"""A request's body: JSON by its header, small enough, and here in time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request

from serving.api.problems import ProblemError, shown

MOST_HEADER_BYTES = 32 << 10
MOST_BYTES = 1 << 20
MOST_WAITING = 64 << 20
BODY_SECONDS = 15.0
JSON, FORM = "application/json", "application/x-www-form-urlencoded"

Receive = Callable[[], Awaitable[Any]]


async def body_of(request: Request) -> bytes:
    """The body, which the guard has read: complete, small enough, JSON by its header."""
    return await request.body()


class Reader:
    """Reads bodies for one process; all that wait for their rest hold 64 MiB at most together."""

    def __init__(self) -> None:
        self.waiting = 0

    async def body(self, receive: Receive, headers: Mapping[str, str], kind: str = JSON) -> bytes:
        """A whole body; ProblemError for one that is too large, too slow or of another kind."""
        _check_kind(headers, kind)
        if int(headers.get("content-length", 0)) > MOST_BYTES:
            raise _too_large()
        kept = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await self._fill(kept, receive)
        except TimeoutError:
            detail = f"The body was not complete after {BODY_SECONDS:.0f} seconds."
            raise ProblemError("too-slow", detail, headers={"connection": "close"}) from None
        finally:
            self.waiting -= len(kept)
        return bytes(kept)

    async def _fill(self, kept: bytearray, receive: Receive) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk, more = message.get("body", b""), message.get("more_body", False)
            # The server reads on what is refused here, unkept, so that its sender listens.
            if len(kept) + len(chunk) > MOST_BYTES:
                raise _too_large()
            kept += chunk
            self.waiting += len(chunk)
            if more and self.waiting > MOST_WAITING:
                detail = "Too many bodies are on their way. Try again."
                raise ProblemError("overloaded", detail, headers={"retry-after": "1"})


def _check_kind(headers: Mapping[str, str], kind: str) -> None:
    said = headers.get("content-type", "")
    media_type, _, parameters = (part.strip().lower() for part in said.partition(";"))
    plain = media_type == kind and not headers.get("content-encoding")
    if plain and parameters.replace('"', "").replace(" ", "") in ("", "charset=utf-8"):
        return
    found = shown(said) if said else "no content type"
    if headers.get("content-encoding"):
        found += f", encoded as {shown(headers['content-encoding'])}"
    raise ProblemError(
        "unsupported-media-type",
        f"Found {found}; expected {kind} in UTF-8, not compressed.",
        field="content-type",
        found=found,
        expected=kind,
    )


def _too_large() -> ProblemError:
    found, expected = f"more than {MOST_BYTES} bytes", f"at most {MOST_BYTES} bytes"
    return ProblemError(
        "too-large", f"Found {found}; expected {expected}.", "body", found, expected
    )
