"""What is known of all accounts on a day (their facts), and apart from it of those that changed."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from features.algebra import Fact
from features.kernel.known import Facts
from features.kernel.rows import Floats, Ints, encoded
from features.resident.peers import Group


class One(NamedTuple):
    """The facts of one account: for registers, and the groups of peers that it stands in."""

    numbers: Floats
    groups: Ints


class Groups:
    """Numbers for groups of peers: for each way to choose peers, which texts agree in a group."""

    def __init__(self, among: Sequence[Group]) -> None:
        self.among = tuple(among)
        self._number_of: dict[tuple[int, Group], int] = {}

    def of(self, facts: Facts) -> Ints:
        """Ways by points: the number of the group that each point stands in."""
        texts = {name: encoded(facts.group(name)) for among in self.among for name in among}
        found = np.zeros((len(self.among), len(facts.table)), dtype=np.int64)
        for way, among in enumerate(self.among):
            packed = np.zeros(len(facts.table), dtype=np.int64)
            for name in among:
                packed = packed * len(texts[name][1]) + texts[name][0]
            _, first, place = np.unique(packed, return_index=True, return_inverse=True)
            each = [texts[name][1].take(pa.array(texts[name][0][first])) for name in among]
            groups = [tuple(column[i].as_py() for column in each) for i in range(len(first))]
            found[way] = self._numbers(way, groups)[place]
        return found

    def _numbers(self, way: int, groups: Sequence[Group]) -> Ints:
        known = self._number_of
        return np.array([known.setdefault((way, g), len(known)) for g in groups], dtype=np.int64)


class Told:
    """The facts of accounts, in the order of their names."""

    def __init__(
        self, facts: Sequence[Fact], groups: Groups, plan: Callable[[str | None], float]
    ) -> None:
        self.facts, self.groups, self.plan = facts, groups, plan
        self.take([], None)

    def take(self, accounts: Sequence[str], told: Facts | None) -> None:
        """Know this, and nothing else, of these accounts."""
        self.accounts = list(accounts)
        self.row_of = {account: row for row, account in enumerate(self.accounts)}
        self._changed: dict[str, tuple[One, pa.Table]] = {}
        if told is not None:
            self.table, self._numbers, self._groups = told.table, *self._read(told)

    def __contains__(self, account: str) -> bool:
        """Whether anything is known of an account."""
        return account in self.row_of or account in self._changed

    def change(self, accounts: Sequence[str], told: Facts) -> None:
        """Know this of some accounts now."""
        numbers, groups = self._read(told)
        for row, account in enumerate(accounts):
            one = One(numbers[row], groups[:, row])
            self._changed[account] = one, told.table.slice(row, 1)

    def one(self, account: str) -> One:
        """What is known of one account."""
        if account in self._changed:
            return self._changed[account][0]
        row = self.row_of[account]
        return One(self._numbers[row], self._groups[:, row])

    def row(self, account: str) -> pa.Table:
        """The same as a table."""
        if account in self._changed:
            return self._changed[account][1]
        return self.table.slice(self.row_of[account], 1)

    def some(self, accounts: Sequence[str]) -> tuple[Facts, Ints]:
        """The facts of some accounts, and the groups that they stand in (ways by accounts)."""
        self._gather()
        if len(accounts) == len(self.accounts):
            return Facts(self.table), self._groups
        rows = np.array([self.row_of[account] for account in accounts], dtype=np.int64)
        return Facts(self.table.take(pa.array(rows))), self._groups[:, rows]

    def _gather(self) -> None:
        """Put what is apart among the others."""
        if not self._changed:
            return
        changed = self._changed
        every = [*self.accounts, *changed]
        last = {account: row for row, account in enumerate(every)}
        table = pa.concat_tables([self.table, *(row for _, row in changed.values())])
        accounts = sorted(last)
        rows = pa.array([last[account] for account in accounts])
        self.take(accounts, Facts(table.take(rows).combine_chunks()))

    def _read(self, told: Facts) -> tuple[Floats, Ints]:
        """Accounts by registers (the plan first), and ways by accounts."""
        place, names = encoded(told.table["plan_name"])
        plans = np.array([self.plan(name) for name in [*names.to_pylist(), None]])
        numbers = [plans[place], *(told[fact.name] for fact in self.facts)]
        return np.array(numbers).T.copy(), self.groups.of(told)
