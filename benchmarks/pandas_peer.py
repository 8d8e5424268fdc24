"""The peer: the same features, by pandas, one observation date after the other.

It reads the catalogue's declarations and computes them as a person does by hand, in two manners.
In both, texts are turned into numbers once, and each date is cut to what was known and sessionised.
*Plain*: each date sorts its events, and each window groups those that lie in it. *Tuned*: the
events are sorted once for all dates, and the windows of a date share its sums by day. Features that
the peer cannot compute are left out and counted.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.job import WEEKS, midnights
from benchmarks.pandas_facts import facts, read_records
from benchmarks.pandas_frames import DAY_US, Known, PlainKnown, read_log
from benchmarks.pandas_leaves import Leaves
from benchmarks.size import Size
from features import algebra as a
from features.catalog import catalogue
from features.declare import Feature
from features.settings import Settings
from features.workspace import Workspace

Values = np.ndarray


def few(days: list[datetime], dates: int) -> list[datetime]:
    """So many of the days, evenly spread."""
    return [days[int((i + 0.5) * len(days) / dates)] for i in range(dates)]


def peer_step(
    workspace: Workspace, settings: Settings, size: Size, dates: int, out: Path, *, tuned: bool
) -> Callable[[], dict[str, Any]]:
    """Compute a few dates; says what reading took (`once`) and each date (`a_date`).

    Both in CPU and wall seconds. The features of these dates are written to `out`, to be compared.
    """
    days = few(midnights(size), dates)

    def work() -> dict[str, Any]:
        started = _spent()
        peer = Peer(workspace, settings, tuned=tuned)
        once = _spent() - started
        parts = [peer.features_at(day) for day in days]
        table = pd.concat(parts, ignore_index=True)
        table.to_parquet(out)
        cpu, wall = (_spent() - started - once) / dates
        return {
            "once": once.tolist(), "a_date": [cpu, wall], "dates": dates, "of": WEEKS,
            "features": len(table.columns) - 2, "rows": len(table), "out": str(out),
            "declared": len(peer.features),
        }  # fmt: skip

    return work


def _spent() -> Values:
    """CPU and wall seconds so far."""
    return np.array([process_time(), perf_counter()])


class Peer:
    """Everything that is the same for all dates."""

    def __init__(self, workspace: Workspace, settings: Settings, *, tuned: bool) -> None:
        self.settings = settings
        self.known = Known if tuned else PlainKnown
        self.records = read_records(workspace)
        self.log = read_log(
            workspace, settings, self.records["accounts"]["account_id"], ordered=tuned
        )
        self.steps = self.log.only(m.event for m in settings.milestones)
        self.features = catalogue(settings).features

    def features_at(self, as_of: datetime) -> pd.DataFrame:
        """account_id, as_of, and each feature that this peer can compute, at a midnight."""
        day = int(as_of.timestamp() * 1_000_000) // DAY_US
        date = Date(self, day)
        columns = {f.name: v for f in self.features if (v := date.feature(f)) is not None}
        frame = pd.DataFrame({"account_id": self.log.accounts[date.here], **columns})
        frame.insert(1, "as_of", as_of.date())
        return frame


class Date:
    """One date: the algebra's combinations over its leaves and facts."""

    def __init__(self, peer: Peer, day: int) -> None:
        self.leaves = Leaves(peer.log, peer.settings, day, peer.known)
        self.facts = facts(peer.records, peer.settings, day, peer.steps)
        born = peer.records["accounts"].groupby("account_id")["created_at"].min()
        self.here = (born.reindex(peer.log.accounts) // DAY_US < day).to_numpy()
        self._seen: dict[a.Expression, Values] = {}

    def feature(self, feature: Feature) -> Values | None:
        """One number an account that had signed up; None where this peer cannot compute it."""
        try:
            if feature.categorical:
                return self.facts[feature.expression.name].to_numpy()[self.here]  # type: ignore
            return self.value(feature.expression)[self.here].astype("float32")
        except KeyError:
            return None

    def value(self, e: a.Expression) -> Values:
        """Any expression, for all accounts; KeyError where it holds something not known here."""
        if e not in self._seen:
            with np.errstate(divide="ignore", invalid="ignore"):
                self._seen[e] = self._computed(e)
        return self._seen[e]

    def _computed(self, e: a.Expression) -> Values:
        match e:
            case a.Fact(name):
                return self.facts[name].to_numpy(dtype=float)
            case a.DaysOver():
                return self.leaves.value(e, self.value(a.Fact(e.limit)))
            case a.PeerRank(of, among) | a.PeerMedian(of, among):
                return self._among_peers(e, self.value(of), list(among))
        if not list(e.parts()):
            return self.leaves.value(e)
        return np.asarray(self._combined(e))

    def _combined(self, e: a.Expression) -> Any:
        parts = np.array([self.value(part) for part in e.parts()])
        match e:
            case a.Ratio(times=times):
                return parts[0] / np.where(parts[1] == 0, np.nan, parts[1]) * times
            case a.Growth():
                return (parts[0] + 1) / (parts[1] + 1)
            case a.Largest():
                return np.fmax.reduce(parts)
            case a.Mean():
                count = (~np.isnan(parts)).sum(axis=0)
                return np.nansum(parts, axis=0) / np.where(count, count, np.nan)
            case a.Linear(weights):
                return (np.array(weights)[:, None] * parts).sum(axis=0)
            case a.Spread():
                return parts.std(axis=0)
            case a.AtLeast(least=least):
                return np.where(np.isnan(parts[0]), np.nan, parts[0] >= least)
            case a.ByPlan(plans):
                plan = self.facts["plan"].to_numpy()
                return np.select([plan == p for p in plans], list(parts), np.nan)
            case a.DaysToReach(days=days):
                return _days_to_reach(parts[0], parts[1], parts[2], days)
        raise KeyError(f"{e!r} is no combination that this peer knows")

    def _among_peers(self, e: a.Expression, values: Values, among: list[str]) -> Values:
        here = self.here
        peers = self.facts.loc[here, among].reset_index(drop=True)
        mine = pd.Series(np.nan_to_num(values[here]).round(6))
        grouped = mine.groupby([peers[name] for name in among], dropna=False)
        result = np.full(len(values), np.nan)
        if isinstance(e, a.PeerMedian):
            result[here] = grouped.transform("median")
        else:
            result[here] = 100 * (grouped.rank() - 0.5) / grouped.transform("size")
        return result


def _days_to_reach(use: Values, before: Values, limit: Values, days: int) -> Values:
    slope = (use - before) / days
    ahead = np.where(slope > 0, (limit - use) / np.where(slope > 0, slope, 1.0), np.inf)
    capped = np.minimum(ahead, a.FAR_DAYS)
    return np.where(np.isnan(limit), np.nan, np.where(use >= limit, 0.0, capped))
