"""Which account goes on with what another had, once it is known that the two were merged."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from features import lake
from features.workspace import Workspace


class Merge(NamedTuple):
    """From `known_at` on, `account` goes on as `into`."""

    known_at: pd.Timestamp
    account: str
    into: str


def read_merges(workspace: Workspace) -> list[Merge]:
    """The merges that the table `identities` tells, by the time we learnt of them."""
    rows = lake.read_table(workspace, "identities").to_pandas()
    said = rows[(rows["kind"] == "merge") & (rows["from_id"] != rows["to_id"])]
    return sorted(map(Merge, said["known_at"], said["from_id"], said["to_id"]))


def goes_on_as(account: str, merges: Iterable[Merge], at: pd.Timestamp) -> str:
    """The account that has, as known at `at`, what `account` had; itself where it was not merged.

    Of several merges of one account the newest known counts, of equally new ones the largest id. A
    cycle ends before it comes back to an account it has passed.

    >>> day = pd.Timestamp("2024-03-01", tz="UTC")
    >>> chain = [Merge(day, "a", "b"), Merge(day + pd.Timedelta(days=9), "b", "c")]
    >>> goes_on_as("a", chain, day), goes_on_as("a", chain, day + pd.Timedelta(days=9))
    ('b', 'c')
    """
    onward = {m.account: m.into for m in merges if m.known_at <= at}
    passed = {account}
    while (into := onward.get(account)) is not None and into not in passed:
        passed.add(into)
        account = into
    return account


def families(merges: Sequence[Merge]) -> dict[str, str]:
    """Account → a name that it shares with all accounts that merges join it to.

    >>> families([Merge(pd.NaT, "a", "b"), Merge(pd.NaT, "c", "b")])
    {'a': 'b', 'b': 'b', 'c': 'b'}
    """
    above: dict[str, str] = {}

    def head(account: str) -> str:
        while (up := above.setdefault(account, account)) != account:
            above[account] = above[up]
            account = up
        return account

    for merge in merges:
        above[head(merge.account)] = head(merge.into)
    return {account: head(account) for account in sorted(above)}
