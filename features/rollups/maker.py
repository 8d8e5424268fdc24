"""Makes the files of a block of weeks: by SQL here, by the kernel in `features.kernel.maker`."""

import uuid
from datetime import datetime, timedelta
from pathlib import Path

import ibis

from features import lake
from features.engines.engine import Engine
from features.identity import resolve
from features.instants import DAY_US
from features.rollups import daily
from features.settings import Settings
from features.workspace import Workspace, sync
from features.zones import EPOCH

KEYS = {
    "account_day": ["account_id"],
    "account_event_day": ["account_id", "event"],
    "user_day": ["account_id", "user_id"],
}


class Maker:
    """Makes the files of a block of weeks."""

    def __init__(self, engine: Engine, workspace: Workspace, settings: Settings) -> None:
        self.engine, self.settings, self.folder = engine, settings, workspace.rollups
        self.who = resolve.read_links(workspace)
        self.told = [lake.table_state(workspace, name) for name in ("users", "identities")]

    def make(self, weeks: list[int], files: list[str]) -> dict[str, str]:
        """Write the rollups of a block of weeks; week → the name of its files.

        `files`: those of the events of these weeks and of the day before.
        """
        raw = self.engine.read_parquet(files, "events_to_roll_up")
        complete = resolve.is_complete(raw, self.who)
        again = f"weeks {weeks} {complete} {self.told} {daily.meaning(self.settings)}"
        self.engine.repeat(again, lambda: self._summed(raw, weeks, complete=complete))
        return self._write(weeks)

    def _summed(self, raw: ibis.Table, weeks: list[int], *, complete: bool) -> ibis.Table:
        """Fill the table `weekly_<name>` of each rollup."""
        keep, first = self.engine.keep, weeks[0] * 7
        mine = raw.filter((raw.event_us >= span_us(weeks)[0]) & (raw.event_us < span_us(weeks)[1]))
        owned = resolve.assigned(mine, self.who, complete=complete)
        events = keep(daily.known_events(owned, self.settings, span(weeks)))
        by_event = daily.account_event_day(events.filter(events.day >= first))
        by_user = daily.user_day(events, self.settings.events, keep)
        tables = {
            "account_event_day": keep(by_event),
            "user_day": keep(by_user.filter(by_user.day >= first)),
        }
        by_day = daily.account_day(tables["account_event_day"], tables["user_day"], self.settings)
        tables["account_day"] = keep(by_day)
        for name, table in tables.items():
            rows = daily.settled(table, KEYS[name])
            self.engine.add(f"weekly_{name}", rows.mutate(part=rows.day // 7))
        return events

    def _write(self, weeks: list[int]) -> dict[str, str]:
        names = new_names(weeks)
        for name in KEYS:
            parts = self.paths(name, names)
            self.engine.write_parts(
                self.engine.table(f"weekly_{name}"), parts, ["account_id", "day"]
            )
            for path in parts.values():
                sync(path)
        self.engine.forget(lasting=True)
        return names

    def paths(self, rollup: str, names: dict[str, str]) -> dict[int, Path]:
        """Week → where its file of a rollup is to be."""
        folder = self.folder / rollup
        folder.mkdir(parents=True, exist_ok=True)
        return {int(week): folder / f"{name}.parquet" for week, name in names.items()}


def new_names(weeks: list[int]) -> dict[str, str]:
    """Week → the name that its files get."""
    return {str(week): f"{week}-{uuid.uuid4().hex[:12]}" for week in weeks}


def span_us(weeks: list[int]) -> tuple[int, int]:
    """From the day before a block of weeks, for sessions across midnight, to their end."""
    return (weeks[0] * 7 - 1) * DAY_US, (weeks[-1] + 1) * 7 * DAY_US


def span(weeks: list[int]) -> tuple[datetime, datetime]:
    """The same as moments."""
    first, end = (EPOCH + timedelta(microseconds=us) for us in span_us(weeks))
    return first, end
