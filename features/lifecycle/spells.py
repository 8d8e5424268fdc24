"""Whether an account pays, ever paid and has renewed, on every day and exactly as known then.

What finally became of an account is in `history`. Here a row counts on a day when it began before
that midnight and was known by then, so a change that is learnt late moves nothing that was known.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd

from features.history import read_rows
from features.identity.successors import Merge, families, goes_on_as, read_merges
from features.instants import DAY_US
from features.settings import Settings
from features.workspace import Workspace

Instant = int
"""Microseconds since 1970-01-01 UTC."""


class Row(NamedTuple):
    """One row of the subscriptions, in the order in which rows of one moment count."""

    begins: Instant
    known: Instant
    row_id: str
    account_id: str
    subscription_id: str
    paid: bool
    runs: bool
    mrr: float
    term_end: Instant | None
    months: float | None

    @property
    def visible(self) -> int:
        """The first day (since 1970-01-01) whose midnight sees it."""
        return max(self.begins // DAY_US + 1, -(-self.known // DAY_US))

    @property
    def end(self) -> Instant | None:
        """When its term ends: as said, or a term's months after it began; None: not known."""
        if self.term_end is not None or self.months is None:
            return self.term_end
        start = pd.Timestamp(self.begins, unit="us")
        return (start + pd.DateOffset(months=round(self.months))).value // 1000


class Standing(NamedTuple):
    """How an account stands from `day` on (until the next of its standings).

    `renews`: the day from which it counts as renewed, if it still stands so then; None: not by
    this. `gone`: merged into another account, which has what it had.
    """

    account_id: str
    day: int
    pays: bool
    ever_paid: bool
    renews: int | None
    mrr: float
    gone: bool


def standings(workspace: Workspace, settings: Settings) -> pd.DataFrame:
    """Every standing of every account that has a subscription or was merged, by account and day.

    The columns are those of `Standing`; `day` counts from 1970-01-01, `renews` is missing for none.
    An account has renewed when it pays and the first term of its present spell of paying ended
    before that midnight. Where terms lapse, a later term must be known too: grace is no renewal.
    """
    merges = read_merges(workspace)
    family = families(merges)
    mine: dict[str, tuple[list[Row], list[Merge]]] = defaultdict(lambda: ([], []))
    for row in _rows(workspace, settings):
        mine[family.get(row.account_id, row.account_id)][0].append(row)
    for merge in merges:
        mine[family[merge.account]][1].append(merge)
    lapse = settings.subscriptions.lapse_after_days
    grace = None if lapse is None else lapse * DAY_US
    found = [s for rows, joined in mine.values() for s in _family_standings(rows, joined, grace)]
    table = pd.DataFrame(found, columns=list(Standing._fields))
    typed = table.astype({"account_id": "str", "day": "int64", "renews": "float64"})
    return typed.sort_values(["account_id", "day"], ignore_index=True)


def mrr_on(table: pd.DataFrame, day: int) -> "pd.Series[float]":
    """account_id → the MRR of each account that has not been merged, on a day, by `standings`."""
    last = table[table["day"] <= day].groupby("account_id").last()
    return last.loc[~last["gone"].astype(bool), "mrr"].astype(float)


def _rows(workspace: Workspace, settings: Settings) -> list[Row]:
    table = read_rows(workspace)
    paid = (table["status"] == "active") & ~table["plan"].isin(settings.plans.free)
    columns = [
        _instants(table["effective_at"]), _instants(table["known_at"]), table["row_id"].tolist(),
        table["account_id"].tolist(), table["subscription_id"].tolist(), paid.tolist(),
        (table["status"] != "cancelled").tolist(), table["mrr"].fillna(0.0).tolist(),
        _instants(table["term_end"]), _or_none(table["billing_months"]),
    ]  # fmt: skip
    return sorted(Row(*values) for values in zip(*columns, strict=True))


def _instants(times: "pd.Series[pd.Timestamp]") -> list[Any]:
    whole = times.astype("datetime64[us, UTC]").astype("int64")
    return _or_none(whole.where(times.notna()).astype("Int64"))


def _or_none(values: "pd.Series[Any]") -> list[Any]:
    return values.astype(object).where(values.notna(), None).tolist()


def _family_standings(
    rows: list[Row], merges: list[Merge], grace: int | None
) -> Iterator[Standing]:
    """The standings of accounts that merges join: what changed on each day that tells news."""
    accounts = sorted({r.account_id for r in rows} | {a for m in merges for a in m[1:]})
    last: dict[str, Standing] = {}
    for day in _news(rows, merges, grace):
        midnight = pd.Timestamp(day * DAY_US, unit="us", tz="UTC")
        ends = {a: goes_on_as(a, merges, midnight) if merges else a for a in accounts}
        for account in accounts:
            known = [r for r in rows if r.visible <= day and ends[r.account_id] == account]
            gone = ends[account] != account
            if account not in last and not known and not gone:
                continue
            now = _standing(account, day, known, grace, gone=gone)
            if account not in last or last[account]._replace(day=day) != now:
                last[account] = now
                yield now


def _news(rows: list[Row], merges: list[Merge], grace: int | None) -> list[int]:
    """The days on which something may be known that was not known the day before."""
    days = {row.visible for row in rows}
    days |= {-(-(m.known_at.value // 1000) // DAY_US) for m in merges}
    if grace is not None:
        ends = [(r.visible, (r.term_end + grace) // DAY_US + 1) for r in rows if r.term_end]
        days |= {noticed for seen, noticed in ends if noticed > seen}
    return sorted(days)


def _standing(
    account: str, day: int, rows: list[Row], grace: int | None, *, gone: bool
) -> Standing:
    """How an account stands by all its rows that are visible on a day."""
    held: dict[str, Row] = {}
    first_end: Instant | None = None
    paying: list[Row] = []
    for _, together in groupby(_with_lapses(rows, day, grace), key=lambda row: row.begins):
        held.update((row.subscription_id, row) for row in together)
        before, paying = paying, [row for row in held.values() if row.paid]
        if paying and not before:
            first_end = min((end for row in paying if (end := row.end) is not None), default=None)
    renews = None
    if paying and first_end is not None and _goes_on(paying, first_end, grace):
        renews = first_end // DAY_US + 1
    ever = any(row.paid for row in rows)
    return Standing(account, day, bool(paying), ever, renews, sum(r.mrr for r in paying), gone)


def _goes_on(paying: list[Row], first_end: Instant, grace: int | None) -> bool:
    """Whether a term after the first is known, where terms end unless somebody renews them."""
    return grace is None or any(r.term_end is None or r.term_end > first_end for r in paying)


def _with_lapses(rows: list[Row], day: int, grace: int | None) -> Iterable[Row]:
    """The rows in order, with an end for each term that nobody had renewed in time by `day`."""
    if grace is None:
        return rows
    ends = []
    following: dict[str, Row] = {}
    for row in reversed(rows):
        after = following.get(row.subscription_id)
        following[row.subscription_id] = row
        if not row.runs or row.term_end is None or row.term_end + grace >= day * DAY_US:
            continue
        if after is None or after.begins > row.term_end + grace:
            begins = max(row.term_end, row.begins)
            ends.append(row._replace(begins=begins, paid=False, runs=False, mrr=0.0))
    return sorted([*rows, *ends], key=lambda row: row.begins)  # stable: a lapse after its row
