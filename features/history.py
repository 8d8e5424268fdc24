"""What became of the accounts: their commercial changes and terms, as finally known.

This is the truth that outcomes are labelled by. What was known at an observation is in `facts`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import duckdb
import pandas as pd

from features import lake
from features.errors import NotReadyError
from features.settings import Settings
from features.workspace import Workspace

CHANGES = ("trial", "convert", "upgrade", "downgrade", "churn", "reactivate")


@dataclass(frozen=True)
class State:
    """What an account has at one moment, over all its subscriptions."""

    paying: bool = False
    trial: bool = False
    rank: int = -1
    seats: float = 0.0
    mrr: float = 0.0
    ever_paid: bool = False


@dataclass(frozen=True)
class Row:
    """What one row of the subscriptions says."""

    account_id: str
    subscription_id: str
    effective_at: pd.Timestamp
    known_at: pd.Timestamp
    status: str
    plan: str
    mrr: float
    seats: float


def changes(workspace: Workspace, settings: Settings) -> pd.DataFrame:
    """The commercial changes of all accounts, one row each, by account and time.

    Columns: account_id, time and known_at (UTC), kind (one of `CHANGES`), mrr_before, mrr_after.
    An upgrade is a higher plan on the ladder, or more seats for more money; a downgrade the
    reverse. A term that lapsed ends at its `term_end` and is known `lapse_after_days` later.
    """
    rows = _rows(workspace)
    rows = pd.concat([rows, _lapses(rows, observed_end(workspace, settings), settings)])
    rows = rows.sort_values(["account_id", "effective_at", "known_at", "row_id"])
    held = [Row(*values) for values in _plain(rows)]
    found = [
        change
        for account, mine in groupby(held, key=lambda row: row.account_id)
        for change in _account_changes(account, mine, settings)
    ]
    table = pd.DataFrame(
        found, columns=["account_id", "time", "known_at", "kind", "mrr_before", "mrr_after"]
    )
    utc = "datetime64[us, UTC]"
    return table.astype({"time": utc, "known_at": utc, "mrr_before": float, "mrr_after": float})


def terms(workspace: Workspace, settings: Settings) -> pd.DataFrame:
    """The paid terms with a known end: account_id, start and end (UTC); one row an end."""
    rows = _rows(workspace)
    paid = (rows["status"] == "active") & ~rows["plan"].isin(settings.plans.free)
    base = paid & rows["plan"].isin(settings.plans.ladder) & rows["term_end"].notna()
    named = rows[base].rename(columns={"effective_at": "start", "term_end": "end"})
    table = named.sort_values("start")[["account_id", "start", "end"]]
    return table.drop_duplicates(["account_id", "end"]).reset_index(drop=True)


def observed_until(workspace: Workspace, settings: Settings) -> date:
    """The midnight before which all outcomes are known: the data's end less the lapse grace."""
    grace = timedelta(days=settings.subscriptions.lapse_after_days or 0)
    return (observed_end(workspace, settings) - grace).date()


def observed_end(workspace: Workspace, settings: Settings) -> pd.Timestamp:
    """The moment up to which both events and commercial changes are in the data."""
    if said := settings.subscriptions.complete_until:
        return pd.Timestamp(said, tz="UTC")
    known = _rows(workspace)["known_at"]
    last = event_span(workspace)[1]
    return last if known.empty else min(last, known.max())


def event_span(workspace: Workspace) -> tuple[pd.Timestamp, pd.Timestamp]:
    """When the oldest and the newest event of the lake happened (UTC)."""
    files = lake.table_files(workspace, "events")
    if not files:
        raise NotReadyError("a workspace without events", do="Run `goldpan ingest` first.")
    with duckdb.connect() as con:
        found = con.execute("select min(event_us), max(event_us) from read_parquet(?)", [files])
        first, last = found.fetchone() or (0, 0)
    return pd.Timestamp(first, unit="us", tz="UTC"), pd.Timestamp(last, unit="us", tz="UTC")


def scoring_day(workspace: Workspace) -> date:
    """The first midnight at which every event of the lake has happened."""
    return (event_span(workspace)[1] + timedelta(days=1)).date()


def _rows(workspace: Workspace) -> pd.DataFrame:
    return lake.read_table(workspace, "subscriptions").to_pandas()


def _lapses(rows: pd.DataFrame, end: pd.Timestamp, settings: Settings) -> pd.DataFrame:
    """A cancellation for each term that nobody renewed in time; none where terms do not lapse."""
    days = settings.subscriptions.lapse_after_days
    if days is None or rows.empty:
        return rows.iloc[:0]
    ordered = rows.sort_values(["subscription_id", "effective_at", "known_at", "row_id"])
    following = ordered.groupby("subscription_id")["effective_at"].shift(-1)
    noticed = ordered["term_end"] + timedelta(days=days)
    over = (ordered["status"] != "cancelled") & (noticed < end)
    lapsed = ordered[over & ~(following <= noticed)]
    return lapsed.assign(
        status="cancelled", effective_at=lapsed["term_end"], known_at=noticed[lapsed.index]
    )


def _plain(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """The rows as plain values: pandas would take a thousand times as long, one by one."""
    filled = rows.fillna({"seats": 0.0})
    return zip(*(filled[field.name].tolist() for field in fields(Row)), strict=True)


def _account_changes(
    account: str, rows: Iterable[Row], settings: Settings
) -> Iterator[tuple[str, pd.Timestamp, pd.Timestamp, str, float, float]]:
    before = State()
    held: dict[str, Row] = {}
    for time, together in groupby(rows, key=lambda row: row.effective_at):
        now = list(together)
        held.update((row.subscription_id, row) for row in now)
        after = _state(held, settings, ever_paid=before.ever_paid)
        if kind := _kind(before, after):
            yield account, time, max(row.known_at for row in now), kind, before.mrr, after.mrr
        before = replace(after, ever_paid=before.ever_paid or after.paying)


def _state(held: dict[str, Row], settings: Settings, *, ever_paid: bool) -> State:
    ladder, free = settings.plans.ladder, settings.plans.free
    running = [h for h in held.values() if h.status != "cancelled"]
    paid = [h for h in running if h.status == "active" and h.plan not in free]
    ranks = {plan: rank for rank, plan in enumerate(ladder)}
    on_ladder = [h for h in paid if h.plan in ranks]
    return State(
        paying=bool(paid),
        trial=any(h.status == "trial" for h in running),
        rank=max((ranks[h.plan] for h in on_ladder), default=-1),
        seats=sum(h.seats for h in on_ladder),
        mrr=sum(h.mrr for h in paid),
        ever_paid=ever_paid,
    )


def _kind(before: State, after: State) -> str | None:
    """What happened between two states.

    >>> _kind(State(), State(paying=True, rank=1, mrr=50.0))
    'convert'
    >>> _kind(State(True, False, 1, 5, 50.0, True), State(True, False, 1, 8, 80.0, True))
    'upgrade'
    """
    if not before.paying:
        if after.paying:
            return "reactivate" if before.ever_paid else "convert"
        return "trial" if after.trial and not before.trial else None
    if not after.paying:
        return "churn"
    if after.rank != before.rank:
        return "upgrade" if after.rank > before.rank else "downgrade"
    if (after.seats - before.seats) * (after.mrr - before.mrr) > 0:
        return "upgrade" if after.seats > before.seats else "downgrade"
    return None
