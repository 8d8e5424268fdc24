"""The rows that insights look at: one account on one day, and what happened after that day.

Immortal time is avoided by construction. Whatever an account is said to have done, it had done
before its row's `as_of`; it was still at risk on that day; and only what happened in the window
after it counts. Rows of one account are at least a horizon apart, so that no outcome counts twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import RefusedError
from features.settings import Outcome as Timing
from features.settings import Settings
from training.insights.effects import Floats, Ints
from training.labels import label, over
from training.observations import History
from training.outcomes import OUTCOMES, eligible

FEWEST = 60  # outcomes without which nothing is said
EARLY_DAYS = 90
GRACE_DAYS = 14
NOTICE_DAYS = 14


@dataclass(frozen=True)
class Landmarks:
    """Rows sorted by account and as_of; `y` says whether the outcome came."""

    name: str
    rows: pd.DataFrame
    y: Floats
    account: Ints

    @property
    def accounts(self) -> int:
        """How many accounts the rows are of."""
        return int(self.account[-1]) + 1 if len(self.account) else 0

    def take(self, mask: NDArray[np.bool_]) -> "Landmarks":
        """Only these rows."""
        return landmarks(self.name, self.rows[mask], self.y[mask])


def landmarks(name: str, rows: pd.DataFrame, y: Floats) -> Landmarks:
    """Rows that are sorted by account, with their outcomes."""
    codes = pd.factorize(rows["account_id"])[0].astype(np.int64)
    return Landmarks(name, rows.reset_index(drop=True), np.asarray(y, dtype=float), codes)


def of_outcome(
    name: str, timing: Timing, table: pd.DataFrame, history: History, settings: Settings
) -> Landmarks:
    """The rows of one of the declared outcomes, of accounts that used the product lately.

    Prospects are looked at in their first 90 days: early use is what a golden feature is about.
    Raises RefusedError where fewer than 60 outcomes are left.
    """
    outcome = OUTCOMES[name]
    rows = table[eligible(outcome, table, settings, timing)]
    rows = rows[~over(rows, history.changes, outcome)]
    if outcome.population == "prospect":
        rows = rows[rows["age_days"] <= EARLY_DAYS]
    if "events_90d" in rows:
        rows = rows[rows["events_90d"] > 0]
    known = label(rows, history.changes, outcome, timing, history.until)
    kept = known[apart(known, timing.horizon_days)]
    return enough(landmarks(name, kept, kept["label"].to_numpy()))


def of_renewals(table: pd.DataFrame, history: History) -> Landmarks:
    """The last row of each paid term at least 14 days before its end, and whether it went on.

    A term is renewed when the account has not churned 14 days after its end. Terms that end after
    the known time, and accounts that had announced their leaving, are left out.
    """
    customers = table[(table["population"] == "customer") & ~table["cancel_announced"]]
    customers = customers[~over(customers, history.changes, OUTCOMES["churn"])]
    customers = customers[~customers["is_internal"]].assign(
        end=lambda t: pd.to_datetime(t["term_end"])
    )
    left = (customers["end"] - customers["as_of"]).dt.days
    decided = customers["end"] + pd.Timedelta(days=GRACE_DAYS)
    ripe = (left >= NOTICE_DAYS) & (decided <= pd.Timestamp(history.until))
    last = customers[ripe].sort_values(["account_id", "as_of"])
    last = last.drop_duplicates(["account_id", "end"], keep="last")
    gone = _churned_between(last, history)
    return enough(landmarks("renewal", last, 1.0 - gone), rare=float(gone.sum()))


def _churned_between(rows: pd.DataFrame, history: History) -> Floats:
    """1 where the account churned after `as_of` and at most 14 days after the term's end."""
    churns = history.changes.loc[history.changes["kind"] == "churn", ["account_id", "time"]]
    moments = churns.assign(time=churns["time"].dt.tz_convert("UTC").dt.tz_localize(None))
    both = rows[["account_id", "as_of", "end"]].assign(row=np.arange(len(rows)))
    both = both.merge(moments, on="account_id")
    over = both["end"] + pd.Timedelta(days=GRACE_DAYS)
    hit = both.loc[(both["time"] > both["as_of"]) & (both["time"] <= over), "row"]
    return np.isin(np.arange(len(rows)), hit.to_numpy()).astype(float)


def apart(rows: pd.DataFrame, days: int) -> NDArray[np.bool_]:
    """Rows of each account at least so many days apart, the first of each included.

    `rows` may come in any order.

    >>> rows = pd.DataFrame({"account_id": ["a"] * 3,
    ...     "as_of": pd.to_datetime(["2024-01-01", "2024-01-08", "2024-01-15"])})
    >>> apart(rows, 10).tolist()
    [True, False, True]
    """
    day = rows["as_of"].to_numpy().astype("datetime64[D]").astype(np.int64)
    who = pd.factorize(rows["account_id"])[0]
    keep = np.zeros(len(rows), dtype=bool)
    last: dict[int, int] = {}
    for place in np.lexsort((day, who)):
        if day[place] - last.get(who[place], -days) >= days or who[place] not in last:
            keep[place], last[who[place]] = True, day[place]
    return keep


def enough(found: Landmarks, rare: float | None = None) -> Landmarks:
    """The same rows, if there are enough outcomes to say anything; RefusedError otherwise."""
    ones = found.y.sum() if rare is None else rare
    fewest = int(min(ones, len(found.y) - ones)) if rare is None else int(ones)
    if fewest < FEWEST:
        what = "terms that were not renewed" if rare is not None else f"outcomes '{found.name}'"
        raise RefusedError(
            f"{fewest} {what} in {len(found.y):,} observations of {found.accounts:,} accounts",
            expected=f"at least {FEWEST}",
            do="Wait for more of them, or bring more history; below that, chance looks like "
            "insight.",
        )
    return found


def columns_present(rows: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Those of the names that the table has."""
    return [name for name in names if name in rows]
