"""The leaves of the algebra over one date's events: each an array, one number an account."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.pandas_frames import USE_MEASURES, VALUES, Known, Log, listed_events
from features.algebra import (
    RING_DAYS,
    SPAN,
    YEAR_BACK,
    DaysOver,
    DaysSince,
    Distinct,
    Entropy,
    EventCount,
    Expression,
    LongestGap,
    LongestStreak,
    OfBusiest,
    OnlyIn,
    SinceBusiest,
    Streak,
    Sum,
    TopShare,
    Total,
    Window,
)
from features.settings import Settings

EVER = 40_000
"""Days that reach back before any event."""


class Leaves:
    """One date: computes each leaf once; arrays follow the numbers of `Log.accounts`."""

    def __init__(self, log: Log, settings: Settings, day: int, known: type[Known]) -> None:
        self.log, self.settings, self.day, self.known = log, settings, day, known
        self._windows: dict[Any, pd.Series] = {}
        self._measures: dict[Any, pd.DataFrame] = {}

    @cached_property
    def near(self) -> Known:
        """What the windows of the last 90 days see."""
        return self.known(self.log, self.settings, self.day, RING_DAYS)

    @cached_property
    def year_ago(self) -> Known:
        """The same weekdays of a year before."""
        return self.known(self.log, self.settings, self.day, SPAN, YEAR_BACK)

    def value(self, leaf: Expression, limit: np.ndarray | None = None) -> np.ndarray:
        """A leaf; `limit` is what a DaysOver is held against.

        Raises KeyError for a measure or key that this peer does not know.
        """
        match leaf:
            case Sum(measure, window):
                return self._filled(_total(self._daily(measure, window), window), 0.0)
            case Total(measure):
                daily = self._ever(measure)
                return self._filled(daily.groupby("account")["n"].sum(), 0.0)
            case DaysSince(measure):
                daily = self._present(measure, RING_DAYS)
                return self._filled(daily.groupby("account")["age"].min() + 1.0, RING_DAYS + 1.0)
            case EventCount(event, window):
                n = self._keyed("event", window)
                mine = n.index.get_level_values(1).isin(self.log.codes([event]))
                return self._filled(n[mine].groupby(level=0).sum(), 0.0)
            case LongestGap() | LongestStreak() | Streak():
                return self._runs(leaf)
            case DaysOver():
                return self._days_over(leaf, limit)
        return self._over_keys(leaf)

    def _over_keys(self, leaf: Expression) -> np.ndarray:
        match leaf:
            case Distinct(key, window, at_least):
                n = self._keyed(key, window)
                return self._filled((n >= at_least).groupby(level=0).sum(), 0.0)
            case OnlyIn(key, window, other):
                here, there = self._keyed(key, window), self._keyed(key, other)
                alone = here[~here.index.isin(there.index)]
                return self._filled(alone.groupby(level=0).size(), 0.0)
            case TopShare(key, window):
                by_account = self._keyed(key, window).groupby(level=0)
                return self._filled(by_account.max() / by_account.sum(), np.nan)
            case Entropy(key, window):
                n = self._keyed(key, window)
                share = n / n.groupby(level=0).transform("sum")
                spread = -(share * np.log(share)).groupby(level=0).sum()
                return self._filled(spread.clip(lower=0.0), 0.0)
            case OfBusiest(key, window, busiest_in):
                busiest = self._busiest(key, busiest_in)
                n = self._keyed(key, window).reindex(busiest, fill_value=0)
                return self._filled(n.groupby(level=0).sum(), np.nan)
            case SinceBusiest(key, busiest_in):
                busiest = self._busiest(key, busiest_in)
                rows, name = self._rows(key)
                last = rows.groupby(["account", name])["age"].min().reindex(busiest)
                return self._filled(last.groupby(level=0).min() + 1.0, np.nan)
        raise KeyError(f"{leaf!r} is a leaf that this peer does not know")

    def _filled(self, found: pd.Series, missing: float) -> np.ndarray:
        values = np.full(len(self.log.accounts), missing)
        values[found.index.to_numpy()] = found.to_numpy()
        return values

    def _daily(self, measure: str, window: Window) -> pd.DataFrame:
        known = "year_ago" if window.back == YEAR_BACK else "near"
        if (known, measure) not in self._measures:
            self._measures[known, measure] = getattr(self, known).measure(measure)
        return self._measures[known, measure]

    def _ever(self, measure: str) -> pd.DataFrame:
        """A measure on all days before the date."""
        log = self.log
        if measure not in USE_MEASURES:
            log = log.only(listed_events(VALUES.get(measure, measure), self.settings))
        return self.known(log, self.settings, self.day, EVER).measure(measure)

    def _rows(self, key: str) -> tuple[pd.DataFrame, str]:
        """The daily rows of a key, and the column that holds it."""
        lists, near = self.settings.events, self.near
        if key == "user":
            return near.by_user[near.by_user["user"] >= 0], "user"
        if key == "core_user":
            return near.by_core_user[near.by_core_user["user"] >= 0], "user"
        if key == "event":
            return near.by_event, "event"
        names = {"feature": lists.features, "core": lists.core_use_cases, "golden": lists.golden}
        names |= {f"plan:{p}": of for p, of in self.settings.plans.features.items()}
        return near.by_event[near.by_event["event"].isin(self.log.codes(names[key]))], "event"

    def _keyed(self, key: str, window: Window) -> pd.Series:
        """(account, key) → how often in a window, those that occur."""
        if (key, window) not in self._windows:
            rows, name = self._rows(key)
            inside = rows[_inside(rows, window)]
            self._windows[key, window] = inside.groupby(["account", name])["n"].sum()
        return self._windows[key, window]

    def _busiest(self, key: str, window: Window) -> pd.MultiIndex:
        n = self._keyed(key, window)
        # idxmax takes the first of equals, and keys are numbered in the order of their names.
        return pd.MultiIndex.from_tuples(list(n.groupby(level=0).idxmax()), names=n.index.names)

    def _present(self, measure: str, days: int) -> pd.DataFrame:
        daily = self._daily(measure, Window(days))
        return daily[(daily["n"] > 0) & (daily["age"] < days)]

    def _grid(self, measure: str, days: int) -> np.ndarray:
        """The measure as accounts × days, the oldest day first."""
        daily = self._daily(measure, Window(min(days, RING_DAYS)))
        if days > RING_DAYS:
            daily = self.known(self.log, self.settings, self.day, days).measure(measure)
        daily = daily[daily["age"] < days]
        grid = np.zeros((len(self.log.accounts), days))
        np.add.at(grid, (daily["account"], days - 1 - daily["age"]), daily["n"])
        return grid

    def _runs(self, leaf: LongestGap | LongestStreak | Streak) -> np.ndarray:
        """The longest pause, the longest run, or the run up to now, on the last SPAN days."""
        on = self._grid(leaf.measure, SPAN) > 0
        run = pause = longest = longest_pause = np.zeros(len(on))
        seen = np.zeros(len(on), dtype=bool)
        for day in range(SPAN):
            run = np.where(on[:, day], run + 1, 0.0)
            longest = np.maximum(longest, run)
            pause = np.where(seen, pause + 1, 0.0)
            longest_pause = np.maximum(longest_pause, pause)
            pause = np.where(on[:, day], 0.0, pause)
            seen |= on[:, day]
        if isinstance(leaf, LongestGap):
            return np.where(seen, np.maximum(longest_pause, pause + 1), np.nan)
        return longest if isinstance(leaf, LongestStreak) else run

    def _days_over(self, leaf: DaysOver, limit: np.ndarray | None) -> np.ndarray:
        if limit is None:
            raise KeyError(leaf.limit)
        total = self._grid(leaf.measure, SPAN + leaf.days - 1).cumsum(axis=1)
        total = np.concatenate([np.zeros((len(total), 1)), total], axis=1)
        rolling = total[:, leaf.days :] - total[:, : -leaf.days]
        over = (rolling >= leaf.share * limit[:, None]).sum(axis=1)
        return np.where(np.isnan(limit), np.nan, over)


def _inside(rows: pd.DataFrame, window: Window) -> pd.Series:
    return (rows["age"] >= window.back) & (rows["age"] < window.back + window.days)


def _total(daily: pd.DataFrame, window: Window) -> pd.Series:
    return daily[_inside(daily, window)].groupby("account")["n"].sum()
