"""How a worker asks the refresher for rows made now: one question and one answer over a socket.

The socket lies in the workspace, in a folder that only its owner may enter. A message is its length
and its bytes. A question is JSON; an answer is `ROWS` and an Arrow stream, or `WHY_NOT` and words.
"""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from features.workspace import Workspace

HEAD = struct.Struct("<I")
ROWS, WHY_NOT = b"R", b"N"
LONGEST = 64 << 20
WAITS_SECONDS = 10.0
"""Within this a worker has its rows, or answers from what it holds."""
LONGEST_ADDRESS = 100
NOBODY = "no process makes scores fresh here, or it is starting"


class NotFreshError(Exception):
    """Rows cannot be had just now; says why, for the caller to read."""


def folder_of(workspace: Workspace) -> Path:
    """Where the socket lies."""
    return workspace.tmp / "refresher"


@contextmanager
def address(workspace: Workspace) -> Iterator[str]:
    """The socket's address; by its folder's descriptor where the path is too long for one."""
    path = str(folder_of(workspace).resolve() / "socket")
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield path
        return
    folder = os.open(folder_of(workspace), os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/socket"
    finally:
        os.close(folder)


def framed(message: bytes) -> bytes:
    """A message as it is sent."""
    return HEAD.pack(len(message)) + message


def received(connection: socket.socket) -> bytes:
    """A whole message; OSError when there is none in time, or none that is meant."""
    [length] = HEAD.unpack(_exactly(connection, HEAD.size))
    if length > LONGEST:
        raise OSError(f"a message of {length} bytes")
    return _exactly(connection, length)


async def rows_now(workspace: Workspace, accounts: Sequence[str]) -> pa.Table:
    """The rows of accounts as of the next midnight UTC, of all that was acknowledged until now.

    Those that are not known then are absent. Raises NotFreshError when they cannot be had in time.
    """
    question = framed(json.dumps({"accounts": list(accounts)}).encode())
    try:
        async with asyncio.timeout(WAITS_SECONDS):
            answer = await _asked(workspace, question)
    except TimeoutError:
        raise NotFreshError(f"no rows within {WAITS_SECONDS:.0f} seconds") from None
    except (OSError, asyncio.IncompleteReadError):
        raise NotFreshError(NOBODY) from None
    if answer[:1] != ROWS:
        raise NotFreshError(answer[1:].decode("utf-8", "replace"))
    return pa.ipc.open_stream(pa.py_buffer(answer[1:])).read_all()


async def _asked(workspace: Workspace, question: bytes) -> bytes:
    with address(workspace) as path:
        reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(question)
        [length] = HEAD.unpack(await reader.readexactly(HEAD.size))
        return await reader.readexactly(min(length, LONGEST))
    finally:
        writer.close()


def _exactly(connection: socket.socket, length: int) -> bytes:
    kept = bytearray()
    while len(kept) < length:
        chunk = connection.recv(length - len(kept))
        if not chunk:
            raise OSError("a connection that ended")
        kept += chunk
    return bytes(kept)
