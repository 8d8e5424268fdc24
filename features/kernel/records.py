"""The contract tables as arrays: each account's rows side by side, by the days that see them.

`features.facts.known` says in SQL which rows an observation may see.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features import lake
from features.events import STATUSES
from features.facts.account import PROFILE
from features.identity import resolve
from features.identity.resolve import Links
from features.instants import DAY_US, LONG_AGO, NEVER, morning
from features.kernel.events import whole
from features.kernel.order import Floats, Ints, order_by
from features.kernel.rows import coded, encoded
from features.workspace import Workspace

TRIAL, ACTIVE, CANCELLED = range(len(STATUSES))
ROW = ("account_id", "known_at", "row_id")
COLUMNS = {
    "accounts": (*ROW, "created_at", *PROFILE),
    "users": (*ROW, "user_id", "created_at", "left_at", "role"),
    "subscriptions": (*ROW, "subscription_id", "effective_at", "status", "plan", "mrr", "seats",
                      "billing_months", "term_end", "discount"),
}  # fmt: skip
"""What facts are made of."""
READ = (*COLUMNS, "identities")
"""The contract tables that tell it."""


class Profiles(NamedTuple):
    """Rows of accounts, what was learnt last at the end: account `i` has `first[i]:first[i + 1]`.

    Midnights from `seen` to before `until` (days since 1970-01-01) see a row; `begins`: an instant.
    """

    first: Ints
    seen: Ints
    until: Ints
    begins: Ints


class Users(NamedTuple):
    """Rows of users: by account, by user, what was learnt last of each at the end.

    Midnights from `joined` to before `left` are those at which the user belongs to the account.
    """

    first: Ints
    user: Ints
    seen: Ints
    until: Ints
    joined: Ints
    left: Ints
    role: Ints


class Bought(NamedTuple):
    """Rows of subscriptions: by account, by subscription, in the order in which they take effect.

    A row is known from the midnight `known` on and seen from `seen` on, when it has begun too.
    `plan`: the number of its name; `term`: the instant in which it ends, or NEVER.
    """

    first: Ints
    subscription: Ints
    known: Ints
    seen: Ints
    until: Ints
    begins: Ints
    status: Ints
    plan: Ints
    mrr: Floats
    seats: Floats
    billing_months: Floats
    discount: Floats
    term: Ints


@dataclass(frozen=True)
class Records:
    """What the contract tables say of all accounts; the texts that numbers of them stand for."""

    number_of: dict[str, int]
    profiles: Profiles
    told: pa.Table
    users: Users
    roles: pa.Array
    bought: Bought
    plans: pa.Array


def read_records(workspace: Workspace) -> Records:
    """What the lake's tables say now; worked out once for each state of theirs."""
    states = (lake.table_state(workspace, name) for name in READ)
    return _read_records(workspace, *states)


@lru_cache(maxsize=1)
def _read_records(workspace: Workspace, *states: str) -> Records:
    links = resolve.read_links(workspace)
    tables = {n: lake.read_table(workspace, n, columns) for n, columns in COLUMNS.items()}
    return arranged({
        name: (ended if name == "accounts" else merged)(rows, links)
        for name, rows in tables.items()
    })  # fmt: skip


def merged(rows: pa.Table, links: Links) -> pa.Table:
    """What `features.identity.resolve.merged` says in SQL: rows under the accounts that go on."""
    if not links.merges.num_rows:
        return _dated(rows, None, None)
    rows = rows.join(links.merges, "account_id", join_type="left outer")
    into = pc.coalesce(rows["into_id"], rows["account_id"])
    rows = rows.set_column(rows.column_names.index("account_id"), "account_id", into)
    told = rows.drop_columns(["into_id", "known_us", "until_us"])
    return _dated(told, rows["known_us"], rows["until_us"])


def ended(rows: pa.Table, links: Links) -> pa.Table:
    """What `features.identity.resolve.ended` says in SQL: merged accounts end with the merge."""
    if not links.merges.num_rows:
        return _dated(rows, None, None)
    rows = rows.join(resolve.merged_away(links), "account_id", join_type="left outer")
    return _dated(rows.drop_columns(["gone_us"]), None, rows["gone_us"])


def _dated(
    rows: pa.Table, known: pa.ChunkedArray | None, until: pa.ChunkedArray | None
) -> pa.Table:
    """The rows with the instants `known_us` and `until_us`, without those that no instant sees."""
    known_us = whole(rows["known_at"])
    until_us = np.full(len(rows), NEVER)
    if known is not None:
        known_us = np.maximum(known_us, whole(pc.fill_null(known, LONG_AGO)))
    if until is not None:
        until_us = whole(pc.fill_null(until, NEVER))
    rows = rows.append_column("known_us", pa.array(known_us))
    rows = rows.append_column("until_us", pa.array(until_us))
    return rows.filter(pa.array(known_us < until_us))


def arranged(tables: dict[str, pa.Table]) -> Records:
    """The rows of accounts, users and subscriptions, each with `known_us` and `until_us`."""
    names = tables["accounts"]["account_id"].unique()
    number_of = {name: number for number, name in enumerate(names.to_pylist())}
    told, profiles = _profiles(tables["accounts"], names)
    users, roles = _users(tables["users"], names)
    bought, plans = _bought(tables["subscriptions"], names)
    return Records(number_of, _own(profiles), told, _own(users), roles, _own(bought), plans)


def _own(rows: Any) -> Any:
    """The same arrays in memory of their own: functions are compiled for one kind of array."""
    return type(rows)(*map(np.array, rows))


def _profiles(rows: pa.Table, names: pa.Array) -> tuple[pa.Table, Profiles]:
    rows, first = _in_order(rows, names, lambda rows: [whole(rows["known_at"])])
    begins, known = whole(rows["created_at"]), whole(rows["known_us"])
    told = rows.select(list(PROFILE)).combine_chunks()
    return told, Profiles(first, seen(begins, known), morning(whole(rows["until_us"])), begins)


def _users(rows: pa.Table, names: pa.Array) -> tuple[Users, pa.Array]:
    user = pa.array(encoded(rows["user_id"])[0])
    rows = rows.set_column(rows.column_names.index("user_id"), "user_id", user)
    rows, first = _in_order(
        rows, names, lambda rows: [whole(rows["user_id"]), whole(rows["known_at"])]
    )
    begins, known = whole(rows["created_at"]), whole(rows["known_us"])
    role, roles = encoded(rows["role"])
    mine = Users(
        first, whole(rows["user_id"]), seen(begins, known), morning(whole(rows["until_us"])),
        joined=_after(begins), left=_after(_ever(rows["left_at"])), role=role,
    )  # fmt: skip
    return mine, roles


def _bought(rows: pa.Table, names: pa.Array) -> tuple[Bought, pa.Array]:
    subscription = pa.array(coded(rows["subscription_id"])[0])
    at = rows.column_names.index("subscription_id")
    rows, first = _in_order(
        rows.set_column(at, "subscription_id", subscription), names,
        lambda rows: [whole(rows[c]) for c in ("subscription_id", "effective_at", "known_at")],
    )  # fmt: skip
    begins, known = whole(rows["effective_at"]), whole(rows["known_us"])
    plan, plans = encoded(rows["plan"])
    numbers = {c: rows[c].to_numpy() for c in ("mrr", "seats", "billing_months", "discount")}
    mine = Bought(
        first, whole(rows["subscription_id"]), morning(known), seen(begins, known),
        morning(whole(rows["until_us"])), begins, plan=plan, term=_ever(rows["term_end"]),
        status=whole(pc.fill_null(pc.index_in(rows["status"], pa.array(STATUSES)), -1)), **numbers,
    )  # fmt: skip
    return mine, plans


def seen(begins: Ints, known: Ints) -> Ints:
    """The first day at whose midnight a fact has begun and is known."""
    return np.maximum(_after(begins), morning(known))


def _after(instants: Ints) -> Ints:
    """The first day whose midnight is after an instant."""
    return instants // DAY_US + 1


def _ever(times: pa.ChunkedArray) -> Ints:
    """Times as instants; an absent one is NEVER."""
    return whole(pc.fill_null(times.cast(pa.int64()), NEVER))


def _in_order(
    rows: pa.Table, names: pa.Array, keys: Callable[[pa.Table], Sequence[Ints]]
) -> tuple[pa.Table, Ints]:
    """Rows of the accounts named: by account, keys, row_id; and where those of each begin."""
    place = pc.index_in(rows["account_id"], names)
    rows = rows.filter(pc.is_valid(place))
    account = whole(place.drop_null())
    placed = _placed([account, *keys(rows)], rows["row_id"])
    first = np.searchsorted(account[placed], np.arange(len(names) + 1))
    return rows.take(pa.array(placed)), first.astype(np.int64)


def _placed(keys: list[Ints], row_ids: pa.ChunkedArray) -> Ints:
    """The order by keys; of rows that are equal in all of them, by row_id."""
    placed = order_by(keys)
    new: Any = np.logical_or.reduce([np.diff(key[placed], prepend=-1, append=-1) for key in keys])
    tied = placed[~(new[1:] & new[:-1])]
    if not len(tied):
        return placed
    by_name = np.zeros(len(placed), dtype=np.int64)
    by_name[tied] = coded(row_ids.take(pa.array(tied)))[0]
    return order_by([*keys, by_name])
