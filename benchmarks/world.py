"""A simulated company of any size, written into a lake as `goldpan ingest` would have.

Everything is drawn from a seed, a day at a time, in bounded memory. The lake holds what was known
at the last midnight; what the next day brings, late events of earlier days included, waits in
`raw/tonight.parquet` to be ingested.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.commerce import subscriptions
from benchmarks.company import EVENTS
from benchmarks.size import START, Size
from benchmarks.stream import DAY_US, People, daily_events, scaled
from features import lake
from features.events import CONTRACT, TIME
from features.workspace import Workspace

START_US = int(START.timestamp()) * 1_000_000
ROW_GROUP = 65_536


def make_world(workspace: Workspace, size: Size) -> int:
    """Write the world unless it is there already; returns how many events the lake holds."""
    note = workspace.root / "world.json"
    if note.is_file():
        held = json.loads(note.read_text(encoding="utf-8"))
        if held["size"] == asdict(size):
            return int(held["stored"])
        raise SystemExit(f"{workspace.root} holds another world, {held['size']}; delete it first")
    accounts, people = _population(size)
    users = _users(people, size)
    _append(workspace, "accounts", accounts)
    _append(workspace, "users", users[users["created_at"] < size.end])
    _append(workspace, "subscriptions", _commerce(accounts, people, size))
    stored = _write_events(workspace, size, people, accounts, users)
    held = {"size": asdict(size), "stored": stored}
    note.write_text(json.dumps(held) + "\n", encoding="utf-8")
    return stored


def _population(size: Size) -> tuple[pd.DataFrame, People]:
    """Accounts, two in five older than the events; five users each on average, skewed."""
    rng = np.random.default_rng([size.seed, 1_000_001])
    n = size.accounts
    born = np.where(rng.random(n) < 0.43, rng.uniform(-400, 0, n), rng.uniform(0, size.days, n))
    gone = np.where(rng.random(n) < 0.2, born + rng.exponential(180, n), np.inf)
    heads = 1 + rng.poisson(rng.gamma(1.0, 4.0, n))
    account = np.repeat(np.arange(n), heads)
    leader = np.concatenate([[True], account[1:] != account[:-1]])
    joins = born[account] + np.where(leader, 0.0, rng.exponential(60, len(account)))
    busy = rng.lognormal(0, 1.2, n)[account] * rng.lognormal(0, 1.0, len(account))
    # Nobody acts before joining: the first day is the whole day after.
    people = People(account, _whole(joins) + 1, _whole(np.minimum(gone[account], 1e6)) + 1, busy)
    words = [("retail", "software", "health", "media"), ("DE", "US", "FR", "JP"),
             ("search", "friend", "partner")]  # fmt: skip
    industry, country, channel = (rng.choice(w, n) for w in words)
    frame = pd.DataFrame(
        {
            "account_id": _names("a", n),
            "created_at": _moments(born),
            "industry": industry,
            "country": country,
            "channel": channel,
            "employees": np.ceil(heads * rng.lognormal(1.5, 1.0, n)),
            "is_internal": False,
        }
    )
    return frame, scaled(people, size.events, size.days, START.weekday())


def _users(people: People, size: Size) -> pd.DataFrame:
    """A row for each user who joins, in the order of `people`; then one for each who left."""
    rng = np.random.default_rng([size.seed, 1_000_002])
    n = len(people.account)
    joined = pd.DataFrame(
        {
            "user_id": _names("u", n),
            "account_id": _names("a", size.accounts)[people.account],
            "created_at": _moments(people.first - 0.5),
            "role": rng.choice(["member", "admin", "owner"], n, p=[0.8, 0.15, 0.05]),
        }
    )
    gone = (people.last < size.days) & (people.first < people.last)
    left = joined[gone].assign(left_at=_moments(people.last[gone]))
    return pd.concat([joined, left.assign(known_at=left["left_at"])], ignore_index=True)


def _commerce(accounts: pd.DataFrame, people: People, size: Size) -> pd.DataFrame:
    rng = np.random.default_rng([size.seed, 1_000_003])
    heads = np.bincount(people.account, minlength=size.accounts)
    rows = [
        row
        for name, born, users in zip(
            accounts["account_id"], accounts["created_at"], heads, strict=True
        )
        for row in subscriptions(name, born.to_pydatetime(), size.end, int(users), rng)
        if row["known_at"] <= size.end
    ]
    return pd.DataFrame(rows)


def _append(workspace: Workspace, name: str, rows: pd.DataFrame) -> None:
    """Store rows of a table other than events; what a row leaves out is as the contract says."""
    table = CONTRACT[name]
    whole = rows.reindex(columns=[c.name for c in table.columns])
    told = pd.to_datetime(whole["known_at"], utc=True)
    whole["known_at"] = told.where(told.notna(), whole[table.time])
    whole["row_id"] = [f"{name}-{n}" for n in range(len(whole))]
    whole["source"] = "simulated"
    schema = lake.table_schema(name)
    columns = [_column(whole[field.name], field.type) for field in schema]
    lake.append_rows(workspace, name, pa.Table.from_arrays(columns, schema=schema))


def _column(values: pd.Series, kind: pa.DataType) -> pa.Array:
    if kind == TIME:
        moments = pd.to_datetime(values, utc=True).dt.tz_convert(None).to_numpy()
        return pa.array(moments.astype("datetime64[us]"), from_pandas=True).cast(TIME)
    return pa.array(values, kind, from_pandas=True)


def _write_events(
    workspace: Workspace, size: Size, people: People, accounts: pd.DataFrame, users: pd.DataFrame
) -> int:
    """Events known at the end go into the lake by month, those of the next day into `raw`."""
    names = {
        "account": pa.array(accounts["account_id"], pa.string()),
        "user": pa.array(users["user_id"], pa.string()),
        "event": pa.array(EVENTS),
    }
    end_us = START_US + size.days * DAY_US
    folder = workspace.tmp / "world"
    writers: dict[str, lake.PartWriter] = {}
    schema = pa.schema([f for f in lake.table_schema("events") if f.name != lake.MONTH])
    tonight: list[pd.DataFrame] = []
    first = 0
    days = daily_events(people, size.days + 1, START.weekday(), START_US, size.seed)
    for month, batch in _batches(days, tonight, end_us):
        if month not in writers:
            writers[month] = lake.PartWriter(folder / f"{month}.parquet", schema)
        writers[month].write(_rows(batch, names, first, size.seed).select(schema.names))
        first += len(batch)
    for writer in writers.values():
        writer.close()
    parts = [lake.Part(w.path, w.rows, month) for month, w in writers.items()]
    lake.append_parts(workspace, "events", parts, workspace.tmp / "world-intent.json")
    _write_tonight(workspace, pd.concat(tonight), names, first, size.seed)
    return first


def _batches(
    days: Iterator[pd.DataFrame], tonight: list[pd.DataFrame], end_us: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """What the lake holds, in row groups of one month; `tonight` collects what comes after."""
    waiting: list[pd.DataFrame] = []
    month = ""
    for day, found in enumerate(days):
        known = found["known_us"] < end_us
        tonight.append(found[~known & (found["known_us"] < end_us + DAY_US)])
        its_month = f"{START + timedelta(days=day):%Y-%m}"
        if waiting and (its_month != month or sum(map(len, waiting)) >= ROW_GROUP):
            yield month, pd.concat(waiting, ignore_index=True)
            waiting = []
        month = its_month
        if known.any():
            waiting.append(found[known])
    if waiting:
        yield month, pd.concat(waiting, ignore_index=True)


def _rows(batch: pd.DataFrame, names: dict[str, pa.Array], first: int, seed: int) -> pa.Table:
    """Numbers as the rows of the lake; a random text stands where ingest puts a digest."""
    n = len(batch)
    rng = np.random.default_rng([seed, 1_000_004, first])
    missing = pa.nulls(n, pa.string())
    columns = {
        "message_id": pa.array(np.arange(first, first + n)).cast(pa.string()),
        "event_time": pa.array(batch["event_us"]).cast(TIME),
        "known_at": pa.array(batch["known_us"]).cast(TIME),
        "account_id": names["account"].take(pa.array(batch["account"])),
        "user_id": names["user"].take(pa.array(batch["user"])),
        "anonymous_id": missing,
        "event": names["event"].take(pa.array(batch["event"])),
        "value": pa.array(batch["value"], from_pandas=True),
        "properties": missing,
        "row_id": _digests(n, rng),
        "source": pa.array(["simulated"] * n),
        "event_us": pa.array(batch["event_us"]),
    }
    return pa.table(columns)


def _write_tonight(
    workspace: Workspace, batch: pd.DataFrame, names: dict[str, pa.Array], first: int, seed: int
) -> None:
    workspace.raw.mkdir(parents=True, exist_ok=True)
    rows = _rows(batch.reset_index(drop=True), names, first, seed)
    wanted = ["message_id", "event_time", "known_at", "account_id", "user_id", "event", "value"]
    pq.write_table(rows.select(wanted), workspace.raw / "tonight.parquet")


def _digests(n: int, rng: np.random.Generator) -> pa.Array:
    """`n` random texts of 32 hexadecimal digits."""
    digits = np.frombuffer(b"0123456789abcdef", dtype="uint8")[rng.integers(0, 16, n * 32)]
    offsets = np.arange(n + 1, dtype="int32") * 32
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(digits))


def _names(letter: str, n: int) -> np.ndarray:
    return np.array([f"{letter}{i:07d}" for i in range(n)], dtype=object)


def _whole(days: Any) -> np.ndarray:
    return np.asarray(np.floor(days), dtype="int64")


def _moments(days: Any) -> pd.DatetimeIndex:
    """Days from START as moments; missing where they are."""
    seconds = START_US // 1_000_000 + np.round(np.asarray(days) * 86_400)
    return pd.to_datetime(seconds, unit="s", utc=True).as_unit("us")
