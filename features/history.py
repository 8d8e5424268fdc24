"""What became of the accounts: their commercial changes and terms, as finally known.

This is the truth that outcomes are labelled by. What was known at an observation is in `facts`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import duckdb
import pandas as pd

from features import lake
from features.errors import NotReadyError
from features.identity.successors import Merge, families, goes_on_as, read_merges
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


def changes(workspace: Workspace, settings: Settings, today: date | None = None) -> pd.DataFrame:
    """The commercial changes of all accounts, one row each, by account and time.

    `today`: as known at that midnight (None: as finally known), here and below.

    Columns: account_id, time and known_at (UTC), kind (one of `CHANGES`), mrr_before, mrr_after.
    An upgrade is a higher plan on the ladder, or more seats for more money; a downgrade the
    reverse. A term that lapsed ends at its `term_end` (if it had begun) and is known
    `lapse_after_days` later.

    From the moment a merge is known, both accounts have what they have together, and what becomes
    of the one that goes on became of the merged one too. The merge itself is no change.
    """
    merges = _merges(workspace, today)
    family = families(merges)
    rows = read_rows(workspace, today)
    rows = rows.assign(family=[family.get(who, who) for who in rows["account_id"]])
    rows = pd.concat([rows, _lapses(rows, observed_end(workspace, settings, today), settings)])
    rows = rows.sort_values(["effective_at", "known_at", "row_id"])
    happened: dict[str, list[Row | Merge]] = defaultdict(list)
    for merge in merges:
        happened[family[merge.account]].append(merge)
    for mine, values in zip(rows["family"], _plain(rows), strict=True):
        happened[mine].append(Row(*values))
    found = [c for mine in happened.values() for c in _Family(settings).changes(mine)]
    table = pd.DataFrame(
        found, columns=["account_id", "time", "known_at", "kind", "mrr_before", "mrr_after"]
    )
    utc = "datetime64[us, UTC]"
    typed = table.astype({"time": utc, "known_at": utc, "mrr_before": float, "mrr_after": float})
    return typed.sort_values(["account_id", "time"], kind="stable", ignore_index=True)


def terms(workspace: Workspace, settings: Settings, today: date | None = None) -> pd.DataFrame:
    """The paid terms with a known end: account_id, start and end (UTC); one row an end.

    A term belongs to the account that had gone on with it, after merges, by its end.
    """
    rows = read_rows(workspace, today)
    paid = (rows["status"] == "active") & ~rows["plan"].isin(settings.plans.free)
    base = paid & rows["plan"].isin(settings.plans.ladder) & rows["term_end"].notna()
    named = rows[base].rename(columns={"effective_at": "start", "term_end": "end"})
    table = named.sort_values("start")[["account_id", "start", "end"]]
    merges = _merges(workspace, today)
    merged = table["account_id"].isin({merge.account for merge in merges})
    pairs = zip(table.loc[merged, "account_id"], table.loc[merged, "end"], strict=True)
    table.loc[merged, "account_id"] = [goes_on_as(who, merges, end) for who, end in pairs]
    return table.drop_duplicates(["account_id", "end"]).reset_index(drop=True)


def observed_until(workspace: Workspace, settings: Settings, today: date | None = None) -> date:
    """The last midnight up to and at which all outcomes are known.

    A term that ends at it must have had its grace, or nobody can tell yet whether it was renewed.
    """
    end, days = observed_end(workspace, settings, today), settings.subscriptions.lapse_after_days
    return (end if days is None else end - timedelta(days=days, microseconds=1)).date()


def observed_end(
    workspace: Workspace, settings: Settings, today: date | None = None
) -> pd.Timestamp:
    """The moment up to which both events and commercial changes are in the data.

    On an earlier `today` it is that midnight: what we had then reached up to it.
    """
    if said := settings.subscriptions.complete_until:
        end = pd.Timestamp(said, tz="UTC")
    else:
        known = read_rows(workspace)["known_at"]
        last = event_span(workspace)[1]
        end = last if known.empty else min(last, known.max())
    return end if today is None else min(end, pd.Timestamp(today, tz="UTC"))


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


def read_rows(workspace: Workspace, today: date | None = None) -> pd.DataFrame:
    """The rows of the table `subscriptions`, or those that were known at a midnight."""
    rows = lake.read_table(workspace, "subscriptions").to_pandas()
    return rows if today is None else rows[rows["known_at"] <= pd.Timestamp(today, tz="UTC")]


def _merges(workspace: Workspace, today: date | None) -> list[Merge]:
    merges = read_merges(workspace)
    if today is None:
        return merges
    return [m for m in merges if m.known_at <= pd.Timestamp(today, tz="UTC")]


def _lapses(rows: pd.DataFrame, end: pd.Timestamp, settings: Settings) -> pd.DataFrame:
    """A cancellation for each term that nobody renewed in time; none where terms do not lapse."""
    days = settings.subscriptions.lapse_after_days
    if days is None or rows.empty:
        return rows.iloc[:0]
    ordered = rows.sort_values(["effective_at", "known_at", "row_id"])
    following = ordered.groupby(["family", "subscription_id"])["effective_at"].shift(-1)
    noticed = ordered["term_end"] + timedelta(days=days)
    over = (ordered["status"] != "cancelled") & (noticed < end)
    lapsed = ordered[over & ~(following <= noticed)]
    return lapsed.assign(
        status="cancelled",
        effective_at=lapsed[["term_end", "effective_at"]].max(axis=1),
        known_at=noticed[lapsed.index].clip(lower=lapsed["known_at"]),
    )


def _plain(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """The rows as plain values: pandas would take a thousand times as long, one by one."""
    filled = rows.fillna({"seats": 0.0})
    return zip(*(filled[field.name].tolist() for field in fields(Row)), strict=True)


@dataclass
class _Family:
    """Accounts that merges join (mostly: one account), played through time."""

    settings: Settings
    held: dict[str, dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))
    before: dict[str, State] = field(default_factory=lambda: defaultdict(State))
    merges: list[Merge] = field(default_factory=list)

    def changes(
        self, happened: list[Row | Merge]
    ) -> Iterator[tuple[str, pd.Timestamp, pd.Timestamp, str, float, float]]:
        """The changes of all its accounts, by time."""
        happened.sort(key=_moment)  # stable: what is known later stays later
        for time, together in groupby(happened, key=_moment):
            now = list(together)
            if joined := [item for item in now if isinstance(item, Merge)]:
                self._join(joined, time)
            rows = [item for item in now if isinstance(item, Row)]
            for row in rows:
                self.held[row.account_id][row.subscription_id] = row
            for account in dict.fromkeys(self._end(row.account_id, time) for row in rows):
                before, after = self._step(account, time)
                if kind := _kind(before, after):
                    known = max(row.known_at for row in rows)
                    for member in self._members(account, time):
                        yield member, time, known, kind, before.mrr, after.mrr

    def _step(self, account: str, time: pd.Timestamp) -> tuple[State, State]:
        before = self.before[account]
        after = self._state(account, time, ever_paid=before.ever_paid)
        self.before[account] = replace(after, ever_paid=before.ever_paid or after.paying)
        return before, after

    def _join(self, merges: list[Merge], time: pd.Timestamp) -> None:
        self.merges += merges
        for account in {self._end(merge.account, time) for merge in merges}:
            paid = any(self.before[m].ever_paid for m in self._members(account, time))
            state = self._state(account, time, ever_paid=paid)
            self.before[account] = replace(state, ever_paid=paid or state.paying)

    def _end(self, account: str, time: pd.Timestamp) -> str:
        return goes_on_as(account, self.merges, time) if self.merges else account

    def _members(self, account: str, time: pd.Timestamp) -> list[str]:
        if not self.merges:
            return [account]
        everyone = {account, *self.held, *(m.account for m in self.merges)}
        return sorted(m for m in everyone if self._end(m, time) == account)

    def _state(self, account: str, time: pd.Timestamp, *, ever_paid: bool) -> State:
        rows = [row for m in self._members(account, time) for row in self.held[m].values()]
        newest = {row.subscription_id: row for row in sorted(rows, key=_moment)}
        return _state(newest.values(), self.settings, ever_paid=ever_paid)


def _moment(item: Row | Merge) -> pd.Timestamp:
    return item.effective_at if isinstance(item, Row) else item.known_at


def _state(held: Iterable[Row], settings: Settings, *, ever_paid: bool) -> State:
    ladder, free = settings.plans.ladder, settings.plans.free
    running = [h for h in held if h.status != "cancelled"]
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
