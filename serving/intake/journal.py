"""The journal: what is acknowledged stands on the disk before.

Each worker writes files of its own, so that none waits for another. Requests that come while the
disk is busy are written together and share one sync.
"""

import asyncio
import fcntl
import logging
import os
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from features.workspace import Workspace, make_folder, sync
from serving.intake.frames import framed

LARGEST = 16 << 20
"""A file of more bytes is closed, and another begun: what is in the lake can be deleted."""
ENDING = ".journal"
MOST_WAITING = 64 << 20

log = logging.getLogger("goldpan.serving")


class JournalError(Exception):
    """Nothing was kept: the disk is full, or does not answer."""


def folder_of(workspace: Workspace) -> Path:
    """Where the journals of all workers lie."""
    return workspace.root / "intake" / "journals"


@dataclass(frozen=True)
class _Entry:
    content: bytes
    done: asyncio.Future[None]
    loop: asyncio.AbstractEventLoop

    def tell(self, error: JournalError | None) -> None:
        """Let the request that waits for it go on."""
        self.loop.call_soon_threadsafe(self._tell, error)

    def _tell(self, error: JournalError | None) -> None:
        if self.done.done():  # the caller has gone away
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class Journal:
    """One worker's journal; its thread starts with the first records."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._waiting: list[_Entry] = []
        self._size = 0
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._file = _File(folder)

    async def keep(self, records: Sequence[bytes]) -> None:
        """Return when the records are on the disk; JournalError when they are not kept."""
        loop = asyncio.get_running_loop()
        entry = _Entry(framed(records), loop.create_future(), loop)
        with self._wake:
            if self._size + len(entry.content) > MOST_WAITING:
                raise JournalError("more events than the disk keeps up with")
            self._size += len(entry.content)
            self._waiting.append(entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
                self._thread.start()
            self._wake.notify()
        await entry.done

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._waiting:
                    self._wake.wait()
                group, self._waiting, self._size = self._waiting, [], 0
            error = self._commit(group)
            for entry in group:
                entry.tell(error)

    def _commit(self, group: list[_Entry]) -> JournalError | None:
        """One write and one sync for all of a group."""
        try:
            self._file.append(b"".join(entry.content for entry in group))
        except OSError as error:
            log.error("events refused, for the journal cannot be written: %s", error.strerror)
            return JournalError(error.strerror or "the disk does not answer")
        return None


class _File:
    """The file that is written to, held under a lock: whoever collects it sees it is in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.handle = -1
        self.size = 0

    def append(self, content: bytes) -> None:
        """Put bytes on the disk, all or none; OSError when that failed."""
        if self.handle < 0 or self.size >= LARGEST:
            self._close()
            self._open()
        try:
            _write(self.handle, content)
            os.fdatasync(self.handle)
        except OSError:
            self._give_up()
            raise
        self.size += len(content)

    def _open(self) -> None:
        """Begin a file; it appears locked, and its name is on the disk before its first record."""
        make_folder(self.folder)
        name = f"{time.time_ns():020}-{uuid.uuid4().hex[:8]}{ENDING}"
        hidden = self.folder / f".{name}"
        handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            hidden.rename(self.folder / name)
            sync(self.folder)
        except OSError:
            os.close(handle)
            raise
        self.handle, self.size = handle, 0

    def _give_up(self) -> None:
        """After a failed write: cut off what nobody was told is kept, and begin anew next time."""
        try:
            os.ftruncate(self.handle, self.size)
        except OSError as error:
            log.error("a journal could not be cut back: %s", error.strerror)
        self._close()

    def _close(self) -> None:
        if self.handle >= 0:
            os.close(self.handle)
        self.handle = -1


def _write(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]
