"""Which account an account goes on as, after merges, chains of merges and cycles of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from features.instants import LONG_AGO, NEVER


class Merge(NamedTuple):
    """From `known` on, `account` goes on as `into`."""

    known: int
    account: str
    into: str


class Standing(NamedTuple):
    """As known in [known_us, until_us), what is said of `account` is said of `into`."""

    account: str
    into: str
    known_us: int
    until_us: int


def standings(merges: Iterable[Merge]) -> Iterator[Standing]:
    """What each merged account went on as, from before its first merge on.

    Of several merges of one account the newest known counts, of equally new ones the largest id.

    >>> for s in standings([Merge(5, "a", "b"), Merge(9, "b", "c")]):
    ...     if s.known_us > 0: print(s.account, s.into, s.known_us)
    a b 5
    a c 9
    b c 9
    """
    onward: dict[str, str] = {}
    behind: dict[str, set[str]] = defaultdict(set)
    told: dict[str, list[tuple[int, str]]] = {}
    for known, news in groupby(sorted(merges), key=lambda merge: merge.known):
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


def _end(account: str, onward: Mapping[str, str]) -> str:
    """Where the merges lead; a cycle ends before it comes back to an account it has passed."""
    passed = {account}
    while (into := onward.get(account)) is not None and into not in passed:
        passed.add(into)
        account = into
    return account


def _with_all_behind(accounts: set[str], behind: Mapping[str, set[str]]) -> set[str]:
    found, ahead = set(accounts), list(accounts)
    while ahead:
        new = behind.get(ahead.pop(), set()) - found
        found |= new
        ahead += new
    return found
