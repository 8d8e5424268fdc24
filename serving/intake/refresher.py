"""The process beside the workers that makes scores fresh: `python -m serving.intake.refresher`.

Between rounds it answers workers that ask for rows made now. It ends with the process that started
it. What goes wrong is logged and tried again: the events are safe in the journals meanwhile.
"""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from features.errors import GoldpanError, from_outside
from features.read_settings import load_settings
from features.settings import Settings
from features.turns import alone
from features.workspace import Workspace
from serving.api import logs
from serving.intake.fresh import Refresher
from serving.intake.listening import Listening, told, why_not

POLL_SECONDS = 0.1
AGAIN_SECONDS = 1.0

log = logging.getLogger("goldpan.intake")


def run(workspace: Workspace, settings: Settings) -> None:
    """Refresh until told to stop, or until the process that started this one is gone."""
    parent = os.getppid()
    with alone_at_last(workspace, parent), Listening(workspace) as ear:
        refresher = Refresher(workspace, settings)
        try:
            while os.getppid() == parent:
                turn(refresher, ear)
        finally:
            refresher.close()


@contextmanager
def alone_at_last(workspace: Workspace, parent: int) -> Iterator[None]:
    """Wait until nobody else takes events in: `goldpan ingest`, or one whose service was killed."""
    said = False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(alone(workspace, "intake"))
                break
            except GoldpanError as error:
                if os.getppid() != parent:
                    sys.exit(0)
                if not said:
                    log.warning("fresh scores wait: %s", error)
                said = True
                time.sleep(AGAIN_SECONDS)
        yield


def turn(refresher: Refresher, ear: Listening) -> None:
    """Answer who asks, and make what came meanwhile."""
    asked = ear.questions(POLL_SECONDS) if ear.ready else []
    try:
        if not ear.ready:
            refresher.warm_up()
            ear.ready = True
        if asked:
            told(asked, refresher.rows_now({a for one in asked for a in one.accounts}))
        elif refresher.due():
            refresher.round()
        elif refresher.is_of_yesterday():
            with suppress(GoldpanError):  # the night's own build is at work, and nobody waits
                refresher.move_on()
    except Exception as error:
        if not isinstance(error, GoldpanError) and from_outside(error) is None:
            raise
        log.warning("fresh scores wait: %s", error)
        for one in asked:
            one.tell(why_not(str(error)))
        if not asked:
            time.sleep(AGAIN_SECONDS)


def main() -> None:
    """Read the arguments and run; an error that a person can act on is one line of the log."""
    parser = argparse.ArgumentParser(prog="serving.intake.refresher")
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--settings", type=Path, required=True)
    given = parser.parse_args()
    logs.configure()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        run(Workspace(given.workspace), load_settings(given.settings))
    except GoldpanError as error:
        log.error("scores are not made fresh; events wait for `goldpan ingest`: %s", error)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
