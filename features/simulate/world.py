"""The job, read top to bottom: found the company, live day by day, write what can be seen."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.errors import InputError
from features.progress import Progress, silent
from features.simulate import write
from features.simulate.batch import Batch
from features.simulate.faults.fault import Fault, Scene
from features.simulate.faults.listed import switched_on
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
    identities: int


def simulate(
    workspace: Workspace,
    *,
    accounts: int = 6000,
    days: int = 720,
    seed: int = 7,
    end: date = date(2026, 6, 30),
    faults: Sequence[str] = (),
    progress: Progress = silent,
) -> Counts:
    """Write a synthetic company's five tables to `workspace.raw`.

    The data cover the `days` days that end with `end`, midnight to midnight UTC; nothing that
    was not known by then is in them, save announced cancellations. The same arguments give the
    same bytes. `faults` (see `features.simulate.faults.listed`) spoil what is written, never what
    happens; what each did is in SIMULATED.json. Published whole or not at all. Raises InputError
    where the company would be too small or too young to learn from, or for an unknown fault.
    """
    check_size(accounts, days)
    world = found_company(accounts, days, seed, end)
    recorder = open_records(world, seed)
    names = write.draw_names(world.traits, world.contracts.first_day, recorder.rng)
    scene = Scene(
        names.first_day,
        days,
        names.accounts,
        world.traits.day,
        names.users,
        names.users.take(pa.array(world.traits.first_slot)),
    )
    spoiled = switched_on(faults, scene, seed)
    with publish_folder(workspace.raw) as folder:
        counts = _write(folder, world, recorder, scene, spoiled, progress)
        said = {"simulated": True, "seed": seed, "days": days, "end": str(end), **asdict(counts)}
        said["faults"] = {fault.name: {"means": fault.meaning, **fault.did} for fault in spoiled}
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


def _write(
    folder: Path,
    world: World,
    recorder: Recorder,
    scene: Scene,
    faults: Sequence[Fault],
    progress: Progress,
) -> Counts:
    names = write.Names(scene.first_day, scene.accounts, scene.users)
    files = write.EventFiles(folder / "events", names, faults)
    files.folder.mkdir()
    days = scene.days
    for day, batch in enumerate(_live(world, recorder, days), start=1):
        files.add(batch)
        if day == days:
            files.close_month(days * DAY_US, received_before=days * DAY_US)
        elif _month(world, day) != _month(world, day - 1):
            files.close_month(day * DAY_US)
        progress(day, days, "simulating days")
    tables = {
        "subscriptions": write.subscriptions(world.contracts, names),
        "accounts": write.accounts(world.traits, names, recorder.rng),
        "users": write.users(recorder.members, names, recorder.rng),
        "identities": write.schema_of("identities").empty_table(),
    }
    return Counts(events=files.written, **_write_tables(folder, tables, faults))


def _write_tables(
    folder: Path, tables: dict[str, pa.Table], faults: Sequence[Fault]
) -> dict[str, int]:
    """Write the tables as the faults leave them."""
    for fault in faults:
        tables = {name: fault.table(name, rows) for name, rows in tables.items()}
    for name, rows in tables.items():
        pq.write_table(rows, folder / f"{name}.parquet", compression="zstd")
    return {name: len(rows) for name, rows in tables.items()}


def _live(world: World, recorder: Recorder, days: int) -> Iterator[Batch]:
    """Each day's events, in turn."""
    for day in range(days):
        today = begin_day(world, day, world.climate.on(day))
        yield record(recorder, world, today)
        end_day(world, today)


def _month(world: World, day: int) -> np.datetime64:
    return (world.contracts.first_day + np.timedelta64(day, "D")).astype("datetime64[M]")
