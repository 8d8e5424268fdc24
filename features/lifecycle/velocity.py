"""How many get from one state to the next, and how fast: survival curves with intervals.

An account that has not got there yet is censored, not counted as lost. Where it can leave another
way first (a customer may churn before it renews), the curve is the cumulative incidence, else the
complement of Kaplan-Meier. Intervals are 95 %, log-log in the share that has not got there.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from features.lifecycle.states import FLAGS, Timeline

HORIZONS = (14, 30, 60, 90)
QUARTILES = (0.25, 0.5, 0.75)
Z = 1.959964
Floats = npt.NDArray[np.float64]
TRANSITIONS = (
    ("visitor", "signup", None),
    ("signup", "pql", "customer"),
    ("signup", "customer", None),
    ("pql", "customer", None),
    ("customer", "active", "churned"),
    ("customer", "renewed", "churned"),
    ("customer", "churned", None),
)
"""From, to, and the way out that ends the wait for good."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; None: not reached in what was observed."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Passage:
    """The way from one state or milestone to another, of all that set out in a period.

    `reached` + `left` (another way) + `open` = `began`. `within`: days → share that got there, None
    beyond the longest wait observed. `days`: share → days until so many got there.
    """

    began: int
    reached: int
    left: int
    open: int
    within: dict[int, Estimate]
    days: dict[float, Estimate]


@dataclass(frozen=True)
class Curve:
    """The share that got there by each day, at the days on which it rises, with its band."""

    days: Floats
    share: Floats
    low: Floats
    high: Floats
    observed: float

    def at(self, day: int) -> Estimate:
        """The share within so many days."""
        if day > self.observed:
            return Estimate(None, None, None)
        place = int(np.searchsorted(self.days, day, side="right")) - 1
        if place < 0 or self.share[place] == 0:
            return Estimate(0.0, None, None)
        return Estimate(*(float(line[place]) for line in (self.share, self.low, self.high)))

    def until(self, share: float) -> Estimate:
        """The days until such a share got there; low and high are those of the band."""
        lines = (self.share, self.high, self.low)
        return Estimate(*(_first(self.days, line, share) for line in lines))


def passage(days: Floats, ends: npt.NDArray[np.int64]) -> Passage:
    """Estimate a passage from waits in days and how each ended.

    `ends`: 0 still open, 1 got there, 2 left another way.
    """
    reached, left, still = (int((ends == kind).sum()) for kind in (1, 2, 0))
    line = curve(days, ends)
    within = {horizon: line.at(horizon) for horizon in HORIZONS}
    return Passage(
        len(days), reached, left, still, within, {share: line.until(share) for share in QUARTILES}
    )


def curve(days: Floats, ends: npt.NDArray[np.int64]) -> Curve:
    """The share that got there by each day; waits and ends as in `passage`.

    >>> line = curve(np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]))
    >>> line.share.round(3).tolist()
    [0.333, 1.0]
    """
    if not (ends == 1).any():
        none = np.array([])
        still = days.max() if len(days) else -1.0
        return Curve(none, none, none, none, float(still))
    if (ends == 2).any():
        # When all who are left end at once, its error divides by none; the band stays as it was.
        with np.errstate(divide="ignore", invalid="ignore"):
            found = CumIncidenceRight(days, ends)
        times, share, error = found.times, found.cinc[0], found.cinc_se[0]
    else:
        found = SurvfuncRight(days, ends)
        times, share, error = found.surv_times, 1 - found.surv_prob, found.surv_prob_se
    low, high = _band(np.asarray(share), np.asarray(error))
    # When nobody waits any more, no share can change: it is known for every later day.
    over = np.inf if not (ends == 0).any() else days.max()
    return Curve(np.asarray(times), np.asarray(share), low, high, float(over))


def _band(share: Floats, error: Floats) -> tuple[Floats, Floats]:
    """The interval around each share; where its error is not known, as at the share before."""
    rest = 1 - share
    inside = (rest > 1e-12) & (share > 1e-12) & np.isfinite(error)
    safe = np.where(inside, rest, 0.5)
    spread = Z * np.where(inside, error, 0.0) / (safe * np.abs(np.log(safe)))
    low = np.where(inside, 1 - safe ** np.exp(-spread), 0.0)
    high = np.where(inside, 1 - safe ** np.exp(spread), share)
    return np.maximum.accumulate(low), np.maximum.accumulate(high)


def _first(days: Floats, line: Floats, share: float) -> float | None:
    reached = np.nonzero(line >= share - 1e-12)[0]
    return float(days[reached[0]]) if len(reached) else None


def entries(told: Timeline) -> pd.DataFrame:
    """The first day as of which each account was in each state, whatever it was besides.

    Index: account_id. Columns: the states (missing: never), `until`: the last day it was followed,
    which for an account merged into another is the day of the merge.
    """
    flags = told.flags.set_index("account_id")
    pays, signed_up = flags["pays"], flags["signed_up"]
    when = {
        "visitor": flags["visited"] & ~signed_up,
        "signup": signed_up,
        "pql": signed_up & flags["pql"] & ~flags["ever_paid"],
        "customer": pays,
        "active": pays & flags["active"],
        "renewed": pays & flags["renewed"],
        "churned": flags["ever_paid"] & ~pays,
    }
    mine = ~flags[FLAGS[-1]]
    first = {
        name: flags.loc[met & mine, "day"].groupby(level=0).min() for name, met in when.items()
    }
    gone = flags.loc[~mine, "day"].groupby(level=0).min()
    table = pd.DataFrame(first, index=flags.index.unique()).astype(float)
    table = table.assign(until=gone.reindex(table.index).fillna(told.day).astype(float))
    return _without_merges(table, told.arrivals)


def _without_merges(table: pd.DataFrame, arrivals: pd.DataFrame) -> pd.DataFrame:
    """A state that an account got by a merge was not entered; it was followed only until then."""
    arrived = arrivals.groupby("account_id")["day"].min().reindex(table.index).astype(float)
    for state in table.columns.drop("until"):
        given = table[state] == arrived
        table.loc[given, "until"] = table["until"].clip(upper=arrived)[given]
        table.loc[given, state] = np.nan
    return table


def between(table: pd.DataFrame, start: str, to: str, out: str | None, since: int) -> Passage:
    """The passage of all that entered `start` after day `since`, by the columns of `entries`."""
    begun = table[table[start] > since]
    ways = begun[[to]].assign(out=begun[out] if out else np.nan, until=begun["until"])
    reached = ways[to] <= ways[["out", "until"]].min(axis=1)
    left = ~reached & (ways["out"] <= ways["until"])
    end = np.where(reached, ways[to], np.where(left, ways["out"], ways["until"]))
    ends = np.where(reached, 1, np.where(left, 2, 0))
    return passage(np.maximum(end - begun[start].to_numpy(), 0.0), ends)
