"""A request's body: JSON by its header, small enough, and here in time."""

import asyncio

from starlette.requests import Request

from serving.api.problems import ProblemError, shown

MOST_BYTES = 1 << 20
MOST_DISCARDED = 16 << 20
BODY_SECONDS = 15.0


async def body_of(request: Request) -> bytes:
    """The body, if it is JSON by its header and arrives in time."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" or request.headers.get("content-encoding"):
        found = media_type or "no content type"
        raise ProblemError(
            "unsupported-media-type",
            f"Found {shown(found)}; expected application/json, not compressed.",
            field="content-type",
            found=shown(found),
            expected="application/json",
        )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _within_limit(request)
    except TimeoutError:
        detail = f"The body was not complete after {BODY_SECONDS:.0f} seconds."
        raise ProblemError("too-slow", detail, headers={"connection": "close"}) from None


async def _within_limit(request: Request) -> bytes:
    """The body up to the limit; a larger one is read on unkept, so that its sender listens."""
    kept, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MOST_BYTES:
            kept += chunk
        elif size > MOST_DISCARDED:
            break
    if size > MOST_BYTES:
        found, expected = f"more than {MOST_BYTES} bytes", f"at most {MOST_BYTES} bytes"
        raise ProblemError(
            "too-large", f"Found {found}; expected {expected}.", "body", found, expected
        )
    return bytes(kept)
