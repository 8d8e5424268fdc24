"""The seven states of an account, as of any day and exactly as known then.

| state | an account that |
|---|---|
| visitor | was seen in events, and is not known to have signed up |
| signup | signed up (trial or free plan), never paid, and is no PQL |
| pql | signed up, never paid, and meets a rule of `[lifecycle.pql]` |
| customer | pays, in its first term, and meets no rule of `[lifecycle.active]` |
| active | pays, in its first term, and meets one |
| renewed | pays past the end of its first term, active or not |
| churned | paid once, and pays no more |

It signed up when its row of `accounts`, or one of its subscriptions, was visible. It pays while an
active subscription on a plan that is not free runs. A first term is that of the present spell of
paying: an account that comes back is a customer anew. With monthly terms an account has renewed
when its first month is over and it pays on.

What was merged into another account has no state of its own from then on; what it had counts for
the other. Internal accounts have none. Visitors that belong to no account are people, not accounts:
`features.lifecycle.observed.visitors` counts them.

Rules over features are looked at on a grid of days (Mondays, and the day asked for); in between
they count as on the day of the grid before. All else is exact to the day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from features import lake
from features.history import event_span
from features.identity.successors import goes_on_as, read_merges
from features.instants import DAY_US, day_number
from features.lifecycle.observed import features_at, seen
from features.lifecycle.rules import active_rules, check_rules, compares, feature_names, pql_rules
from features.lifecycle.spells import standings
from features.points import known_days
from features.progress import Progress, silent
from features.settings import Rule, Settings
from features.workspace import Workspace

STATES = {
    "visitor": "visitor",
    "signup": "signup/trial",
    "pql": "PQL",
    "customer": "customer",
    "active": "active customer",
    "renewed": "renewed/retained",
    "churned": "churned",
}
"""State → what it is called where people read it, in the order of the lifecycle."""
FLAGS = ("visited", "signed_up", "pays", "ever_paid", "renewed", "pql", "active", "gone")
EVERY = 7
MONDAY = 4
"""1970-01-05, as days since 1970-01-01."""


@dataclass(frozen=True)
class Timeline:
    """Every change of every account up to a day, and what else a report reads.

    `flags`: account_id, day and the booleans `FLAGS`, one row for each day on which one of them may
    have changed; they hold until the account's next row. `milestones`: account_id, milestone, day.
    `standings` as in `lifecycle.spells`. `arrivals`: account_id, day of a merge with another, whose
    place it takes. Days count from 1970-01-01.
    """

    day: int
    flags: pd.DataFrame
    milestones: pd.DataFrame
    standings: pd.DataFrame
    arrivals: pd.DataFrame


def states(
    workspace: Workspace, settings: Settings, day: date, *, progress: Progress = silent
) -> pd.DataFrame:
    """The state of every account as of midnight (UTC) of a day.

    Returns account_id, state (a key of `STATES`), since (datetime64: the first day as of which it
    has been in that state without a break), active (whether it meets a rule of [lifecycle.active],
    in whatever state). Raises as `timeline`.
    """
    told = timeline(workspace, settings, day, progress=progress)
    now = runs(told).loc[lambda r: r["until"].isna()]
    active = told.flags.groupby("account_id")["active"].last()
    table = now.join(active, on="account_id")
    return table[["account_id", "state", "since", "active"]].reset_index(drop=True)


def timeline(
    workspace: Workspace,
    settings: Settings,
    day: date,
    *,
    every: int = EVERY,
    progress: Progress = silent,
) -> Timeline:
    """All that the lifecycle knows at midnight of a day; rules are looked at `every` so many days.

    Raises SettingsError for a rule over a feature that does not exist, NotReadyError for a
    workspace without events.
    """
    check_rules(settings)
    first, last = day_number(event_span(workspace)[0].date()) + 1, day_number(day)
    milestones, visits = seen(workspace, settings, progress)
    paid = standings(workspace, settings)
    signed_up, internal = _sign_ups(workspace, last, paid)
    milestones, visits, paid, signed_up = (
        table[(table["day"] <= last) & ~table["account_id"].isin(internal)]
        for table in (milestones, visits, paid, signed_up)
    )
    grid = [*range(first + (MONDAY - first) % every, last, every), last]
    looked = _looked_at(workspace, settings, internal, grid, progress)
    known = [
        _change(visits, "visited", 1.0),
        _change(signed_up, "signed_up", 1.0),
        *(_change(paid, flag, paid[flag]) for flag in ("pays", "ever_paid", "gone")),
        _renewals(paid, last),
        *_step_changes(milestones),
        *_comparisons(settings, looked),
    ]
    changes = pd.concat(known)
    flags = _flags(changes[changes["day"] <= last], settings)
    milestones = milestones.loc[milestones["until"] > last, ["account_id", "milestone", "day"]]
    return Timeline(last, flags, milestones, paid, _arrivals(workspace))


def runs(told: Timeline) -> pd.DataFrame:
    """The states that each account went through: account_id, state, since and until (datetime64).

    `until` is the first day as of which it is in another state, or has none; missing: it still is.
    """
    flags = told.flags
    named = flags[["account_id", "day"]].assign(state=_state(flags))
    before = named.groupby("account_id")["state"].shift()
    turns = named[before.isna() | (named["state"] != before)]
    until = turns.groupby("account_id")["day"].shift(-1)
    table = turns.assign(since=moments(turns["day"]), until=moments(until))
    table = table.loc[table["state"] != "", ["account_id", "state", "since", "until"]]
    return table.reset_index(drop=True)


def moments(days: "pd.Series[Any]") -> "pd.Series[pd.Timestamp]":
    """Days since 1970-01-01 as midnights."""
    return pd.to_datetime(days, unit="D").astype("datetime64[us]")


def _state(flags: pd.DataFrame) -> np.ndarray:
    """The state of each row of flags; '' where there is none."""
    active = np.where(flags["active"], "active", "customer")
    paying = np.where(flags["renewed"], "renewed", active)
    prospect = np.where(flags["pql"], "pql", "signup")
    outside = np.where(flags["visited"], "visitor", "")
    cases = [flags[flag] for flag in ("gone", "pays", "ever_paid", "signed_up")]
    return np.select(cases, ["", paying, "churned", prospect], outside)


def _sign_ups(
    workspace: Workspace, last: int, paid: pd.DataFrame
) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
    """When each account was seen to have signed up (account_id, day); the internal accounts."""
    rows = lake.read_table(workspace, "accounts").to_pandas()
    created, known = (rows[c].astype("datetime64[us, UTC]") for c in ("created_at", "known_at"))
    begins = created.astype("int64") // DAY_US + 1
    rows = rows.assign(day=np.maximum(begins, -(-known.astype("int64") // DAY_US)))
    newest = rows[rows["day"] <= last].sort_values(["known_at", "row_id"])
    newest = newest.drop_duplicates("account_id", keep="last").set_index("account_id")
    inside = newest["is_internal"].fillna(False).astype(bool)
    both = pd.concat([rows[["account_id", "day"]], paid.loc[~paid["gone"], ["account_id", "day"]]])
    return both.groupby("account_id", as_index=False)["day"].min(), inside.index[inside].to_series()


def _arrivals(workspace: Workspace) -> pd.DataFrame:
    """The accounts that go on after each merge, with the day that first sees it."""
    merges = read_merges(workspace)
    ends = [goes_on_as(m.account, merges, m.known_at) for m in merges]
    days = [day_number(m.known_at.ceil("D").date()) for m in merges]
    return pd.DataFrame({"account_id": pd.Series(ends, dtype="str"), "day": days})


def _looked_at(
    workspace: Workspace,
    settings: Settings,
    internal: "pd.Series[Any]",
    grid: list[int],
    progress: Progress,
) -> pd.DataFrame:
    """The features that rules read, of all accounts on the grid: account_id, day and each."""
    names = feature_names([*pql_rules(settings), *active_rules(settings)])
    known = known_days(workspace).loc[lambda rows: ~rows["account_id"].isin(internal)]
    pairs = known.merge(pd.DataFrame({"day": sorted(set(grid))}), how="cross")
    pairs = pairs[(pairs["first"] <= pairs["day"]) & (pairs["day"] < pairs["end"])]
    if not names or pairs.empty:
        return pairs.iloc[:0]
    points = pd.DataFrame({"account_id": pairs["account_id"], "as_of": moments(pairs["day"])})
    rows = features_at(workspace, settings, points, names, progress)
    days = rows["as_of"].to_numpy().astype("datetime64[D]").astype("int64")
    return rows.assign(day=days)


def _change(rows: pd.DataFrame, flag: str, value: Any) -> pd.DataFrame:
    return rows[["account_id", "day"]].assign(flag=flag, value=value).astype({"value": float})


def _renewals(paid: pd.DataFrame, last: int) -> pd.DataFrame:
    """From which day on an account has renewed, and from which it has not."""
    following = paid.groupby("account_id")["day"].shift(-1).fillna(last + 1)
    now = _change(paid, "renewed", paid["renews"] <= paid["day"])
    ahead = paid[(paid["renews"] > paid["day"]) & (paid["renews"] < following)]
    later = ahead.assign(day=ahead["renews"].astype("int64"))
    return pd.concat([now, _change(later, "renewed", 1.0)])


def _step_changes(milestones: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """From which day on each milestone is seen as reached, and from which no more."""
    for name, mine in milestones.groupby("milestone"):
        yield _change(mine, f"step {name}", 1.0)
        yield _change(
            mine.drop(columns="day").rename(columns={"until": "day"}), f"step {name}", 0.0
        )


def _comparisons(settings: Settings, looked: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """On which days of the grid the features of each rule compared as it says."""
    for rule in [*pql_rules(settings), *active_rules(settings)]:
        if rule.features and len(looked):
            yield _change(looked, f"features {rule.features}", compares(rule, looked))


def _parts(rule: Rule) -> list[str]:
    """The names of the changes that together make a rule."""
    features = [f"features {rule.features}"] if rule.features else []
    return [f"step {name}" for name in rule.milestones] + features


def _flags(changes: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The changes side by side: account_id, day, then every flag as it stands from that day on."""
    keys = ["account_id", "flag"]
    ordered = changes.sort_values([*keys, "day"], kind="stable")
    news = ordered[ordered["value"] != ordered.groupby(keys)["value"].shift().fillna(0.0)]
    wide = news.groupby(["account_id", "day", "flag"])["value"].last().unstack("flag")
    rules = {"pql": pql_rules(settings), "active": active_rules(settings)}
    parts = {name for several in rules.values() for rule in several for name in _parts(rule)}
    wide = wide.reindex(columns=[*FLAGS[:5], "gone", *sorted(parts)])
    held = wide.groupby(level="account_id").ffill().fillna(0.0) > 0
    for flag, several in rules.items():
        met = [held[_parts(rule)].all(axis=1) for rule in several]
        held[flag] = np.logical_or.reduce(met) if met else False
    return held[[*FLAGS]].reset_index()
