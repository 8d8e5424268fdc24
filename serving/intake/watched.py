"""The state that a worker answers from: what it loaded, with what is fresh laid over it."""

import logging
import threading
import time
from collections.abc import Callable

from features.workspace import Workspace
from serving.intake.overlay import combined, folder_of
from serving.state import State

POLL_SECONDS = 0.25

log = logging.getLogger("goldpan.serving")


class Watched:
    """Called for the state of a request; a thread of its own looks for what is new."""

    def __init__(self, loaded: Callable[[], State], workspace: Workspace) -> None:
        self.loaded, self.workspace = loaded, workspace
        self._seen: State | None = None
        self._seen_mark: object = None
        self._now = State()
        self._thread: threading.Thread | None = None

    def __call__(self) -> State:
        """The state now; one that was just swapped in comes with what is fresh a moment later."""
        if self._thread is None:  # not before: a process may be forked after it was set up
            self.look()
            self._thread = threading.Thread(target=self._watch, name="fresh", daemon=True)
            self._thread.start()
        return self._now

    def look(self) -> None:
        """Lay the overlay over the state when either is another than before."""
        state, mark = self.loaded(), self._mark()
        if self._seen is not state or self._seen_mark != mark:
            self._now = combined(self.workspace, state)
            self._seen, self._seen_mark = state, mark

    def _watch(self) -> None:
        while True:
            time.sleep(POLL_SECONDS)
            try:
                self.look()
            except Exception:
                log.exception("looking for fresh rows failed; what is there goes on answering")

    def _mark(self) -> object:
        """What differs whenever another overlay was published."""
        try:
            found = (folder_of(self.workspace) / "current").stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns
