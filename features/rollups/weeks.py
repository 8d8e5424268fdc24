"""The rollups on disk, a file a week: after an ingest only the weeks that changed are made again.

`rollups/manifest.json` names the files of each week, and what they were made of; it is written last
and read first. A week's files are made from its events and those of the day before, for sessions
that cross midnight.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from features import lake
from features.engines.engine import Engine
from features.errors import NotReadyError
from features.instants import DAY_US
from features.progress import Progress, silent
from features.rollups import daily
from features.rollups.maker import KEYS, Maker
from features.settings import Settings
from features.turns import together
from features.workspace import Workspace, publish_json

WEEK_US = 7 * DAY_US
BLOCK_EVENTS = 2_000_000
"""Weeks are rolled up together up to so many events: it bounds the memory."""


@dataclass(frozen=True)
class Manifest:
    """What the rollups are: `weeks` maps a week (day // 7, as text) to the name of its files.

    `events`, `users`, `identities`: the files of the lake that they were made of.
    """

    meaning: str = ""
    events: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    weeks: dict[str, str] = field(default_factory=dict)

    def files(self, folder: Path, name: str, first_day: int, last_day: int) -> list[str]:
        """The files of a rollup that hold the days from the first to the last."""
        first, last = first_day // 7, last_day // 7
        names = (made for week, made in self.weeks.items() if first <= int(week) <= last)
        return sorted(str(folder / name / f"{made}.parquet") for made in names)


def read_manifest(workspace: Workspace) -> Manifest:
    """What rollups there are; an empty one before the first build."""
    path = workspace.rollups / "manifest.json"
    if not path.is_file():
        return Manifest()
    held = json.loads(path.read_text(encoding="utf-8"))
    lists = {name: tuple(lake.files_at(workspace, held[name])) for name in _READ}
    return Manifest(meaning=held["meaning"], weeks=held["weeks"], **lists)


@contextmanager
def held_rollups(workspace: Workspace) -> Iterator[Manifest]:
    """What rollups there are; as long as the block lasts none of their files goes, old or new.

    Any number of processes may make and read them at once: of two that make the same week, what the
    later publishes counts, and the last to leave deletes all that is of no use any more.
    """
    with together(workspace, "roll-up", last=lambda: _forget_others(workspace)):
        yield read_manifest(workspace)


def ensure_rollups(
    engine: Engine, workspace: Workspace, settings: Settings, *, progress: Progress = silent
) -> Manifest:
    """Make the rollups of the weeks whose events or identities changed; returns what there is.

    Who is to read them calls it within `held_rollups`. Raises NotReadyError when nothing was
    ingested.
    """
    with held_rollups(workspace) as held:
        return _ensured(held, engine, workspace, settings, progress)


def _ensured(
    held: Manifest, engine: Engine, workspace: Workspace, settings: Settings, progress: Progress
) -> Manifest:
    files = {name: tuple(lake.table_files(workspace, name)) for name in _READ}
    if not files["events"]:
        raise NotReadyError("a workspace without events", do="Run `goldpan ingest` first.")
    meaning = daily.meaning(settings)
    by_file = _events_by_week(files["events"])
    counts = _together(by_file.values())
    stale = set(counts)
    if held.meaning == meaning and all(set(getattr(held, n)) <= set(files[n]) for n in _READ):
        stale = (_changed(held, files) | _lost(workspace.rollups, held)) & set(counts)
    if not stale and set(map(str, counts)) == set(held.weeks):
        return held
    names: dict[str, str] = {}
    done, total = 0, sum(counts[week] for week in stale)
    maker = _maker_of(settings)(engine, workspace, settings)
    for block in _blocks(sorted(stale), counts):
        progress(done, total, "rolling up events")
        mine = [file for file in files["events"] if _holds(by_file[file], block)]
        names |= maker.make(block, mine)
        done += sum(counts[week] for week in block)
    kept = {week: made for week, made in held.weeks.items() if int(week) in set(counts) - stale}
    now = Manifest(meaning, **files, weeks=kept | names)
    made_of = {name: lake.places(workspace, files[name]) for name in _READ}
    publish_json(workspace.rollups / "manifest.json", asdict(now) | made_of)
    return now


_READ = ("events", "users", "identities")


def _changed(held: Manifest, files: dict[str, tuple[str, ...]]) -> set[int]:
    """The weeks that new events, or what was learnt of who people are, may have changed."""
    new = {name: sorted(set(files[name]) - set(getattr(held, name))) for name in _READ}
    weeks: set[int] = set()
    if new["events"]:
        weeks |= _weeks("SELECT event_us FROM read_parquet($events)", {"events": new["events"]})
    if new["users"] or new["identities"]:
        known = {"events": files["events"], "identities": files["identities"] or ()}
        weeks |= _weeks(*_moved(new["users"], new["identities"], known))
    return weeks


def _moved(
    users: list[str], identities: list[str], known: dict[str, tuple[str, ...]]
) -> tuple[str, dict[str, Any]]:
    """A query for the events whose owner may be another since these rows arrived."""
    alias = "SELECT from_id, to_id FROM read_parquet({}) WHERE kind = 'alias'"
    fresh = alias.format("$identities") if identities else "SELECT '' AS from_id, '' AS to_id"
    people = "SELECT user_id FROM read_parquet($users)" if users else "SELECT '' AS user_id"
    every = alias.format("$known") if known["identities"] else fresh
    merges = "SELECT count(*) > 0 FROM read_parquet($identities) WHERE kind = 'merge'"
    query = (
        f"WITH fresh AS ({fresh}), people AS ({people}), "  # noqa: S608 - our own text
        f"theirs AS (SELECT from_id FROM ({every}) WHERE to_id IN (FROM people)) "
        "SELECT event_us FROM read_parquet($events) WHERE "
        "(user_id IS NULL AND anonymous_id IN (SELECT from_id FROM fresh)) OR (account_id IS NULL "
        "AND (coalesce(user_id, anonymous_id) IN (FROM people) OR anonymous_id IN (FROM theirs)))"
        + (f" OR ({merges})" if identities else "")
    )
    names = {"events": known["events"], "users": users, "identities": identities,
             "known": known["identities"]}  # fmt: skip
    return query, {name: list(files) for name, files in names.items() if f"${name}" in query}


def _weeks(query: str, files: dict[str, Any]) -> set[int]:
    """The weeks of the events that a query finds, and of the days after them."""
    each = f"SELECT DISTINCT event_us // {DAY_US} AS day FROM ({query})"  # noqa: S608
    with duckdb.connect(config={"threads": 2}) as con:
        days = [int(day) for (day,) in con.execute(each, files).fetchall()]
    return {week for day in days for week in (day // 7, (day + 1) // 7)}


_COUNTED: dict[str, dict[int, int]] = {}
"""File of the lake, which never changes → the events of each week in it."""


def _events_by_week(files: Iterable[str]) -> dict[str, dict[int, int]]:
    """For each file the events of each week; a process reads each file once."""
    if new := [file for file in files if file not in _COUNTED]:
        query = (
            f"SELECT filename, event_us // {WEEK_US}, count(*) "  # noqa: S608 - our own text
            "FROM read_parquet(?, filename = true) GROUP BY ALL"
        )
        with duckdb.connect(config={"threads": 2}) as con:
            for file, week, count in con.execute(query, [new]).fetchall():
                _COUNTED.setdefault(file, {})[int(week)] = int(count)
    return {file: _COUNTED.setdefault(file, {}) for file in files}


def _together(counts: Iterable[dict[int, int]]) -> dict[int, int]:
    """The events of each week.

    >>> _together([{1: 2}, {1: 1, 4: 5}])
    {1: 3, 4: 5}
    """
    total: dict[int, int] = {}
    for mine in counts:
        for week, count in mine.items():
            total[week] = total.get(week, 0) + count
    return total


def _holds(weeks: Iterable[int], block: Sequence[int]) -> bool:
    """Whether a file may hold events of a block of weeks, or of the day before them."""
    return any(block[0] - 1 <= week <= block[-1] for week in weeks)


def _blocks(weeks: Sequence[int], counts: dict[int, int]) -> Iterator[list[int]]:
    """Weeks between which no other one holds events, together at most BLOCK_EVENTS events.

    >>> list(_blocks([1, 2, 4, 6], {1: 5, 2: 5, 4: 5, 5: 5, 6: 5}))
    [[1, 2, 4], [6]]
    """
    block: list[int] = []
    for week in weeks:
        size = sum(counts[w] for w in block) + counts[week]
        apart = block and any(w in counts for w in range(block[-1] + 1, week))
        if block and (apart or size > BLOCK_EVENTS):
            yield block
            block = []
        block.append(week)
    if block:
        yield block


def _maker_of(settings: Settings) -> type[Maker]:
    """What makes the files: the kernel, or SQL on the engine; they hold the same rows."""
    if settings.engine.name != "kernel":
        return Maker
    try:
        from features.kernel.maker import KernelMaker  # numba takes half a second to load
    except ImportError:  # `features.build.block_of` tells of it
        return Maker
    return KernelMaker


def _lost(folder: Path, manifest: Manifest) -> set[int]:
    """The weeks of which a file is missing."""
    there = [{path.stem for path in (folder / name).glob("*.parquet")} for name in KEYS]
    return {int(week) for week, made in manifest.weeks.items() if any(made not in t for t in there)}


def _forget_others(workspace: Workspace) -> None:
    """Delete the files of weeks as they were."""
    kept = set(read_manifest(workspace).weeks.values())
    for name in KEYS:
        for path in (workspace.rollups / name).glob("*.parquet"):
            if path.stem not in kept:
                path.unlink()
