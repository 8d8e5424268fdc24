"""The rollup rows of all accounts in memory, and apart from them those of accounts that changed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features.kernel.journeys import in_order_seen
from features.kernel.rows import Ints, Rollup, Rows, encoded, nothing, ranks, rollup
from features.resident.woven import Flags, woven
from features.rollups.weeks import Manifest
from features.workspace import Workspace

DATED = ("account_id", "day", "visible_from")
ALIKE = np.zeros(1, dtype=np.int64)
"""The keys of rows that are not told apart by any."""


@dataclass(frozen=True)
class Kind:
    """Rows of one rollup: which, and their measures.

    `back`: from how many days ago until how many ago they count. `key`: what tells rows of one day
    apart; `keys`: which of them count (None: all). `some`: which of the rows count (None: all).
    """

    rollup: str
    names: tuple[str, ...]
    back: tuple[tuple[int, int], ...]
    key: str | None = None
    keys: tuple[str, ...] | None = None
    some: ds.Expression | None = None

    def files(self, workspace: Workspace, made: Manifest, day: int) -> dict[int, str]:
        """Week → its file, of the weeks in which a day counts that lies before `day`."""
        spans = [((day - first) // 7, (day - last) // 7) for first, last in self.back]
        inside = {int(w): f for w, f in made.weeks.items()}
        inside = {w: f for w, f in inside.items() if any(a <= w <= b for a, b in spans)}
        folder = workspace.rollups / self.rollup
        return {week: str(folder / f"{inside[week]}.parquet") for week in sorted(inside)}

    def read(self, files: Iterable[str], accounts: Collection[str] | None = None) -> pa.Table:
        """The rows of some files, of some accounts only where they are named."""
        texts = ["account_id", *([self.key] if self.key else [])]
        columns = list(dict.fromkeys([*DATED, *texts, *self.names]))
        if not (some := list(files)):
            kinds = {n: pa.string() if n in texts else pa.int64() for n in columns}
            measures = {name: pa.float64() for name in self.names}
            return pa.schema(list((kinds | measures).items())).empty_table()
        which = self.some
        if accounts is not None:
            mine = pc.field("account_id").isin(pa.array(sorted(accounts), pa.string()))
            which = mine if which is None else which & mine
        form = ds.ParquetFileFormat(dictionary_columns=set(texts))
        return self.counting(ds.dataset(some, format=form).to_table(columns, filter=which))

    def counting(self, table: pa.Table) -> pa.Table:
        """The rows whose keys count."""
        if self.keys is None:
            return table
        return table.filter(pa.array(places(table[self.key], _texts(self.keys)) >= 0))

    def arrays(self, table: pa.Table, numbers: Ints, keys: Ints, accounts: int) -> Rollup:
        """The rows as the kernel takes them; `numbers`: the account of each."""
        numbered = table.set_column(0, "account_id", pa.array(numbers))
        numbered = numbered.append_column("key", pa.array(keys))
        return rollup(numbered, self.names, 0, accounts)


class Kept:
    """One rollup's rows, account after account, as the files of some weeks have them."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.weeks: dict[int, str] = {}
        self.whole = nothing(kind.names, 0)
        self.keys = _texts(kind.keys or ())
        self._apart: dict[str, tuple[pa.Table, Rollup]] = {}

    def missing(self, weeks: Mapping[int, str]) -> pa.Table:
        """What the files of these weeks hold and is not held."""
        return self.kind.read(f for week, f in weeks.items() if self.weeks.get(week) != f)

    def take(
        self, weeks: Mapping[int, str], missing: pa.Table, accounts: pa.Array, moved: Ints
    ) -> None:
        """Hold what the files of these weeks say, of all accounts; `missing` is read already.

        `accounts`: their names in order; `moved`: the number that each former one has among them.
        """
        self._renumber(moved, len(accounts))
        gone = [week for week, file in self.weeks.items() if weeks.get(week) != file]
        self._apart.clear()
        if gone or len(missing):
            self._put(~np.isin(self.whole.rows.day // 7, gone), missing, accounts)
        self.weeks = dict(weeks)

    def gather(self, accounts: pa.Array, moved: Ints) -> None:
        """Put what is apart among the others."""
        self._renumber(moved, len(accounts))
        if not self._apart:
            return
        mine = places(_chunked(pa.array(list(self._apart), pa.string())), accounts)
        kept = ~np.isin(row_accounts(self.whole.rows), mine)
        self._put(kept, pa.concat_tables(table for table, _ in self._apart.values()), accounts)
        self._apart.clear()

    def apart(self) -> pa.Array:
        """The accounts whose rows lie apart."""
        return pa.array(list(self._apart), pa.string())

    def rows(self, account: str, number: int | None) -> pa.Table:
        """The rows of one account, which has this number (None: it is a new one)."""
        if account in self._apart:
            return self._apart[account][0]
        return self._table(account, nothing(self.kind.names, 1).rows if number is None
                           else cut(self.whole, number).rows)  # fmt: skip

    def of(self, account: str, number: int | None) -> Rollup:
        """The same for the kernel."""
        if account in self._apart or number is None:
            return self._apart[account][1]
        return cut(self.whole, number)

    def change(
        self, account: str, number: int | None, weeks: Collection[int], now: pa.Table
    ) -> None:
        """Put what some weeks hold now (rows of any accounts) in the place of what they held."""
        old = self.rows(account, number)
        outside = ~np.isin(old["day"].to_numpy() // 7, list(weeks))
        mine = now.filter(pc.equal(now["account_id"], account))
        both = pa.concat_tables([old.filter(pa.array(outside)), mine.cast(old.schema)])
        both = both.combine_chunks()
        numbers = np.zeros(len(both), dtype=np.int64)
        keys = self._numbers(both) if self.kind.keys is not None else self._ranks(both)
        self._apart[account] = both, self.kind.arrays(both, numbers, keys, 1)

    def in_order_seen(self, wanted: Ints) -> Rollup:
        """The rows of accounts (their numbers, rising), each key's in the order they are seen."""
        rows = self.whole.rows
        if len(wanted) == len(rows.first) - 1 and _rising(rows):
            return self.whole
        among = np.full(len(rows.first) - 1, -1)
        among[wanted] = np.arange(len(wanted))
        account = among[row_accounts(rows)]
        mine = np.flatnonzero(account >= 0)
        columns = {"account_id": account[mine], "key": row_keys(rows)[mine],
                   "visible_from": rows.visible[mine], "n": rows.values[mine, 0]}  # fmt: skip
        return in_order_seen(pa.table(columns), 0, len(wanted))

    def few_in_order_seen(self, accounts: Sequence[str]) -> Rollup:
        """The same of accounts whose rows lie apart."""
        each = [self._apart[account][0] for account in accounts]
        number = np.repeat(np.arange(len(each)), [len(rows) for rows in each])
        rows = pa.concat_tables(each)
        columns = {"account_id": pa.array(number), "key": pa.array(self._numbers(rows)),
                   "visible_from": rows["visible_from"], "n": rows["n"]}  # fmt: skip
        return in_order_seen(pa.table(columns), 0, len(accounts))

    def _table(self, account: str, rows: Rows) -> pa.Table:
        """An account's rows as the files have them."""
        columns = {"account_id": pa.array([account] * len(rows.day), pa.string()),
                   "day": rows.day, "visible_from": rows.visible}  # fmt: skip
        if self.kind.key:
            columns[self.kind.key] = self.keys.take(pa.array(row_keys(rows)))
        return pa.table(columns | {n: rows.values[:, i] for i, n in enumerate(self.kind.names)})

    def _put(self, kept: Flags, table: pa.Table, accounts: pa.Array) -> None:
        """Leave out the rows that are not kept, and put these in."""
        key_of = ALIKE
        if self.kind.key and self.kind.keys is None:
            self.keys, key_of = grown(self.keys, [encoded(table[self.kind.key])[1]])
        elif self.kind.key:
            key_of = np.arange(len(self.keys))
        numbers = places(table["account_id"], accounts)
        new = self.kind.arrays(table, numbers, self._numbers(table), len(accounts))
        old = self.whole.rows
        self.whole = Rollup(woven(old, kept, key_of, new.rows), new.names) if kept.any() else new

    def _numbers(self, table: pa.Table) -> Ints:
        """The numbers of the keys of rows."""
        if not self.kind.key:
            return np.zeros(len(table), dtype=np.int64)
        return places(table[self.kind.key], self.keys)

    def _ranks(self, table: pa.Table) -> Ints:
        """Numbers for the keys of one account's rows, in their order."""
        if not self.kind.key:
            return np.zeros(len(table), dtype=np.int64)
        return np.asarray(ranks(table[self.kind.key]))

    def _renumber(self, moved: Ints, accounts: int) -> None:
        """Give the accounts whose rows are held their numbers among so many."""
        runs = np.zeros(accounts + 1, dtype=np.int64)
        runs[moved + 1] = np.diff(self.whole.rows.first)
        self.whole = Rollup(self.whole.rows._replace(first=np.cumsum(runs)), self.whole.names)


def row_accounts(rows: Rows) -> Ints:
    """The number of each row's account."""
    return np.repeat(np.arange(len(rows.first) - 1), np.diff(rows.row[rows.first]))


def row_keys(rows: Rows) -> Ints:
    """The number of each row's key."""
    return np.repeat(rows.key, np.diff(rows.row))


def _rising(rows: Rows) -> bool:
    """Whether each key's rows lie in the order in which they are seen."""
    later = np.diff(rows.visible) >= 0
    later[rows.row[1:-1] - 1] = True
    return bool(later.all())


def places(texts: pa.ChunkedArray, among: pa.Array) -> Ints:
    """For each text its place among some different ones; -1 where it is none of them, or missing.

    >>> places(pa.chunked_array([["b", "a", "x"]]), pa.array(["a", "b"])).tolist()
    [1, 0, -1]
    """
    place, different = encoded(texts)
    found = pc.fill_null(pc.index_in(different, among), -1).to_numpy().astype(np.int64)
    return np.append(found, -1)[place]


def grown(texts: pa.Array, more: Iterable[pa.Array]) -> tuple[pa.Array, Ints]:
    """The different ones of all texts in order, and the place that each former one has.

    >>> both, moved = grown(pa.array(["a", "c"]), [pa.array(["b", "c"])])
    >>> both.to_pylist(), moved.tolist()
    (['a', 'b', 'c'], [0, 2])
    """
    new = pa.concat_arrays([m.filter(pc.invert(pc.is_in(m, texts))) for m in more])
    if not len(new):
        return texts, np.arange(len(texts))
    both = pa.concat_arrays([texts, pc.unique(new)])
    order = pc.sort_indices(both).to_numpy().astype(np.int64)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return both.take(pa.array(order)), place[: len(texts)]


def _texts(texts: Sequence[str]) -> pa.Array:
    return pa.array(sorted(texts), pa.string())


def _chunked(texts: pa.Array) -> pa.ChunkedArray:
    return pa.chunked_array([texts])


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
