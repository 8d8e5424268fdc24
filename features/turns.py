"""One at a time: a lock on a workspace that a process which died has given back."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from features.errors import GoldpanError
from features.workspace import Workspace


@contextmanager
def alone(workspace: Workspace, what: str) -> Iterator[None]:
    """Let one `what` (ingest, build, score) at a time into a workspace; raises, never waits."""
    workspace.root.mkdir(parents=True, exist_ok=True)
    with (workspace.root / f".{what}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise GoldpanError(
                f"another {what} at work in {workspace.root} (process {lock.read() or '?'})",
                expected="one at a time",
                do="Wait until it ends, or stop it, and run the command again.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
