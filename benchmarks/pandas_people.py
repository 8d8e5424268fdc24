"""Who belongs to the accounts at one date, in pandas: users, roles, seats taken."""

import numpy as np
import pandas as pd

from features.settings import Settings

DAY_US = 86_400_000_000
BANDS = {"0-1": 0, "2-4": 2, "5-9": 5, "10-24": 10, "25-99": 25, "100+": 100}
SPAN = 28


def people(users: pd.DataFrame, settings: Settings, midnight: int) -> pd.DataFrame:
    """account_id → users_joined, users_joined_before, roles_held, admins; of the visible rows."""
    now = _there(users, midnight)
    by_account = now.groupby("account_id")
    admin = now["role"].isin(settings.people.admin_roles)
    before = _there(users, midnight - SPAN * DAY_US).groupby("account_id").size()
    found = pd.DataFrame(
        {
            "users_joined": by_account.size(),
            "roles_held": by_account["role"].nunique(),
            "admins": admin.groupby(now["account_id"]).sum(),
        }
    )
    return found.join(before.rename("users_joined_before"), how="outer").astype(float)


def seats_days_over(users: pd.DataFrame, seats: pd.Series, midnight: int) -> pd.Series:
    """On how many of the last SPAN days four in five seats were taken; missing without seats."""
    over = pd.Series(0.0, index=seats.index)
    for age in range(SPAN):
        there = _there(users, midnight - age * DAY_US).groupby("account_id").size()
        over += there.reindex(seats.index, fill_value=0) >= 0.8 * seats
    return over.where(seats.notna())


def size_bands(users_joined: pd.Series) -> pd.Series:
    """The band of a number of users, as text."""
    least = list(BANDS.values())
    place = np.searchsorted(least, users_joined.fillna(0.0), side="right") - 1
    return pd.Series(np.array(list(BANDS), dtype=object)[place], index=users_joined.index)


def _there(users: pd.DataFrame, moment: int) -> pd.DataFrame:
    """The newest row of each user who belongs to the account in the instant before a moment."""
    newest = users.sort_values(["known_at", "row_id"])
    newest = newest.drop_duplicates(["account_id", "user_id"], keep="last")
    return newest[(newest["created_at"] < moment) & ~(newest["left_at"] < moment)]
