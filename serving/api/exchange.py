"""One request and what becomes of it: its id, its key, its status, and how long it took."""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from uuid import uuid4

from serving.ledger.keys import Key

Scope = MutableMapping[str, Any]
Send = Callable[[Any], Awaitable[None]]
GONE = 499  # the client left before there was an answer; never sent
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


class Exchange:
    """What the guard, the log and the figures know of a request.

    HEAD is answered as GET is, without the body.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self.asked = str(scope["method"])
        # A copy: the server, which knows that there is no body to HEAD, goes by its own.
        self.scope = {**scope, "method": "GET"} if self.asked == "HEAD" else scope
        self._send = send
        self.begun = time.perf_counter()
        self.status = GONE
        self.answering = False
        self.headers: Mapping[str, str] = {}
        self.state: MutableMapping[str, Any] = self.scope.setdefault("state", {})
        self.state["request_id"] = uuid4().hex

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send a part of the answer; the headers that all answers have go with its start."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answering = True
            message["headers"] = [
                *message["headers"],
                (b"x-content-type-options", b"nosniff"),
                *((name.encode(), value.encode()) for name, value in self.headers.items()),
            ]
        elif self.asked == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)

    @property
    def request_id(self) -> str:
        """The name of this request: in the answer's body and header, and in the log."""
        return str(self.state["request_id"])

    @property
    def method(self) -> str:
        """The method, or `other`: what a client makes up must not become a label."""
        return self.asked if self.asked in METHODS else "other"

    @property
    def route(self) -> str:
        """The template of the address, never the address itself, which may name an account."""
        known = self.state.get("route") or getattr(self.scope.get("route"), "path", None)
        return str(known or "unknown")

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self.begun

    def told(self) -> dict[str, Any]:
        """What the log says of it; nothing that a person or an account could be known by."""
        key: Key | None = self.state.get("key")
        line = {
            "request_id": self.request_id,
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "ms": round(self.seconds * 1000, 3),
        }
        optional = {
            "key": key.id if key else None,
            "models": self.state.get("models"),
            "replayed": self.state.get("replayed"),
            "problem": self.state.get("problem"),
        }
        return line | {name: value for name, value in optional.items() if value}
