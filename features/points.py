"""Which (account, day) rows a build computes: the observations, and the peers they stand among."""

from collections.abc import Iterator
from itertools import pairwise

import pandas as pd

from features import instants, lake
from features.errors import InputError
from features.identity import resolve
from features.instants import DAY_US, morning
from features.workspace import Workspace

POINT = ["account_id", "as_of_day"]


def observed_points(workspace: Workspace, observations: pd.DataFrame) -> pd.DataFrame:
    """The distinct observations as account_id and as_of_day (days since 1970-01-01), sorted.

    Raises InputError when there is none, or one of an account that was not known on its day.
    """
    if observations.empty:
        raise InputError(
            "no observations", expected="at least one (account_id, as_of)",
            do="Check that accounts signed up before the last event.",
        )  # fmt: skip
    day = pd.to_datetime(observations["as_of"]).to_numpy().astype("datetime64[D]").astype("int64")
    points = pd.DataFrame({"account_id": observations["account_id"].to_numpy(), "as_of_day": day})
    points = points.drop_duplicates().sort_values(POINT, ignore_index=True)
    seen = points.merge(known_days(workspace), on="account_id", how="left")
    unknown = ~((seen["first"] <= seen["as_of_day"]) & (seen["as_of_day"] < seen["end"]))
    if unknown.any():
        account, number = points[unknown].iloc[0]
        raise InputError(
            f"account '{account}' observed on {pd.Timestamp(number, unit='D').date()}, and "
            f"{int(unknown.sum()) - 1} more on days on which they were not known",
            expected="days after an account signed up and before it was merged away, as known then",
            do="Leave them out.",
        )
    return points


def known_days(workspace: Workspace) -> pd.DataFrame:
    """The days on whose midnight each account is known: account_id, first, end (exclusive).

    From the first midnight after its sign-up that knew of it, to the one that knew of its merge
    into another.
    """
    rows = lake.read_table(workspace, "accounts").select(["account_id", "created_at", "known_at"])
    frame = instants.frame(rows, "created_at", "known_at")
    frame["first"] = frame["created_at"].floordiv(DAY_US) + 1
    frame["first"] = frame[["first"]].assign(known=morning(frame["known_at"])).max(axis=1)
    known = frame.groupby("account_id", as_index=False)["first"].min()
    gone = resolve.merged_away(resolve.read_links(workspace)).to_pandas()
    known = known.merge(gone, on="account_id", how="left")
    end = morning(known["gone_us"].fillna(instants.NEVER).astype("int64"))
    return known[["account_id", "first"]].assign(end=end)


def known_points(workspace: Workspace, points: pd.DataFrame) -> pd.DataFrame:
    """Of (account_id, as_of) pairs, those of accounts that are known on the day."""
    days = points.merge(known_days(workspace), on="account_id")
    number = days["as_of"].to_numpy().astype("datetime64[D]").astype("int64")
    return days.loc[(days["first"] <= number) & (number < days["end"]), ["account_id", "as_of"]]


def with_peers(workspace: Workspace, points: pd.DataFrame) -> pd.DataFrame:
    """Every account that is known, on every day on which anyone is observed.

    Peers are compared among these; `observed` marks the rows that were asked for.
    """
    days = points[["as_of_day"]].drop_duplicates()
    alive = known_days(workspace).merge(days, how="cross")
    alive = alive[(alive["first"] <= alive["as_of_day"]) & (alive["as_of_day"] < alive["end"])]
    both = alive[POINT].merge(points.assign(observed=True), on=POINT, how="left")
    both["observed"] = both["observed"].notna()
    return both


def numbered(points: pd.DataFrame) -> pd.DataFrame:
    """The points in order, and in `number` the account's place among them."""
    ordered = points.sort_values(POINT, ignore_index=True)
    number = ordered.groupby("account_id", sort=False).ngroup()
    return ordered.assign(number=number.astype("int32"))


def blocks(points: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """Whole days at a time, in order, about `size` rows each."""
    counts = points["as_of_day"].value_counts().sort_index()
    number = (counts.cumsum() - 1) // size
    for _, days in number.groupby(number):
        yield points[points["as_of_day"].isin(days.index)]


def chunks(points: pd.DataFrame, size: int) -> Iterator[pd.DataFrame]:
    """Whole accounts at a time, `size` rows each or a half more; `points` is sorted by account."""
    if points.empty:
        return
    block = points.groupby("account_id", sort=False).ngroup().to_numpy()
    even = -(-len(points) // max(1, round(len(points) / size)))
    starts = [block.searchsorted(block[row]) for row in range(0, len(points), even)]
    for low, high in pairwise(sorted({*map(int, starts), len(points)})):
        yield points.iloc[low:high]
