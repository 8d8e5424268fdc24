"""Which (account, day) rows a build computes: the observations, and the peers they stand among."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pandas as pd

from features import lake
from features.errors import InputError
from features.windows import POINT
from features.workspace import Workspace


def observed_points(observations: pd.DataFrame) -> pd.DataFrame:
    """The distinct observations as account_id and as_of_day (days since 1970-01-01), sorted."""
    if observations.empty:
        raise InputError(
            "no observations", expected="at least one (account_id, as_of)",
            do="Check that accounts signed up before the last event.",
        )  # fmt: skip
    day = pd.to_datetime(observations["as_of"]).to_numpy().astype("datetime64[D]").astype("int64")
    points = pd.DataFrame({"account_id": observations["account_id"].to_numpy(), "as_of_day": day})
    return points.drop_duplicates().sort_values(POINT, ignore_index=True)


def with_peers(workspace: Workspace, points: pd.DataFrame) -> pd.DataFrame:
    """Every account on every day on which anyone is observed, from its sign-up on.

    Peers are ranked among these; `observed` marks the rows that were asked for.
    """
    accounts = lake.read_table(workspace, "accounts").select(["account_id", "created_at"])
    created = accounts.to_pandas().groupby("account_id")["created_at"].min()
    born = pd.DataFrame({"account_id": created.index, "born": _day_number(created)})
    alive = born.merge(points[["as_of_day"]].drop_duplicates(), how="cross")
    alive = alive[alive["born"] < alive["as_of_day"]][POINT]
    both = alive.merge(points.assign(observed=True), on=POINT, how="outer")
    both["observed"] = both["observed"].notna()
    return both.sort_values(POINT, ignore_index=True)


def _day_number(times: pd.Series) -> Any:
    """Whole days since 1970-01-01 UTC."""
    return times.dt.tz_convert(None).to_numpy().astype("datetime64[D]").astype("int64")


def chunks(points: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """Whole accounts at a time, about `size` rows each; `points` is sorted by account."""
    if points.empty:
        return
    block = points.groupby("account_id", sort=False).ngroup().to_numpy()
    starts = [0]
    for row in range(size, len(points), size):
        starts.append(int(block.searchsorted(block[row], side="left")))
    bounds = sorted({*starts, len(points)})
    for low, high in pairwise(bounds):
        yield points.iloc[low:high]
