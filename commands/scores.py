"""Models to answers: score, serve."""

from datetime import date, datetime
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


@verb
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True)
def serve(workspace: Path, settings_file: Path, host: str, port: int, workers: int) -> None:
    """Answer `POST /v1/scores`, keep `POST /v1/events`; Ctrl-C stops it.

    Needs no MLflow: all it answers from lies in WORKSPACE/bundles and WORKSPACE/scores. With the
    settings, an event is seen by its account's next score; without, it waits for `goldpan ingest`.
    """
    from serving.scoring.accounts import an_account
    from serving.start import serve as run

    place = Workspace(workspace)
    account = an_account(place)
    screen.OUT.print("Starting the service …")
    run(
        place, host, port, workers, settings=settings_file,
        ready=lambda url: screen.how_to_call(url, account),
    )  # fmt: skip
