"""Which account is looked at on which day: the (account, as_of) grid."""

import datetime as dt
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from features import history
from features.errors import InputError, RefusedError
from features.lake import read_table
from features.points import known_days
from features.settings import Outcome as Timing
from features.settings import Settings
from features.workspace import Workspace
from training.outcomes import chosen

DAY = np.timedelta64(1, "D")
MONDAY = np.datetime64("1970-01-05")
WARM_UP = 28  # days of events before the first day of a calendar grid, so that windows are full
PAIR = ["account_id", "as_of"]


@dataclass(frozen=True)
class History:
    """What happened to the accounts, as finally known.

    `accounts`: account_id, created_at (UTC), is_internal, first and end (days since 1970-01-01: the
    first midnight that knew of it, and the first that no longer does), one row each. `changes` and
    `terms` as in `features.history`. `first_day`: the day of the first event. `until`: the last day
    up to which outcomes are fully known. `as_of`: the day as on which all of it was read, None for
    now.
    """

    accounts: pd.DataFrame
    changes: pd.DataFrame
    terms: pd.DataFrame
    first_day: dt.date
    until: dt.date
    as_of: dt.date | None = None


def read_history(workspace: Workspace, settings: Settings, as_of: dt.date | None = None) -> History:
    """Read the accounts and their commercial life from the lake, as known now or on `as_of`."""
    accounts = read_table(workspace, "accounts").to_pandas()
    if as_of is not None:
        accounts = accounts[accounts["known_at"] <= pd.Timestamp(as_of, tz="UTC")]
    once = accounts.groupby("account_id", as_index=False).agg(
        created_at=("created_at", "min"), is_internal=("is_internal", _ever)
    )
    once = once.merge(known_days(workspace), on="account_id")
    if once.empty and as_of:
        raise InputError(f"no accounts that were known on {as_of}", do="Name a later --as-of.")
    if once.empty:
        raise InputError("no accounts in the lake", do="Run `goldpan ingest` first.")
    return History(
        accounts=once,
        changes=history.changes(workspace, settings, as_of),
        terms=history.terms(workspace, settings, as_of),
        first_day=history.event_span(workspace)[0].date(),
        until=history.observed_until(workspace, settings, as_of),
        as_of=as_of,
    )


def grid(workspace: Workspace, settings: Settings) -> pd.DataFrame:
    """Every observation that some declared outcome asks for.

    Returns account_id (str), as_of (date; midnight UTC is meant), sorted, each pair once; internal
    accounts are left out. Raises RefusedError when every outcome needs more days than there are.
    """
    history = read_history(workspace, settings)
    parts, refusals = [], []
    for name, timing in chosen(settings, None).items():
        try:
            parts.append(schedule(history, timing, name))
        except RefusedError as error:  # training says so; the other outcomes can be learnt
            refusals.append(error)
    if not parts:
        raise refusals[0]
    pairs = pd.concat(parts).drop_duplicates().sort_values(PAIR, ignore_index=True)
    return pairs.assign(as_of=pairs["as_of"].dt.date)


def schedule(history: History, timing: Timing, name: str) -> pd.DataFrame:
    """The observations of one outcome: account_id, as_of (datetime64, midnight UTC, naive).

    Every window `(as_of, as_of + lead + horizon]` ends by `history.until`; every account is at
    least `min_age_days` old; every day lies after the first event.
    """
    last = last_day(history, timing, name)
    people = history.accounts[~history.accounts["is_internal"].astype(bool)]
    born = people["created_at"].dt.tz_convert("UTC").dt.tz_localize(None)
    accounts = people["account_id"].to_numpy(dtype=object)
    if timing.every_days:
        newest = newest_on_grid(last, timing.every_days)
        pairs = _calendar(accounts, born, timing, np.datetime64(history.first_day), newest)
    elif timing.at_age_days:
        pairs = _at_ages(accounts, born, timing.at_age_days)
    else:
        pairs = _before_renewals(history.terms, set(accounts), timing.before_renewal_days)
    old = pairs.merge(people[["account_id", "first", "end"]].assign(born=born.to_numpy()))
    ripe = old["as_of"] >= old["born"] + pd.Timedelta(days=timing.min_age_days)
    day = old["as_of"].to_numpy().astype("datetime64[D]").astype("int64")
    known = (old["first"] <= day) & (day < old["end"])
    known &= (old["as_of"] > np.datetime64(history.first_day)) & (old["as_of"] <= last)
    return old.loc[ripe & known, PAIR].drop_duplicates().sort_values(PAIR, ignore_index=True)


def last_day(history: History, timing: Timing, name: str) -> np.datetime64:
    """The last day whose whole window is known.

    Raises RefusedError with both figures when the data are shorter than lead + horizon.
    """
    ahead = timing.lead_days + timing.horizon_days
    before = WARM_UP if timing.every_days else 1
    found = max(0, (history.until - history.first_day).days)
    if found < ahead + before:
        then = f", as known on {history.as_of}" if history.as_of else ""
        span = f"{history.first_day} to {history.until}{then}"
        raise RefusedError(
            f"{found} days of data ({span}) for outcome '{name}'",
            expected=f"at least {ahead + before}: {before} to look back, {timing.lead_days} lead, "
            f"{timing.horizon_days} horizon",
            do=f"Shorten outcomes.{name}.horizon_days, or bring more history"
            + (
                ", or name a later --as-of."
                if history.as_of
                else "; where no subscription has "
                "changed for long, subscriptions.complete_until says up to when that is known."
            ),
        )
    return np.datetime64(history.until) - ahead * DAY


def newest_on_grid(last: np.datetime64, every: int) -> np.datetime64:
    """The newest day not after `last` that lies whole steps from a Monday long ago.

    All outcomes count from the same day, so that their grids share observations; and it stays, so
    that one more day of data moves none.

    >>> str(newest_on_grid(np.datetime64("2024-01-20"), 7))
    '2024-01-15'
    """
    return last - (last - MONDAY) // DAY % every * DAY


def calendar_days(first: np.datetime64, last: np.datetime64, every: int) -> np.ndarray:
    """Days `every` apart, counted back from `last`, none before `first`.

    >>> found = calendar_days(np.datetime64("2024-01-01"), np.datetime64("2024-01-16"), 7)
    >>> found.astype(str).tolist()
    ['2024-01-02', '2024-01-09', '2024-01-16']
    """
    return np.arange(last, first - DAY, -every * DAY)[::-1]


def midnight_after(moments: "pd.Series[pd.Timestamp]") -> "pd.Series[pd.Timestamp]":
    """The first midnight that is not before each moment.

    >>> moments = pd.to_datetime(["2024-01-01 00:00:00", "2024-01-01 00:00:01"])
    >>> midnight_after(pd.Series(moments)).dt.day.tolist()
    [1, 2]
    """
    return moments.dt.ceil("D")


def _calendar(
    accounts: np.ndarray,
    born: "pd.Series[pd.Timestamp]",
    timing: Timing,
    first: np.datetime64,
    last: np.datetime64,
) -> pd.DataFrame:
    """Each account on each day of the grid on which it is old enough."""
    days = calendar_days(first + WARM_UP * DAY, last, timing.every_days or 1)
    ripe = born.to_numpy()[:, None] + timing.min_age_days * DAY <= days[None, :]
    who, when = np.nonzero(ripe)
    return _pairs(accounts[who], days[when])


def _at_ages(
    accounts: np.ndarray, born: "pd.Series[pd.Timestamp]", ages: tuple[int, ...]
) -> pd.DataFrame:
    """Each account at the first midnight at which it is that old."""
    days = [midnight_after(born + pd.Timedelta(days=age)) for age in ages]
    return _pairs(np.tile(accounts, len(ages)), pd.concat(days).to_numpy())


def _before_renewals(
    terms: pd.DataFrame, accounts: set[str], days: tuple[int, ...]
) -> pd.DataFrame:
    """Each paid term so many days before the renewal date that was known at its start."""
    ours = terms[terms["account_id"].isin(accounts)]
    start, end = (ours[c].dt.tz_convert("UTC").dt.tz_localize(None) for c in ("start", "end"))
    parts = []
    for before, who in product(days, [ours["account_id"].to_numpy(dtype=object)]):
        as_of = end.dt.floor("D") - pd.Timedelta(days=before)
        inside = (as_of > start).to_numpy()
        parts.append(_pairs(who[inside], as_of.to_numpy()[inside]))
    return pd.concat(parts)


def _pairs(accounts: np.ndarray, days: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"account_id": pd.array(accounts, dtype="str"), "as_of": days.astype("datetime64[us]")}
    )


def _ever(flags: "pd.Series[bool]") -> bool:
    return bool(flags.fillna(False).any())
