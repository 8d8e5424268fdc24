"""The job, read top to bottom: found the company, live day by day, write what can be seen."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np

from features.errors import InputError
from features.progress import Progress, silent
from features.simulate import write
from features.simulate.batch import Batch
from features.simulate.living import World, begin_day, end_day, found_company
from features.simulate.offer import DAY_US
from features.simulate.record import Recorder, open_records, record
from features.workspace import Workspace, publish_folder, publish_text

FEWEST_DAYS = 120
FEWEST_ACCOUNTS = 20


@dataclass(frozen=True)
class Counts:
    """Rows that were written."""

    events: int
    accounts: int
    users: int
    subscriptions: int


def simulate(
    workspace: Workspace,
    *,
    accounts: int = 6000,
    days: int = 720,
    seed: int = 7,
    end: date = date(2026, 6, 30),
    progress: Progress = silent,
) -> Counts:
    """Write a synthetic company's events, accounts, users and subscriptions to `workspace.raw`.

    The data cover the `days` days that end with `end`, midnight to midnight UTC; nothing that
    was not known by then is in them, save announced cancellations. The same arguments give the
    same bytes. Published whole or not at all. Raises InputError where the company would be too
    small or too young to learn from.
    """
    check_size(accounts, days)
    world = found_company(accounts, days, seed, end)
    with publish_folder(workspace.raw) as folder:
        counts = _write(folder, world, open_records(world, seed), days, progress)
        said = {"simulated": True, "seed": seed, "days": days, "end": str(end), **asdict(counts)}
        publish_text(folder / "SIMULATED.json", json.dumps(said, indent=2) + "\n")
    return counts


def check_size(accounts: int, days: int) -> None:
    """Raise InputError where the company would be too small or too young."""
    if accounts < FEWEST_ACCOUNTS or days < FEWEST_DAYS:
        raise InputError(
            f"a company of {accounts} accounts over {days} days",
            expected=f"at least {FEWEST_ACCOUNTS} accounts and {FEWEST_DAYS} days",
            do="Ask for a larger company.",
        )


def _write(folder: Path, world: World, recorder: Recorder, days: int, progress: Progress) -> Counts:
    (folder / "events").mkdir()
    rng, traits = recorder.rng, world.traits
    names = write.draw_names(traits, world.contracts.first_day, rng)
    files = write.EventFiles(folder / "events", names)
    for day, batch in enumerate(_live(world, recorder, days), start=1):
        files.add(batch)
        if day == days:
            files.close_month(days * DAY_US, received_before=days * DAY_US)
        elif _month(world, day) != _month(world, day - 1):
            files.close_month(day * DAY_US)
        progress(day, days, "simulating days")
    return Counts(
        files.written,
        write.write_accounts(folder / "accounts.parquet", traits, names, rng),
        write.write_users(folder / "users.parquet", recorder.members, names, rng),
        write.write_subscriptions(folder / "subscriptions.parquet", world.contracts, names),
    )


def _live(world: World, recorder: Recorder, days: int) -> Iterator[Batch]:
    """Each day's events, in turn."""
    for day in range(days):
        today = begin_day(world, day, world.climate.on(day))
        yield record(recorder, world, today)
        end_day(world, today)


def _month(world: World, day: int) -> np.datetime64:
    return (world.contracts.first_day + np.timedelta64(day, "D")).astype("datetime64[M]")
