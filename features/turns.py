"""One at a time: a lock on a workspace that a process which died has given back."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from features.errors import GoldpanError
from features.workspace import Workspace

BRIEFLY = "briefly"
PATIENCE = 120.0
"""Seconds to wait for turns that are brief: others may be many, but each is over soon."""


@contextmanager
def alone(workspace: Workspace, what: str, *, brief: bool = False) -> Iterator[None]:
    """Let one `what` (ingest, build, score) at a time into a workspace; raises, never waits.

    Except for a turn that says of itself that it is `brief`: its end is waited for.
    """
    with _turn(workspace, what, fcntl.LOCK_EX, brief=brief):
        yield


@contextmanager
def together(workspace: Workspace, what: str, last: Callable[[], None]) -> Iterator[None]:
    """Let any number at one `what`, also within each other; who is to be `alone` waits for them.

    Whoever is the last to end calls `last`, before anybody else begins.
    """
    with _turn(workspace, what, fcntl.LOCK_SH, brief=True) as lock:
        yield
        with suppress(BlockingIOError):  # others are still at it
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            last()


@contextmanager
def _turn(workspace: Workspace, what: str, kind: int, *, brief: bool) -> Iterator[TextIO]:
    workspace.root.mkdir(parents=True, exist_ok=True)
    with (workspace.root / f".{what}.lock").open("a+") as lock:
        _enter(lock, workspace, what, kind)
        lock.truncate(0)
        lock.write(f"{os.getpid()} {BRIEFLY}" if brief else str(os.getpid()))
        lock.flush()
        yield lock


def _enter(lock: TextIO, workspace: Workspace, what: str, kind: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder, _, said = (lock.read() or "?").partition(" ")
            if BRIEFLY not in said or time.monotonic() > deadline:
                raise GoldpanError(
                    f"another {what} at work in {workspace.root} (process {holder})",
                    expected="one at a time",
                    do="Wait until it ends, or stop it, and run the command again.",
                ) from None
            time.sleep(0.02)
        else:
            return
