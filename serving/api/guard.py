"""The edge before the framework: who asks, how much, how long, in what form.

What comes through is from a known key (or for an address that is open to all), has a body of JSON
by its header and of at most 1 MiB, complete in memory, and an address without tricks. Whatever is
raised further in becomes a problem here, and every request is told to the log and the figures.
"""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import ClientDisconnect

from serving.api import metrics
from serving.api.access import Doorkeeper
from serving.api.exchange import GONE, Exchange, Scope, Send
from serving.api.limits import Limits
from serving.api.problems import ProblemError, unfit
from serving.api.reading import FORM, JSON, MOST_HEADER_BYTES, Reader, Receive

Application = Callable[[Scope, Receive, Send], Awaitable[None]]

ANSWER_SECONDS = 30.0  # less than BentoML's own limit, whose answer has another shape
MOST_HEADERS = 100
MOST_PATH_BYTES, MOST_QUERY_BYTES = 1_000, 4_000
ONLY_ONCE = ("authorization", "content-type", "content-length", "content-encoding",
             "idempotency-key", "transfer-encoding")  # fmt: skip
TAKES_BODY = frozenset({"POST", "PUT", "PATCH"})
UNPRINTABLE = re.compile(rb"[\x00-\x1f\x7f]")
SLASH = re.compile(rb"%2f|%5c|\\", re.IGNORECASE)

log = logging.getLogger("goldpan.serving")
requests = logging.getLogger("goldpan.requests")


class Guard:
    """An ASGI application around ours.

    `pages`: the path below which people have signed in, by cookies, and send forms.
    """

    def __init__(
        self,
        app: Application,
        doorkeeper: Doorkeeper,
        limits: Limits,
        open_to_all: frozenset[tuple[str, str]],
        pages: str,
    ) -> None:
        self.app = app
        self.doorkeeper = doorkeeper
        self.limits = limits
        self.open_to_all = open_to_all
        self.pages = pages
        self.reader = Reader()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, send)
        try:
            await self._answer(exchange, receive)
        except ClientDisconnect:
            # Nobody hears it; BentoML would wait for a first word until its own limit.
            await send({"type": "http.response.start", "status": GONE, "headers": []})
        except Exception as error:
            await _refuse(exchange, _problem(error, exchange.request_id), receive)
        finally:
            metrics.count(exchange)
            requests.info("", extra={"fields": exchange.told()})

    async def _answer(self, exchange: Exchange, receive: Receive) -> None:
        scope = exchange.scope
        headers = checked_headers(scope)
        check_address(scope)
        await self._admit(exchange, headers)
        has_body = scope["method"] in TAKES_BODY or _announces_body(headers)
        kind = FORM if self._is_page(scope) else JSON
        body = await self.reader.body(receive, headers, kind) if has_body else b""
        exchange.state.update(headers=headers, body=body)
        with self.limits.under_way(), metrics.under_way():
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.app(scope, _again(body, receive), exchange.send)

    async def _admit(self, exchange: Exchange, headers: Mapping[str, str]) -> None:
        """A valid key within its limit, or an address that is open to all."""
        if self._is_page(exchange.scope):
            return
        address = (exchange.scope["method"], exchange.scope["path"])
        if address in self.open_to_all:
            if exchange.scope["method"] in TAKES_BODY:
                exchange.headers = self.limits.asked(f"all: {address[1]}")
            return
        key = await self.doorkeeper.let_in(headers.get("authorization", ""))
        exchange.state["key"] = key
        exchange.headers = self.limits.asked(key.id)

    def _is_page(self, scope: Scope) -> bool:
        return bool(scope["path"] == self.pages or scope["path"].startswith(f"{self.pages}/"))


def checked_headers(scope: Scope) -> dict[str, str]:
    """The headers by their names; ProblemError for those that contradict each other."""
    raw = scope["headers"]
    size = sum(len(name) + len(value) for name, value in raw)
    if size > MOST_HEADER_BYTES or len(raw) > MOST_HEADERS:
        expected = f"at most {MOST_HEADERS} headers of {MOST_HEADER_BYTES} bytes together"
        found = f"{len(raw)} headers of {size} bytes"
        detail = f"Found {found}; expected {expected}."
        raise ProblemError("headers-too-large", detail, "headers", found, expected)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}
    if len(headers) < len(raw):
        _check_said_once(Counter(name.decode("latin-1") for name, _ in raw))
    if "transfer-encoding" in headers and "content-length" in headers:
        raise _ambiguous("both Content-Length and Transfer-Encoding", "one of them")
    if headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise _ambiguous("another Transfer-Encoding", "chunked, or a Content-Length")
    if not headers.get("content-length", "0").isdecimal():
        raise _ambiguous("a Content-Length that is no number", "digits")
    return headers


def check_address(scope: Scope) -> None:
    """ProblemError for a path or a query that is too long or hides what it says."""
    path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
    for name, part, most in (("path", path, MOST_PATH_BYTES), ("query", query, MOST_QUERY_BYTES)):
        if len(part) > most:
            found, expected = f"{len(part)} bytes", f"at most {most} bytes"
            detail = f"{name}: found {found}; expected {expected}."
            raise ProblemError("address-too-long", detail, name, found, expected)
    if SLASH.search(path) or _hides(path):
        found = "an encoded slash, a control character or bytes that are not UTF-8"
        raise ProblemError("not-found", f"Found {found} in the path.", "path", found)
    if query and _hides(query):
        found = "a control character or bytes that are not UTF-8"
        raise unfit("query", found, "printable UTF-8")


def _hides(part: bytes) -> bool:
    plain = unquote_to_bytes(part)
    try:
        plain.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return UNPRINTABLE.search(plain) is not None


def _check_said_once(counts: Mapping[str, int]) -> None:
    if twice := [name for name in ONLY_ONCE if counts.get(name, 0) > 1]:
        raise _ambiguous(f"{twice[0]} twice", "one of them")


def _ambiguous(found: str, expected: str) -> ProblemError:
    detail = f"Found {found}; expected {expected}."
    headers = {"connection": "close"}
    return ProblemError("invalid-http", detail, "headers", found, expected, headers=headers)


def _announces_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or int(headers.get("content-length", 0)) > 0


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, once; then what the client does."""
    given = False

    async def next_message() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return next_message


def _problem(error: Exception, request_id: str) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, TimeoutError):
        detail = f"There was no answer in {ANSWER_SECONDS:.0f} seconds. Ask for less at once."
        return ProblemError("timed-out", detail)
    return failure(error, request_id)


def failure(error: Exception, request_id: str) -> ProblemError:
    """A fault of ours: told without its inside, which goes to the log."""
    log.error("a request failed", exc_info=error, extra={"fields": {"request_id": request_id}})
    detail = "Something on our side failed. Try again; name the request_id when you tell us."
    return ProblemError("internal-error", detail)


async def _refuse(exchange: Exchange, problem: ProblemError, receive: Receive) -> None:
    """Send the problem, unless an answer has begun: then the connection can only be cut."""
    if exchange.answering and "problem" in exchange.state:
        return  # the framework raises again what it has answered
    if exchange.answering:
        raise ConnectionAbortedError("an answer that had begun could not be ended")
    exchange.state["problem"] = problem.kind
    await problem.response(exchange.request_id)(exchange.scope, receive, exchange.send)
