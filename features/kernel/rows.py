"""Rollups as arrays: each account's rows side by side, each key's days in order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Observations, account after account: those of account `i` are `first[i]:first[i + 1]`."""

    first: Ints
    as_of: Ints

    def __len__(self) -> int:
        return len(self.as_of)

    @classmethod
    def of(cls, numbers: Ints, as_of: Ints) -> "Points":
        """Points sorted by the number of their account and by day; numbers follow one another."""
        accounts = int(numbers[-1] - numbers[0]) + 1 if len(numbers) else 0
        return cls(_first(numbers, int(numbers[0]) if len(numbers) else 0, accounts), as_of)


@dataclass(frozen=True)
class Runs:
    """Rows of a rollup in order: by account, by key, by day, by when they became visible.

    Run `r` is `row[r]:row[r + 1]`, the rows of one key (`key[r]`) of one account; the runs of
    account `i` are `first[i]:first[i + 1]`. `values` has a column for each of `names`.
    """

    first: Ints
    key: Ints
    row: Ints
    day: Ints
    visible: Ints
    values: Floats
    names: tuple[str, ...]

    def column(self, name: str) -> int:
        """The column of a measure."""
        return self.names.index(name)


def runs(rows: pa.Table, names: Sequence[str], lowest: int, accounts: int) -> Runs:
    """A rollup's rows in order, from rows in any.

    `rows`: account_id and key (numbers), day, visible_from and the measures of `names`; `lowest`,
    `accounts`: the first account's number and how many there are.
    """
    account, key, day, visible = (
        _whole(rows, c) for c in ("account_id", "key", "day", "visible_from")
    )
    order = _order(account - lowest, key, day, visible)
    account, key, day, visible = account[order], key[order], day[order], visible[order]
    begins = np.flatnonzero(_changes(account) | _changes(key))
    values = np.empty((len(order), len(names)))
    for i, name in enumerate(names):
        values[:, i] = rows[name].to_numpy()[order]
    return Runs(
        first=_first(account[begins], lowest, accounts),
        key=key[begins],
        row=np.append(begins, len(order)).astype(np.int64),
        day=day,
        visible=visible,
        values=values,
        names=tuple(names),
    )


def ranks(texts: pa.ChunkedArray) -> pa.Array:
    """For each text its place among the different ones, in their order."""
    coded = texts.combine_chunks().dictionary_encode()
    place = pc.sort_indices(coded.dictionary).to_numpy()
    ranked = np.empty(len(place), dtype=np.int64)
    ranked[place] = np.arange(len(place))
    return pa.array(ranked).take(coded.indices)


def _order(account: Ints, key: Ints, day: Ints, visible: Ints) -> Ints:
    """The order of rows by all four, from one number each where they fit into one."""
    parts = [account, key, day, visible]
    packed, bits = np.zeros(len(account), dtype=np.int64), 0
    for part in parts:
        low = int(part.min()) if len(part) else 0
        width = int(part.max() - low).bit_length() if len(part) else 0
        packed, bits = (packed << width) | (part - low), bits + width
    if bits > 62:
        return np.lexsort(parts[::-1]).astype(np.int64)
    return np.argsort(packed, kind="stable").astype(np.int64)


def _changes(values: Ints) -> NDArray[np.bool_]:
    """Where a value differs from the one before; the first does."""
    return np.concatenate([np.ones(min(1, len(values)), dtype=bool), values[1:] != values[:-1]])


def _first(numbers: Ints, lowest: int, count: int) -> Ints:
    return np.searchsorted(numbers, np.arange(lowest, lowest + count + 1)).astype(np.int64)


def _whole(rows: pa.Table, name: str) -> Ints:
    return rows[name].to_numpy().astype(np.int64)
