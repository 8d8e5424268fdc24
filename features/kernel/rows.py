"""Rollups as arrays: each account's rows side by side, each key's days in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.kernel import order

Ints = order.Ints
Floats = order.Floats


class Points(NamedTuple):
    """Observations, account after account: those of account `i` are `first[i]:first[i + 1]`."""

    first: Ints
    as_of: Ints


class Rows(NamedTuple):
    """Rows of a rollup in order: by account, by key, by day, by when they became visible.

    Run `r` is `row[r]:row[r + 1]`, the rows of one key (`key[r]`) of one account; the runs of
    account `i` are `first[i]:first[i + 1]`. `values` has a column a measure.
    """

    first: Ints
    key: Ints
    row: Ints
    day: Ints
    visible: Ints
    values: Floats


@dataclass(frozen=True)
class Rollup:
    """The rows of one rollup, and the names of their measures."""

    rows: Rows
    names: tuple[str, ...]

    def column(self, name: str) -> int:
        """The column of a measure."""
        return self.names.index(name)


def points(numbers: Ints, as_of: Ints) -> Points:
    """Points from the number of each one's account, and its day; sorted by both."""
    lowest = int(numbers[0])
    return Points(_first(numbers, lowest, int(numbers[-1]) - lowest + 1), np.array(as_of))


def rollup(table: pa.Table, names: Sequence[str], lowest: int, accounts: int) -> Rollup:
    """A rollup's rows in order, from rows in any.

    `table`: account_id and key (numbers), day, visible_from and the measures of `names`; `lowest`,
    `accounts`: the first account's number and how many there are.
    """
    given = [_whole(table, c) for c in ("account_id", "key", "day", "visible_from")]
    placed = order.order_by(given)
    account, key, day, visible = (part[placed] for part in given)
    begins = np.flatnonzero(order.changes(account) | order.changes(key))
    values = np.empty((len(placed), len(names)))
    for i, name in enumerate(names):
        values[:, i] = table[name].to_numpy()[placed]
    first = _first(account[begins], lowest, accounts)
    row = np.append(begins, len(placed)).astype(np.int64)
    return Rollup(Rows(first, key[begins], row, day, visible, values), tuple(names))


def nothing(names: Sequence[str], accounts: int) -> Rollup:
    """A rollup without rows."""
    empty = np.empty(0, dtype=np.int64)
    first, row = np.zeros(accounts + 1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    values = np.empty((0, len(names)))
    return Rollup(Rows(first, empty, row, empty, empty, values), tuple(names))


def ranks(texts: pa.ChunkedArray) -> pa.Array:
    """For each text its place among the different ones, in their order.

    >>> ranks(pa.chunked_array([["b", "a", "b"]])).to_pylist()
    [1, 0, 1]
    """
    return pa.array(coded(texts)[0])


def coded(values: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """For each value its place among the different ones, and these in their order.

    >>> places, different = coded(pa.chunked_array([["b", "a", "b"]]))
    >>> places.tolist(), different.to_pylist()
    ([1, 0, 1], ['a', 'b'])
    """
    places, dictionary = encoded(values)
    order = pc.sort_indices(dictionary).to_numpy()
    ranked = np.empty(len(order), dtype=np.int64)
    ranked[order] = np.arange(len(order))
    return ranked[places], dictionary.take(pa.array(order))


def encoded(values: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """For each value its place among the different ones, and these in any order.

    A missing one has the place -1.

    >>> places, different = encoded(pa.chunked_array([["b", None, "a", "b"]]))
    >>> places.tolist(), different.to_pylist()
    ([0, -1, 1, 0], ['b', 'a'])
    """
    found = values.dictionary_encode().unify_dictionaries().combine_chunks()
    whole = found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
    places = pc.fill_null(whole.indices, -1)
    return places.to_numpy().astype(np.int64), whole.dictionary


def _first(numbers: Ints, lowest: int, count: int) -> Ints:
    return np.searchsorted(numbers, np.arange(lowest, lowest + count + 1)).astype(np.int64)


def _whole(table: pa.Table, name: str) -> Ints:
    return table[name].to_numpy().astype(np.int64)
