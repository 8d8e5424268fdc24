"""The refresher's ear: workers ask for rows made now, its own loop answers them between rounds."""

import json
import logging
import os
import queue
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc

from features.workspace import Workspace
from serving.intake.wire import (
    ROWS,
    WAITS_SECONDS,
    WHY_NOT,
    address,
    folder_of,
    framed,
    received,
)

MOST_WAITING = 256
STARTING, BUSY = "the process that makes scores fresh is starting", "too many ask at once"

log = logging.getLogger("goldpan.intake")


@dataclass(frozen=True)
class Question:
    """Accounts whose rows somebody waits for."""

    accounts: tuple[str, ...]
    asked_at: float = field(default_factory=time.monotonic)
    answer: Future[bytes] = field(default_factory=Future)

    def tell(self, answer: bytes) -> None:
        """Answer it; who has gone meanwhile does not hear."""
        with suppress(InvalidStateError):
            self.answer.set_result(answer)


class Listening:
    """Listens as long as its block lasts; until `ready`, everybody is told that it is starting."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.ready = False
        self._questions: queue.Queue[Question] = queue.Queue(MOST_WAITING)
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        folder = folder_of(self.workspace)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        (folder / "socket").unlink(missing_ok=True)  # of one that was killed
        with address(self.workspace) as path:
            self._server = _Server(path, self._ask)
        (folder / "socket").chmod(0o600)
        threading.Thread(target=self._server.serve_forever, name="asked", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        assert self._server is not None  # noqa: S101 - the block was entered
        (folder_of(self.workspace) / "socket").unlink(missing_ok=True)
        self._server.shutdown()
        self._server.server_close()

    def questions(self, seconds: float) -> list[Question]:
        """Those that wait; when there are none, the first that comes within so many seconds."""
        found: list[Question] = []
        with suppress(queue.Empty):
            found.append(self._questions.get(timeout=seconds))
            while True:
                found.append(self._questions.get_nowait())
        late = time.monotonic() - WAITS_SECONDS
        return [question for question in found if question.asked_at > late]

    def _ask(self, accounts: Sequence[str]) -> bytes:
        """What a connection's thread waits for."""
        question = Question(tuple(accounts))
        if not self.ready:
            return why_not(STARTING)
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            return why_not(BUSY)
        return question.answer.result(WAITS_SECONDS)


def told(questions: Sequence[Question], rows: pa.Table) -> None:
    """Give each of those who asked their rows."""
    for question in questions:
        mine = rows.filter(pc.is_in(rows["account_id"], pa.array(question.accounts, pa.string())))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, mine.schema) as stream:
            stream.write_table(mine)
        question.tell(ROWS + sink.getvalue().to_pybytes())


def why_not(words: str) -> bytes:
    """The answer of somebody who has no rows."""
    return WHY_NOT + words.encode()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_WAITING

    def __init__(self, path: str, ask: Callable[[Sequence[str]], bytes]) -> None:
        self.ask = ask
        former = os.umask(0o177)
        try:
            super().__init__(path, _Conversation)
        finally:
            os.umask(former)


class _Conversation(socketserver.BaseRequestHandler):
    request: socket.socket
    server: _Server

    def handle(self) -> None:
        """One question, one answer; who breaks off is forgotten."""
        self.request.settimeout(WAITS_SECONDS)
        with suppress(OSError, ValueError, KeyError, TypeError, TimeoutError):
            asked = json.loads(received(self.request))
            self.request.sendall(framed(self.server.ask([str(a) for a in asked["accounts"]])))
