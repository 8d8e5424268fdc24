"""`Idempotency-Key` on every POST: the same request again gets the first answer, byte for byte.

Between the guard and the routes: the key is known, the body is whole. Without the header it costs
a look into the headers.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from serving.api.exchange import Scope, Send
from serving.api.problems import ProblemError, unfit
from serving.api.reading import Receive
from serving.ledger import idempotency
from serving.ledger.idempotency import Claim, Kept, Reused, Running

HEADER = "idempotency-key"
NAME = re.compile(r"[\x21-\x7e]{1,200}")
NOT_KEPT = frozenset({401, 403, 408, 409, 429})  # and our own faults: asking again is right
WAIT_SECONDS, POLL_SECONDS, FORGET_SECONDS = 5.0, 0.05, 60.0


class Idempotent:
    """An ASGI application around ours."""

    def __init__(
        self, app: Callable[[Scope, Receive, Send], Awaitable[None]], ledger: Engine
    ) -> None:
        self.app = app
        self.ledger = ledger
        self.forgot_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or give the answer that it has had."""
        state = scope.get("state", {})
        name = state.get("headers", {}).get(HEADER)
        if name is None or scope["method"] != "POST" or "key" not in state:
            await self.app(scope, receive, send)
            return
        wanted = _claim(scope, name)
        found = await self._claimed(wanted)
        if isinstance(found, Kept):
            await _replay(found, state, send)
        else:
            await self._work(wanted, found, scope, receive, send)

    async def _claimed(self, wanted: Claim) -> Kept | str:
        """The kept answer, or the name under which we do the work; waits for who does it now."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            found = await self._in_ledger(idempotency.claim, wanted)
            if isinstance(found, Reused):
                raise _reused()
            if not isinstance(found, Running):
                return found
            if time.monotonic() > deadline:
                raise _in_use()
            await asyncio.sleep(POLL_SECONDS)

    async def _work(
        self, wanted: Claim, owner: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let the routes answer; keep that before anybody sees it.

        What may have been done is not given up: an answer that could not be kept, and work that was
        cut off by the time limit, whose thread may still write. Who asks again is told to wait,
        until the claim counts as abandoned.
        """
        answer = _Answer()
        try:
            await self.app(scope, receive, answer.take)
        except Exception:
            await self._in_ledger(idempotency.release, wanted, owner)
            raise
        if answer.status in NOT_KEPT or answer.status >= 500:
            await self._in_ledger(idempotency.release, wanted, owner)
        else:
            route = getattr(scope.get("route"), "path", "unknown")
            await self._in_ledger(idempotency.keep, wanted, owner, answer.kept(route))
        await answer.give(send)
        await self._forget()

    async def _forget(self) -> None:
        if time.monotonic() - self.forgot_at > FORGET_SECONDS:
            self.forgot_at = time.monotonic()
            await self._in_ledger(idempotency.forget, datetime.now(UTC))

    async def _in_ledger(self, do: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.to_thread(do, self.ledger, *arguments)
        except SQLAlchemyError:
            detail = "The ledger that keeps answers does not answer. Try again."
            raise ProblemError("not-ready", detail, headers={"retry-after": "5"}) from None


class _Answer:
    """The parts of an answer, held until it may be sent."""

    def __init__(self) -> None:
        self.messages: list[MutableMapping[str, Any]] = []

    async def take(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    def kept(self, route: str) -> Kept:
        pairs = self.messages[0]["headers"]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in pairs]
        body = b"".join(message.get("body", b"") for message in self.messages[1:])
        return Kept(self.status, headers, body, route)

    async def give(self, send: Send) -> None:
        for message in self.messages:
            await send(message)


async def _replay(kept: Kept, state: MutableMapping[str, Any], send: Send) -> None:
    """Give a kept answer again; its body names the first request, and so does the log."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept.headers]
    state["request_id"] = dict(kept.headers).get("x-request-id", state["request_id"])
    state["route"], state["replayed"] = kept.route, True
    headers.append((b"idempotency-replayed", b"true"))
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": kept.body})


def _claim(scope: Scope, name: str) -> Claim:
    if not NAME.fullmatch(name):
        expected = "1 to 200 printable ASCII characters without spaces"
        raise unfit(HEADER, "another value", expected)
    state = scope["state"]
    said = sha256()
    for part in (scope["path"].encode(), scope["query_string"], state["body"]):
        said.update(len(part).to_bytes(8, "big") + part)
    return Claim(state["key"].id, name, said.hexdigest())


def _reused() -> ProblemError:
    expected = "the request that it was first sent with, or another name"
    detail = f"{HEADER}: found one that stands for another request; expected {expected}."
    found = "a name that stands for another request"
    return ProblemError("idempotency-key-reused", detail, HEADER, found, expected)


def _in_use() -> ProblemError:
    detail = "The first request with this Idempotency-Key is still being answered. Try again."
    return ProblemError("idempotency-key-in-use", detail, HEADER, headers={"retry-after": "1"})
