"""Makes the rollups' files in memory: the events are read once, by columns."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from features.engines.engine import ROW_GROUP
from features.identity import resolve
from features.instants import NEVER
from features.kernel.events import Names
from features.kernel.rolled import Columns, rollups
from features.rollups.maker import KEYS, Maker, new_names, span, span_us
from features.workspace import sync

READ = ("account_id", "user_id", "anonymous_id", "event", "event_us", "known_at", "value")
TEXTS = {"account_id": "account", "user_id": "user", "event": "event"}
FORMAT = ds.ParquetFileFormat(dictionary_columns=set(TEXTS))


class KernelMaker(Maker):
    """Makes the files of a block of weeks; asks SQL whose an event is where links say so."""

    def make(self, weeks: list[int], files: list[str]) -> dict[str, str]:
        """Write the rollups of a block of weeks; week → the name of its files."""
        rows = self._complete(weeks, files)
        if rows is None:
            rows = self._assigned(weeks, files)
        made, numbered = rollups(rows, self.settings, span(weeks), weeks[0] * 7)
        del rows
        names = new_names(weeks)
        for name in KEYS:
            _write(made.pop(name), numbered, self.paths(name, names))
        return names

    def _complete(self, weeks: list[int], files: list[str]) -> pa.Table | None:
        """The events, where each names its account and its user; else None."""
        if self.who.merges.num_rows:
            return None
        low, high = span_us(weeks)
        mine = (ds.field("event_us") >= low) & (ds.field("event_us") < high)
        rows = ds.dataset(files, format=FORMAT).to_table(columns=list(READ), filter=mine)
        nameless = rows["user_id"].null_count
        if rows["account_id"].null_count or (nameless and self.who.aliases.num_rows):
            return None
        if nameless:
            user, anonymous = (rows[c].cast(pa.string()) for c in ("user_id", "anonymous_id"))
            rows = rows.set_column(1, "user_id", pc.coalesce(user, anonymous, ""))
        known = rows["known_at"].cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        never = pa.array(np.full(len(rows), NEVER))
        return rows.append_column("known_us", known).append_column("until_us", never)

    def _assigned(self, weeks: list[int], files: list[str]) -> pa.Table:
        """The events as their accounts', as they became known."""
        raw, (low, high) = self.engine.read_parquet(files, "events_to_roll_up"), span_us(weeks)
        mine = raw.filter((raw.event_us >= low) & (raw.event_us < high))
        owned = resolve.assigned(mine, self.who, complete=False)
        columns = (*TEXTS, "event_us", "known_us", "until_us", "value")
        return self.engine.to_arrow(owned.select(*columns))


def _write(rows: Columns, names: Names, paths: dict[int, Path]) -> None:
    """Write each week's rows, sorted by account and day, to its path."""
    weeks = rows.pop("week")
    for week, path in paths.items():
        low, high = np.searchsorted(weeks, [week, week + 1])
        part = {c: _column(c, values[low:high], names) for c, values in rows.items()}
        few = [c for c in part if c != "minutes"]  # which hardly ever are the same
        pq.write_table(
            pa.table(part), path, row_group_size=ROW_GROUP, use_dictionary=few, store_schema=False
        )
        sync(path)


def _column(name: str, values: np.ndarray, names: Names) -> pa.Array:
    numbers = pa.array(values)
    return getattr(names, TEXTS[name]).take(numbers) if name in TEXTS else numbers
