"""What happened after each observation: the outcome, what was not yet known, what came between."""

import datetime as dt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.settings import Outcome as Timing
from training.outcomes import Outcome

Floats = NDArray[np.float64]
DAY = np.timedelta64(1, "D")


def label(
    rows: pd.DataFrame, changes: pd.DataFrame, outcome: Outcome, timing: Timing, until: dt.date
) -> pd.DataFrame:
    """The rows that may be learnt from, with a column `label` of 0 and 1.

    1: the outcome's change took effect in `(as_of + lead, as_of + lead + horizon]`, and no
    competing change came before it. Left out: rows whose window ends after `until`, and rows whose
    change took effect in `(as_of, as_of + lead]`. A change at `as_of` itself is past; see `over`.
    `rows`: account_id, as_of (naive midnight UTC) and anything else. `changes`: account_id, time
    (UTC), kind.
    """
    start = rows["as_of"].to_numpy(dtype="datetime64[us]") + timing.lead_days * DAY
    end = start + timing.horizon_days * DAY
    target = next_change(rows, changes, (outcome.kind,))
    rival = next_change(rows, changes, outcome.competing)
    first = ~(rival < target)
    early = first & (target <= start)
    known = end <= np.datetime64(until)
    happened = first & (target > start) & (target <= end)
    keep = known & ~early
    kept = rows[keep].copy()  # in one piece: pandas warns of a column put into hundreds
    return kept.assign(label=happened[keep].astype(np.int8))


def over(rows: pd.DataFrame, changes: pd.DataFrame, outcome: Outcome) -> NDArray[np.bool_]:
    """Rows whose account left the outcome's population at that very midnight.

    Their features do not know it yet, and nothing can come any more: they would all be a 0.

    >>> rows = pd.DataFrame({"account_id": ["a", "b"], "as_of": pd.to_datetime(["2024-01-01"] * 2)})
    >>> changes = pd.DataFrame({"account_id": ["a"], "kind": ["churn"],
    ...     "time": pd.to_datetime(["2024-01-01"], utc=True)})
    >>> from training.outcomes import OUTCOMES
    >>> over(rows, changes, OUTCOMES["upgrade"]).tolist()
    [True, False]
    """
    ended = changes[changes["kind"] == outcome.ends]
    moments = ended["time"].dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]")
    gone = pd.MultiIndex.from_arrays([ended["account_id"].astype("str"), moments])
    days = rows["as_of"].astype("datetime64[us]")
    asked = pd.MultiIndex.from_arrays([rows["account_id"].astype("str"), days])
    return np.asarray(asked.isin(gone))


def waits(rows: pd.DataFrame, changes: pd.DataFrame, outcome: Outcome) -> Floats:
    """Days from each row's `as_of` to the outcome; inf: never, or a competing change came first.

    >>> rows = pd.DataFrame({"account_id": ["a", "b"], "as_of": pd.to_datetime(["2024-01-01"] * 2)})
    >>> changes = pd.DataFrame({"account_id": ["a"], "kind": ["churn"],
    ...     "time": pd.to_datetime(["2024-01-05 12:00"], utc=True)})
    >>> from training.outcomes import OUTCOMES
    >>> waits(rows, changes, OUTCOMES["churn"]).tolist()
    [4.5, inf]
    """
    target = next_change(rows, changes, (outcome.kind,))
    rival = next_change(rows, changes, outcome.competing)
    days = (target - rows["as_of"].to_numpy(dtype="datetime64[us]")) / DAY
    return np.where(np.isnat(target) | (rival < target), np.inf, days)


def next_change(rows: pd.DataFrame, changes: pd.DataFrame, kinds: tuple[str, ...]) -> np.ndarray:
    """When the first change of these kinds takes effect after each row's `as_of` (NaT: never).

    >>> rows = pd.DataFrame({"account_id": ["a"], "as_of": pd.to_datetime(["2024-01-01"])})
    >>> changes = pd.DataFrame({"account_id": ["a", "a"], "kind": ["churn", "churn"],
    ...     "time": pd.to_datetime(["2024-01-01 00:00", "2024-01-05 12:00"], utc=True)})
    >>> str(next_change(rows, changes, ("churn",))[0])[:16]
    '2024-01-05T12:00'
    """
    wanted = changes.loc[changes["kind"].isin(kinds), ["account_id", "time"]]
    moments = wanted["time"].dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]")
    later = pd.DataFrame(
        {"account_id": wanted["account_id"].astype("str"), "at": moments, "next": moments}
    ).sort_values("at")
    left = pd.DataFrame(
        {
            "account_id": rows["account_id"].astype("str").array,
            "at": rows["as_of"].to_numpy(dtype="datetime64[us]"),
            "place": np.arange(len(rows)),
        }
    ).sort_values("at")
    found = pd.merge_asof(
        left, later, on="at", by="account_id", direction="forward", allow_exact_matches=False
    )
    return found.sort_values("place")["next"].to_numpy(dtype="datetime64[us]")


def counts(labelled: pd.DataFrame) -> dict[str, int]:
    """Rows, accounts and positives, for messages and cards.

    >>> counts(pd.DataFrame({"account_id": ["a", "a", "b"], "label": [0, 1, 0]}))
    {'rows': 3, 'accounts': 2, 'positives': 1}
    """
    return {
        "rows": len(labelled),
        "accounts": int(labelled["account_id"].nunique()),
        "positives": int(labelled["label"].sum()),
    }
