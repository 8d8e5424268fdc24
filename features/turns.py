"""One at a time: a lock on a workspace that a process which died has given back."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    workspace.root.mkdir(parents=True, exist_ok=True)
    with (workspace.root / f".{what}.lock").open("a+") as lock:
        _enter(lock, workspace, what)
        lock.truncate(0)
        lock.write(f"{os.getpid()} {BRIEFLY}" if brief else str(os.getpid()))
        lock.flush()
        yield


def _enter(lock: TextIO, workspace: Workspace, what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder, _, said = (lock.read() or "?").partition(" ")
            if said != BRIEFLY or time.monotonic() > deadline:
                raise GoldpanError(
                    f"another {what} at work in {workspace.root} (process {holder})",
                    expected="one at a time",
                    do="Wait until it ends, or stop it, and run the command again.",
                ) from None
            time.sleep(0.02)
        else:
            return
