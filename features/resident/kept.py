"""The rollup rows of all accounts in memory, and apart from them those of accounts that changed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features.kernel.rows import Ints, Rollup, Rows, ranks, rollup
from features.rollups.weeks import Manifest
from features.workspace import Workspace

Spans = Sequence[tuple[int, int]]
DATED = ("account_id", "day", "visible_from")


@dataclass(frozen=True)
class Kind:
    """Rows of one rollup: which file, measures and days; `key`: what tells days of one day apart.

    `some`: which of the rows count (None: all); `keyed`: from them the numbers of their keys.
    """

    rollup: str
    names: tuple[str, ...]
    spans: Spans
    key: str | None = None
    some: ds.Expression | None = None
    keyed: Callable[[pa.Table], pa.Array] | None = None

    def read(
        self, workspace: Workspace, made: Manifest, weeks: Collection[int] | None = None,
        accounts: Collection[str] | None = None,
    ) -> pa.Table:  # fmt: skip
        """The rows on the disk, of some weeks and accounts only where they are named."""
        files = [f for w, f in self.files(workspace, made).items() if weeks is None or w in weeks]
        columns = list(dict.fromkeys([*DATED, *([self.key] if self.key else []), *self.names]))
        if not files:
            texts = ("account_id", self.key)
            kinds = {n: pa.string() if n in texts else pa.int64() for n in columns}
            measures = {name: pa.float64() for name in self.names}
            return pa.schema(list((kinds | measures).items())).empty_table()
        which = self.some
        if accounts is not None:
            mine = pc.field("account_id").isin(pa.array(sorted(accounts), pa.string()))
            which = mine if which is None else which & mine
        return ds.dataset(files, format="parquet").to_table(columns, filter=which)

    def files(self, workspace: Workspace, made: Manifest) -> dict[int, str]:
        """Week → its file, of the weeks in which a day counts."""
        folder = workspace.rollups / self.rollup
        weeks = {int(week): name for week, name in made.weeks.items()}
        inside = [w for w in weeks if any(a // 7 <= w <= b // 7 for a, b in self.spans)]
        return {w: str(folder / f"{weeks[w]}.parquet") for w in sorted(inside)}

    def arrays(self, table: pa.Table, numbers: Ints, accounts: int) -> Rollup:
        """The rows as the kernel takes them; `numbers`: the account of each."""
        keys = np.zeros(len(table), np.int64) if self.keyed is None else self.keyed(table)
        numbered = table.set_column(0, "account_id", pa.array(numbers))
        numbered = numbered.append_column("key", pa.array(keys))
        return rollup(numbered, self.names, 0, accounts)


def by_user(table: pa.Table) -> pa.Array:
    """The keys of rows by user: their places in the order of the ids."""
    return ranks(table["user_id"])


def by_number(number_of: Mapping[str, int], table: pa.Table) -> pa.Array:
    """The keys of rows by event: the numbers of the events."""
    numbers = pa.array(number_of.values(), pa.int64())
    places = pc.index_in(table["event"], pa.array(number_of, pa.string()))
    return numbers.take(places.combine_chunks())


def numbered(number_of: Mapping[str, int]) -> Callable[[pa.Table], pa.Array]:
    """What gives rows by event their keys."""
    return partial(by_number, number_of)


class Kept:
    """One rollup's rows, account after account."""

    def __init__(self, kind: Kind, table: pa.Table, accounts: Sequence[str]) -> None:
        self.kind = kind
        place = pc.index_in(table["account_id"], pa.array(accounts, pa.string()))
        table = table.filter(pc.is_valid(place))
        numbers = place.drop_null().combine_chunks().to_numpy().astype(np.int64)
        order = np.argsort(numbers, kind="stable")
        self.table = table.take(pa.array(order)).combine_chunks()
        self.first = np.searchsorted(numbers[order], np.arange(len(accounts) + 1))
        self.whole = kind.arrays(self.table, numbers[order], len(accounts))
        self.number_of = {account: number for number, account in enumerate(accounts)}
        self._apart: dict[str, tuple[pa.Table, Rollup]] = {}

    def rows(self, account: str) -> pa.Table:
        """The rows of one account."""
        if account in self._apart:
            return self._apart[account][0]
        number = self.number_of.get(account)
        if number is None:
            return self.table.slice(0, 0)
        return self.table.slice(self.first[number], self.first[number + 1] - self.first[number])

    def of(self, account: str) -> Rollup:
        """The same for the kernel."""
        if account in self._apart:
            return self._apart[account][1]
        return cut(self.whole, self.number_of[account])

    def change(self, account: str, weeks: Collection[int], now: pa.Table) -> None:
        """Put what some weeks hold now (rows of any accounts) in the place of what they held."""
        old = self.rows(account)
        outside = ~np.isin(old["day"].to_numpy() // 7, list(weeks))
        mine = now.filter(pc.equal(now["account_id"], account))
        both = pa.concat_tables([old.filter(pa.array(outside)), mine.cast(old.schema)])
        both = both.combine_chunks()
        numbers = np.zeros(len(both), dtype=np.int64)
        self._apart[account] = both, self.kind.arrays(both, numbers, 1)


def cut(rollup: Rollup, number: int) -> Rollup:
    """The rows of one account, without a copy of what is long."""
    every = rollup.rows
    first, last = every.first[number], every.first[number + 1]
    begin, end = every.row[first], every.row[last]
    mine = Rows(
        first=np.array([0, last - first]), key=every.key[first:last],
        row=every.row[first : last + 1] - begin, day=every.day[begin:end],
        visible=every.visible[begin:end], values=every.values[begin:end],
    )  # fmt: skip
    return Rollup(mine, rollup.names)
