"""Which account goes on with what another had, once it is known that the two were merged."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import pandas as pd

from features import lake
from features.instants import LONG_AGO, NEVER
from features.workspace import Workspace


class Merge(NamedTuple):
    """From `known_at` on (a timestamp, or an instant), `account` goes on as `into`."""

    known_at: Any
    account: str
    into: str


class Standing(NamedTuple):
    """As known in [known_us, until_us), what is said of `account` is said of `into`."""

    account: str
    into: str
    known_us: int
    until_us: int


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
    return _end(account, {m.account: m.into for m in merges if m.known_at <= at})


def _end(account: str, onward: Mapping[str, str]) -> str:
    """Where the merges lead."""
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


def standings(merges: Iterable[Merge]) -> Iterator[Standing]:
    """What each merged account went on as, from before its first merge on.

    The rules are those of `goes_on_as`; `known_at` are instants.

    >>> for s in standings([Merge(5, "a", "b"), Merge(9, "b", "c")]):
    ...     if s.known_us > 0: print(s.account, s.into, s.known_us)
    a b 5
    a c 9
    b c 9
    """
    onward: dict[str, str] = {}
    behind: dict[str, set[str]] = defaultdict(set)
    told: dict[str, list[tuple[int, str]]] = {}
    for known, news in groupby(sorted(merges), key=lambda merge: merge.known_at):
        changed = set()
        for merge in news:
            behind[onward.get(merge.account, merge.into)].discard(merge.account)
            onward[merge.account] = merge.into
            behind[merge.into].add(merge.account)
            changed.add(merge.account)
        for account in _with_all_behind(changed, behind):
            history = told.setdefault(account, [(LONG_AGO, account)])
            if history[-1][1] != (end := _end(account, onward)):
                history.append((known, end))
    for account, history in told.items():
        until = [known for known, _ in history[1:]] + [NEVER]
        for (known, into), to in zip(history, until, strict=True):
            yield Standing(account, into, known, to)


def _with_all_behind(accounts: set[str], behind: Mapping[str, set[str]]) -> set[str]:
    found, ahead = set(accounts), list(accounts)
    while ahead:
        new = behind.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found
