"""What the accounts pay for at one date, in pandas: plan, seats, revenue, what has changed."""

import numpy as np
import pandas as pd

from features.settings import Settings

DAY_US = 86_400_000_000
KEPT = ["plan", "seats", "billing_months", "discount", "in_trial", "days_to_renewal"]
ONE = ["account_id", "subscription_id"]


def ranks(settings: Settings) -> dict[str, float]:
    """Each plan's place on the ladder."""
    return {plan: float(i) for i, plan in enumerate(settings.plans.ladder)}


def commercial(rows: pd.DataFrame, settings: Settings, midnight: int) -> pd.DataFrame:
    """account_id → the state of its main subscription, revenue, and its past; of visible rows."""
    rows = _dated(rows, settings, midnight)
    last = rows.drop_duplicates(ONE, keep="last")
    lapse = settings.subscriptions.lapse_after_days
    lapsed = last["days_to_renewal"] < -(np.inf if lapse is None else lapse)
    running = last[(last["status"] != "cancelled") & ~lapsed]
    order = running.assign(place=running["plan_rank"].fillna(-1)).sort_values(
        ["place", "mrr", "subscription_id"], ascending=[False, False, True]
    )
    main = order.drop_duplicates("account_id").set_index("account_id")
    paying = running[running["paid"]].groupby("account_id")["mrr"].agg(["sum", "size"])
    paying.columns = pd.Index(["mrr", "paying"])
    first = rows[rows["paid"]].groupby("account_id")["effective_at"].min().rename("first_paid")
    ended = last["run_began"].where(last["status"] == "cancelled", last["term_end"])
    ended = ended.groupby(last["account_id"]).max()
    began = main["run_began"].combine_first(ended).rename("state_began")
    return pd.concat([main[KEPT], paying, first, began, _moves(rows)], axis=1)


def _dated(rows: pd.DataFrame, settings: Settings, midnight: int) -> pd.DataFrame:
    """Rows in the order in which they take effect, with what follows from each."""
    rows = rows.sort_values([*ONE, "effective_at", "known_at", "row_id"])
    before = rows.groupby(ONE)["status"].shift()
    starts = rows["effective_at"].where(rows["status"] != before)
    return rows.assign(
        paid=(rows["status"] == "active") & ~rows["plan"].isin(settings.plans.free),
        plan_rank=rows["plan"].map(ranks(settings)),
        in_trial=(rows["status"] == "trial").astype(float),
        days_to_renewal=(rows["term_end"] - midnight) / DAY_US,
        run_began=starts.groupby([rows[c] for c in ONE]).ffill(),
    )


def _moves(rows: pd.DataFrame) -> pd.DataFrame:
    """account_id → how often it moved up and down: by plan, else by seats and revenue together."""
    by_one = rows.groupby(ONE)
    was = {c: by_one[c].shift() for c in ("status", "plan_rank", "seats", "mrr")}
    active = (rows["status"] == "active") & (was["status"] == "active")
    ranked, was_ranked = rows["plan_rank"].notna(), was["plan_rank"].notna()
    moved = ranked & was_ranked & (rows["plan_rank"] != was["plan_rank"])
    comparable = (ranked == was_ranked) & ~moved
    more = (rows["seats"] > was["seats"]) & (rows["mrr"] > was["mrr"])
    less = (rows["seats"] < was["seats"]) & (rows["mrr"] < was["mrr"])
    up = active & ((moved & (rows["plan_rank"] > was["plan_rank"])) | (comparable & more))
    down = active & ((moved & (rows["plan_rank"] < was["plan_rank"])) | (comparable & less))
    counts = pd.DataFrame({"upgrades_so_far": up, "downgrades_so_far": down}).astype(float)
    return counts.groupby(rows["account_id"]).sum()
