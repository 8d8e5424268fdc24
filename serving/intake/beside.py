"""Starts and stops the process that makes scores fresh, for `goldpan serve`."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from features.errors import SettingsError
from features.workspace import Workspace

NEEDS = ("deltalake", "duckdb", "ibis", "numba")
STOP_SECONDS = 15.0
AGAIN_SECONDS, LONGEST_SECONDS = 5.0, 300.0


class Beside:
    """The refresher of a workspace, started again when it ends, but not under wrong settings.

    One that ends soon is waited for twice as long each time.
    """

    def __init__(
        self, workspace: Workspace, settings: Path, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.command = [sys.executable, "-m", "serving.intake.refresher"]
        self.command += ["--workspace", str(workspace.root.resolve())]
        self.command += ["--settings", str(settings.resolve())]
        self.environment, self.folder = environment, folder
        self.log = workspace.tmp / "refresher.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._started, self._pause = float("-inf"), AGAIN_SECONDS

    def look(self) -> None:
        """Start it when it is not there."""
        if self._process is not None:
            code = self._process.poll()
            if code in (None, SettingsError.exit_code):  # at work, or the log says what is wrong
                return
        since = time.monotonic() - self._started
        if since < self._pause:
            return
        longer = min(2 * self._pause, LONGEST_SECONDS)
        self._pause = longer if since < 2 * self._pause else AGAIN_SECONDS
        self._started = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, no shell
                self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.folder, start_new_session=True,
            )  # fmt: skip

    def stop(self) -> None:
        """Ask it to end; a round that is cut off is made again by the next."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._process.kill()
        self._process.wait()


@contextmanager
def refreshing(
    workspace: Workspace, settings: Path | None, environment: Mapping[str, str], folder: Path
) -> Iterator[Callable[[], None]]:
    """Yield what is to be called now and then, so that a refresher is there until the block ends.

    Without readable settings, or where only the service's own packages are installed, there is
    none: events are kept, and wait for `goldpan ingest`.
    """
    able = all(find_spec(name) for name in NEEDS)
    if settings is None or not settings.is_file() or not able:
        yield lambda: None
        return
    beside = Beside(workspace, settings, environment, folder)
    try:
        beside.look()
        yield beside.look
    finally:
        beside.stop()
