"""uvicorn's HTTP protocol with what it lacks: deadlines, a limit of headers, problems as answers.

uvicorn waits for ever for the head of a request, takes headers of any size, answers bytes that are
not HTTP in plain text, and reads on for ever what has been refused. BentoML lets nobody choose the
protocol; `install` puts ours where uvicorn looks for its own.
"""

import asyncio
import json
import logging
from typing import Any
from uuid import uuid4

import uvicorn.protocols.http.auto
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from serving.api.problems import MEDIA_TYPE, ProblemError
from serving.api.reading import MOST_HEADER_BYTES

HEAD_SECONDS = 10.0
LINGER_SECONDS = 1.0
STALLED_SECONDS = 30.0  # a client that does not take its answer
MOST_UNREAD = 64 << 20

requests = logging.getLogger("goldpan.requests")


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.access_log = False
        self.answering: RequestResponseCycle | None = None  # `cycle` is the last that was read
        self.head_bytes: int | None = None  # of a head that has begun and is not complete
        self.refused = False
        self.unread = 0
        self.around = 0  # bytes since the head that are not of a body; each of a body has 8 free
        self.deadline: asyncio.TimerHandle | None = None
        self.stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """The first head must come in time."""
        super().connection_made(transport)
        self._await_head()

    def eof_received(self) -> None:
        """Who was refused and has gone need not be waited for."""
        if self.refused:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """No timer outlives its connection, and nothing more is answered on it."""
        super().connection_lost(exc)
        self._leave()
        for timer in (self.deadline, self.stalled):
            if timer is not None:
                timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head that goes on for too long is refused."""
        if self.refused or self.parser is None or self.transport.is_closing():
            self._drop(data)
            return
        begun = self.head_bytes is not None
        self.around += len(data)
        super().data_received(data)
        if self.head_bytes is None and self.around > 2 * MOST_HEADER_BYTES and not self.refused:
            self._refuse("invalid-http", "Found much around a body; expected its chunks alone.")
        if begun and self.head_bytes is not None:
            self.head_bytes += len(data)
            if self.head_bytes > 2 * MOST_HEADER_BYTES and not self.transport.is_closing():
                expected = f"at most {MOST_HEADER_BYTES} bytes"
                self._refuse("headers-too-large", f"Found too many headers; expected {expected}.")

    def on_message_begin(self) -> None:
        """A head begins."""
        self.head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """A head is here: what follows is the guard's to time."""
        if self.deadline is not None:
            self.deadline.cancel()
        self.head_bytes, self.unread, self.around = None, 0, 0
        super().on_headers_complete()

    def on_header(self, name: bytes, value: bytes) -> None:
        """What follows a body is no header."""
        if self.head_bytes is not None:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """What arrives after the answer is not kept, and has an end."""
        self.around -= 9 * len(body)
        if self.cycle is not None and self.cycle.response_complete:
            self._drop(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """The next head must come in time; the rest of this body too."""
        more = bool(self.pipeline)
        super().on_response_complete()
        if not more:
            self._await_head()

    def pause_writing(self) -> None:
        """A client that takes nothing of its answer is left."""
        super().pause_writing()
        self.stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It takes again."""
        super().resume_writing()
        if self.stalled is not None:
            self.stalled.cancel()

    def send_400_response(self, msg: str) -> None:
        """Bytes that are not HTTP get a problem like everything else."""
        self._refuse("invalid-http", "Found bytes that are not HTTP/1.1; expected a request.")

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.answering = cycle
        super()._start_asgi_task(cycle, app)

    def _should_upgrade_to_ws(self) -> bool:
        return False

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade is not made; the request is answered as it stands, and nothing follows it."""
        self.cycle.keep_alive = False

    def _await_head(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        self.deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        if self.transport.is_closing():
            return
        if self.head_bytes is not None:
            self._refuse("too-slow", f"The head was not complete after {HEAD_SECONDS:.0f} seconds.")
        else:
            self.transport.close()

    def _refuse(self, kind: str, detail: str) -> None:
        """Answer with a problem and close; only where no answer is under way."""
        under_way = self.answering
        if not under_way or under_way.response_complete or not under_way.response_started:
            self.transport.write(_answer(ProblemError(kind, detail)))
        self._leave()
        # A socket closed with bytes unread takes its answer back: read on a while.
        self.refused = True
        if self.deadline is not None:
            self.deadline.cancel()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.deadline = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _leave(self) -> None:
        """Whatever is being answered on this connection finds nobody there any more."""
        self.pipeline.clear()
        if self.answering is not None and not self.answering.response_complete:
            self.answering.disconnected = True
            self.answering.message_event.set()

    def _drop(self, data: bytes) -> None:
        self.unread += len(data)
        if self.unread > MOST_UNREAD:
            self.transport.abort()


def _answer(problem: ProblemError) -> bytes:
    """The problem as bytes of HTTP, told to the log and the figures."""
    from serving.api import metrics  # the supervisor imports this file and counts nothing

    name = uuid4().hex
    body = problem.body(name)
    status, content = int(body["status"]), json.dumps(body).encode()
    told = {"request_id": name, "route": "unknown", "status": status, "problem": problem.kind}
    requests.info("", extra={"fields": told})
    metrics.REQUESTS.labels("other", "unknown", str(status)).inc()
    headers = {"content-type": MEDIA_TYPE, "content-length": str(len(content))}
    headers |= {"x-request-id": name, "cache-control": "no-store", "connection": "close"}
    head = "".join(f"{header}: {value}\r\n" for header, value in headers.items())
    return STATUS_LINE[status] + head.encode() + b"\r\n" + content


def install() -> None:
    """Have uvicorn make our protocol; before it loads its configuration."""
    uvicorn.protocols.http.auto.AutoHTTPProtocol = Protocol
