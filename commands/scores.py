"""Models to answers: score, serve."""

import os
from datetime import date, datetime, timedelta
from pathlib import Path

import click

from commands.options import DAY, opened, verb
from commands.terminal import screen
from features.settings import Settings
from features.workspace import Workspace


@verb
@click.option("--as-of", type=DAY, help="Day to score (default: the day after the last event).")
def score(workspace: Path, settings_file: Path, as_of: datetime | None) -> None:
    """Score every account, with reasons.

    Uses every promoted model, and shows the five accounts whose leaving would cost most.
    """
    place, settings = opened(workspace, settings_file)
    scored(place, settings, as_of.date() if as_of else None)


def scored(workspace: Workspace, settings: Settings, as_of: date | None) -> None:
    """Score every account, and show those that are most at risk."""
    from serving.scoring.batch import at_risk
    from serving.scoring.batch import score as run

    with screen.step("Scoring") as progress:
        snapshot = run(workspace, settings, as_of=as_of, progress=progress)
    accounts = at_risk(snapshot)
    if accounts:
        screen.at_risk(accounts, settings.company.currency)


def scored_before(workspace: Workspace, settings: Settings, weeks: int) -> None:
    """Score every account as on the same day of the weeks before, into the ledger."""
    from features.history import scoring_day
    from serving.scoring.batch import score as run

    with screen.step(f"Scoring the {weeks} weeks before") as progress:
        today = scoring_day(workspace)
        for week in range(weeks, 0, -1):
            before = today - timedelta(weeks=week)
            run(workspace, settings, as_of=before, shown=False, progress=progress)


def workers_here() -> int:
    """As many workers as cores; two at least, so that one answers while another is started again.

    >>> 2 <= workers_here() <= 4
    True
    """
    mine = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return min(4, max(2, len(mine(0))))


@verb
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=workers_here, show_default="cores, 2 to 4",
    help="Processes that answer, about 200 MB each.",
)  # fmt: skip
def serve(workspace: Path, settings_file: Path, host: str, port: int, workers: int) -> None:
    """Answer `/v1`; Ctrl-C stops it.

    Every request needs a key (`goldpan key create`). Needs no MLflow: all it reads lies in
    WORKSPACE/bundles and WORKSPACE/scores, and the ledger: WORKSPACE/ledger.db, or the database
    whose URL is in GOLDPAN_LEDGER. With the settings, an event that `/v1/events` takes is seen by
    its account's next score; without, it is kept and waits for `goldpan ingest`.
    """
    served(Workspace(workspace), settings_file, host, port, workers, key=None)


def served(
    workspace: Workspace, settings: Path, host: str, port: int, workers: int, *, key: str | None
) -> None:
    """Serve until stopped; show a request with the key, or how to make one."""
    from serving.scoring.accounts import an_account
    from serving.start import LOOPBACK
    from serving.start import serve as run

    account = an_account(workspace)
    if host not in LOOPBACK:
        screen.warned([f"{host} is open to others, and keys travel as they are: put TLS before it"])
    screen.OUT.print("Starting the service …")
    run(
        workspace, host, port, workers, settings=settings,
        ready=lambda url: screen.how_to_call(url, account, key),
    )  # fmt: skip
