"""Load on a server: closed loops, and an open one that keeps its pace whatever the answers take.

The client is small on purpose: on a machine of two cores it must leave them to the server.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

IDLE_SECONDS = 3.0


@dataclass
class Heard:
    """What a load heard: seconds of each good answer, errors in words, and how long it took."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    wall: float = 0.0

    def quantile(self, share: float) -> float:
        """The seconds within which that share of the answers came."""
        return float(np.quantile(self.seconds, share)) if self.seconds else float("nan")

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.seconds) / self.wall if self.wall else 0.0


@dataclass(frozen=True)
class Target:
    """An address, and the bodies to post to it in turn."""

    url: str
    bodies: Sequence[object]
    headers: dict[str, str] = field(default_factory=dict)

    def requests(self) -> list[bytes]:
        """Each request as its bytes."""
        parts = urlsplit(self.url)
        common = {"host": parts.netloc, "content-type": "application/json", **self.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in common.items())
        found = []
        for body in self.bodies:
            content = json.dumps(body).encode()
            head = f"POST {parts.path} HTTP/1.1\r\n{lines}content-length: {len(content)}\r\n\r\n"
            found.append(head.encode() + content)
        return found


class Connection:
    """One connection that is kept; a request at a time."""

    def __init__(self, target: Target) -> None:
        parts = urlsplit(target.url)
        self.host, self.port = parts.hostname, parts.port
        self.writer: asyncio.StreamWriter | None = None
        self.used = 0.0

    async def post(self, request: bytes) -> str:
        """Send a request; "" for an answer with status 200, else what came.

        A connection that was long idle is given up: the server may be closing it.
        """
        if time.perf_counter() - self.used > IDLE_SECONDS:
            self.close()
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        content = await self.reader.readexactly(int(length))
        self.used = time.perf_counter()
        if head.startswith(b"HTTP/1.1 200"):
            return ""
        return f"{head[:12].decode()} {content[:200].decode(errors='replace')}"

    def close(self) -> None:
        """Give it up."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def closed(target: Target, at_once: int, seconds: float) -> Heard:
    """So many clients, each of which asks again when it is answered."""
    return asyncio.run(_closed(target, at_once, seconds))


def opened(target: Target, rate: float, seconds: float) -> Heard:
    """So many requests a second; each is timed from when it should have been sent."""
    return asyncio.run(_opened(target, rate, seconds))


async def _closed(target: Target, at_once: int, seconds: float) -> Heard:
    heard, requests = Heard(), target.requests()
    began = time.perf_counter()

    async def client(number: int) -> None:
        connection, turn = Connection(target), number
        while time.perf_counter() < began + seconds:
            await _ask(connection, requests[turn % len(requests)], time.perf_counter(), heard)
            turn += at_once
        connection.close()

    await asyncio.gather(*(client(number) for number in range(at_once)))
    heard.wall = time.perf_counter() - began
    return heard


async def _opened(target: Target, rate: float, seconds: float) -> Heard:
    heard, requests = Heard(), target.requests()
    idle: list[Connection] = []
    asked: set[asyncio.Task[None]] = set()
    began = time.perf_counter()

    async def ask(turn: int) -> None:
        connection = idle.pop() if idle else Connection(target)
        await _ask(connection, requests[turn % len(requests)], began + turn / rate, heard)
        idle.append(connection)

    for turn in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + turn / rate - time.perf_counter()))
        task = asyncio.create_task(ask(turn))
        asked.add(task)
        task.add_done_callback(asked.discard)
    await asyncio.gather(*asked)
    heard.wall = time.perf_counter() - began
    for connection in idle:
        connection.close()
    return heard


async def _ask(connection: Connection, request: bytes, due: float, heard: Heard) -> None:
    try:
        error = await connection.post(request)
    except (OSError, asyncio.IncompleteReadError) as failure:
        connection.close()
        error = repr(failure)
    if error:
        heard.errors.append(error)
    else:
        heard.seconds.append(time.perf_counter() - due)
