"""What one date knows about the accounts as such, in pandas: profile, people, plan, milestones."""

import numpy as np
import pandas as pd

from benchmarks.pandas_frames import DAY_US, Log
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
    parts = [
        _profile(seen["accounts"], midnight),
        seen["users"].groupby("account_id")["user_id"].nunique().rename("users_joined"),
        _commercial(seen["subscriptions"], settings, midnight),
    ]
    found = pd.concat([p.reindex(steps.accounts) for p in parts], axis=1)
    found["population"] = np.where(
        found["paying"].fillna(0) > 0, "customer",
        np.where(found["first_paid"].notna(), "former", "prospect"),
    )  # fmt: skip
    if settings.plans.free:
        nothing = found["plan"].isna() & (found["population"] == "prospect")
        found["plan"] = found["plan"].where(~nothing, settings.plans.free[0])
    found["plan_name"] = found["plan"]
    found["plan_rank"] = found["plan"].map(_ranks(settings))
    found["mrr_now"] = found["mrr"] = found["mrr"].fillna(0.0)
    found["in_trial"] = found["in_trial"].fillna(0.0)
    found["tenure_days"] = (midnight - found["first_paid"]) / DAY_US
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


def _commercial(rows: pd.DataFrame, settings: Settings, midnight: int) -> pd.DataFrame:
    """Plan, seats and revenue from the newest row of each subscription that is running."""
    rows = rows.sort_values(["effective_at", "known_at", "row_id"])
    rows = rows.assign(
        paid=(rows["status"] == "active") & ~rows["plan"].isin(settings.plans.free),
        plan_rank=rows["plan"].map(_ranks(settings)),
        in_trial=(rows["status"] == "trial").astype(float),
        days_to_renewal=(rows["term_end"] - midnight) / DAY_US,
    )
    running = rows.drop_duplicates(["account_id", "subscription_id"], keep="last")
    running = running[running["status"] != "cancelled"]
    if settings.subscriptions.lapse_after_days is not None:
        grace = settings.subscriptions.lapse_after_days
        running = running[~(running["days_to_renewal"] < -grace)]
    order = running.assign(place=running["plan_rank"].fillna(-1)).sort_values(
        ["place", "mrr", "subscription_id"], ascending=[False, False, True]
    )
    kept = ["plan", "seats", "billing_months", "discount", "in_trial", "days_to_renewal"]
    main = order.drop_duplicates("account_id").set_index("account_id")[kept]
    paying = running[running["paid"]].groupby("account_id")["mrr"].agg(["sum", "size"])
    paying.columns = pd.Index(["mrr", "paying"])
    first = rows[rows["paid"]].groupby("account_id")["effective_at"].min().rename("first_paid")
    return pd.concat([main, paying, first], axis=1)


def _ranks(settings: Settings) -> dict[str, float]:
    return {plan: float(i) for i, plan in enumerate(settings.plans.ladder)}


def _milestones(
    found: pd.DataFrame, settings: Settings, steps: Log, midnight: int
) -> dict[str, pd.Series | np.ndarray]:
    """The days from sign-up to each milestone, in whose evening it was known."""
    values: dict[str, pd.Series | np.ndarray] = {}
    reached = np.zeros(len(found))
    rows = steps.rows
    rows = rows[(rows["event_us"] < midnight) & (rows["known_us"] <= midnight)]
    evening = np.maximum(rows["event_us"] // DAY_US, -(-rows["known_us"] // DAY_US) - 1)
    rows = rows.assign(evening=evening).sort_values(["account", "evening"])
    for milestone in settings.milestones:
        mine = rows[rows["event"].isin(steps.codes([milestone.event]))]
        step = mine[mine.groupby("account").cumcount() == milestone.count - 1]
        days = np.full(len(found), np.nan)
        days[step["account"]] = step["evening"]
        reached += ~np.isnan(days)
        values[f"days_to_{milestone.name}"] = days - found["created_day"]
    return values | {"milestones_reached": reached}
