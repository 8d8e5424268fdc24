"""What one date knows about the accounts as such, in pandas: profile, people, plan, milestones."""

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.pandas_frames import DAY_US, Log
from benchmarks.pandas_people import people, seats_days_over, size_bands
from benchmarks.pandas_plans import commercial, ranks
from features import lake
from features.settings import Settings
from features.workspace import Workspace

TABLES = ("accounts", "users", "subscriptions")


def read_records(workspace: Workspace) -> dict[str, pd.DataFrame]:
    """The tables other than events, times as microseconds since 1970-01-01 UTC."""
    records = {}
    for name in TABLES:
        frame = lake.read_table(workspace, name).to_pandas()
        for column in frame.select_dtypes("datetimetz"):
            moment = frame[column].dt.as_unit("us")
            frame[column] = moment.astype("int64").astype(float).where(moment.notna())
        records[name] = frame
    return records


def facts(
    records: dict[str, pd.DataFrame], settings: Settings, day: int, steps: Log
) -> pd.DataFrame:
    """One row an account (in their order in `steps`), one column a fact, as known at the date.

    `steps` holds the events that milestones count.
    """
    midnight = day * DAY_US
    seen = {
        name: frame[(frame[time] < midnight) & (frame["known_at"] <= midnight)]
        for (name, frame), time in zip(
            records.items(), ("created_at", "created_at", "effective_at"), strict=True
        )
    }
    parts: list[Any] = [
        _profile(seen["accounts"], midnight),
        people(seen["users"], settings, midnight),
        commercial(seen["subscriptions"], settings, midnight),
    ]
    found: pd.DataFrame = pd.concat([p.reindex(steps.accounts) for p in parts], axis=1)
    found["population"] = np.where(
        found["paying"].fillna(0) > 0, "customer",
        np.where(found["first_paid"].notna(), "former", "prospect"),
    )  # fmt: skip
    if settings.plans.free:
        nothing = found["plan"].isna() & (found["population"] == "prospect")
        found["plan"] = found["plan"].where(~nothing, settings.plans.free[0])
    found["plan_name"] = found["plan"]
    found["plan_rank"] = found["plan"].map(ranks(settings))
    found["mrr_now"] = found["mrr"] = found["mrr"].fillna(0.0)
    found = found.fillna({"in_trial": 0.0, "upgrades_so_far": 0.0, "downgrades_so_far": 0.0})
    found["tenure_days"] = (midnight - found["first_paid"]) / DAY_US
    found["days_in_state"] = ((midnight - found["state_began"]) / DAY_US).fillna(found["age_days"])
    found["seats_days_over"] = seats_days_over(seen["users"], found["seats"], midnight)
    found["size_band"] = size_bands(found["users_joined"])
    for limit in settings.plans.limits:
        found[f"limit_{limit.name}"] = found["plan"].map(limit.by_plan)
    return found.assign(**_milestones(found, settings, steps, midnight))


def _profile(rows: pd.DataFrame, midnight: int) -> pd.DataFrame:
    newest = rows.sort_values(["known_at", "row_id"]).drop_duplicates("account_id", keep="last")
    newest = newest.set_index("account_id")
    kept = newest[["industry", "country", "channel", "employees"]]
    return kept.assign(
        created_day=newest["created_at"] // DAY_US,
        age_days=(midnight - newest["created_at"]) / DAY_US,
    )


def _milestones(
    found: pd.DataFrame, settings: Settings, steps: Log, midnight: int
) -> dict[str, Any]:
    """The days from sign-up to each milestone, in whose evening it was known; steps done."""
    values: dict[str, Any] = {}
    reached: dict[str, np.ndarray] = {}
    rows = steps.rows
    rows = rows[(rows["event_us"] < midnight) & (rows["known_us"] <= midnight)]
    evening = np.maximum(rows["event_us"] // DAY_US, -(-rows["known_us"] // DAY_US) - 1)
    rows = rows.assign(evening=evening).sort_values(["account", "evening"])
    for milestone in settings.milestones:
        mine = rows[rows["event"].isin(steps.codes([milestone.event]))]
        step = mine[mine.groupby("account").cumcount() == milestone.count - 1]
        days = np.full(len(found), np.nan)
        days[step["account"]] = step["evening"]
        reached[milestone.name] = ~np.isnan(days)
        values[f"days_to_{milestone.name}"] = days - found["created_day"]
    for journey in settings.journeys:
        done = [reached[name] for name in journey.steps]
        values[f"steps_{journey.name}"] = np.sum(done, axis=0, dtype=float)
    return values | {"milestones_reached": np.sum(list(reached.values()), axis=0, dtype=float)}
