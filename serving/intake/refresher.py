"""The process beside the workers that makes scores fresh: `python -m serving.intake.refresher`.

It ends with the process that started it. What goes wrong is logged and tried again: the events are
safe in the journals meanwhile.
"""

import argparse
import logging
import os
import signal
import sys
import time
from pathlib import Path

from features.errors import GoldpanError
from features.read_settings import load_settings
from features.settings import Settings
from features.turns import alone
from features.workspace import Workspace
from serving.api import logs
from serving.intake.collect import waiting
from serving.intake.fresh import Refresher

POLL_SECONDS = 0.1
AGAIN_SECONDS = 1.0

log = logging.getLogger("goldpan.intake")


def run(workspace: Workspace, settings: Settings) -> None:
    """Refresh until told to stop, or until the process that started this one is gone."""
    parent = os.getppid()
    with alone(workspace, "intake"):
        refresher = Refresher(workspace, settings)
        try:
            warm = False
            while os.getppid() == parent:
                if warm and not waiting(workspace):
                    time.sleep(POLL_SECONDS)
                    continue
                try:
                    if not warm:
                        refresher.warm_up()
                        warm = True
                    refresher.round()
                except (GoldpanError, OSError) as error:
                    log.warning("fresh scores wait: %s", error)
                    time.sleep(AGAIN_SECONDS)
        finally:
            refresher.close()


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
