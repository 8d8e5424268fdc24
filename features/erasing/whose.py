"""Whose rows are to go: the ids by which an account, or a person, is known in the lake."""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from features import lake
from features.errors import InputError
from features.workspace import Workspace

LETTER = r"[A-Za-z0-9_.:@-]"
Rows = Callable[[pa.Table], pa.Array]


@dataclass(frozen=True)
class Whose:
    """The ids of one erasure.

    `accounts`: the account and those that were merged into it. `users`: the person, or those who
    belong to no other account. `anonymous`: ids that were nobody's but theirs.
    """

    accounts: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    anonymous: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them."""
        return self.accounts + self.users + self.anonymous

    def named_in(self, text: str) -> bool:
        """Whether a text names one of them as a whole word.

        >>> Whose(users=("u1",)).named_in('{"userId": "u1"}'), Whose(users=("u1",)).named_in("u12")
        (True, False)
        """
        among = "|".join(map(re.escape, self.ids))
        return re.search(f"(?<!{LETTER})(?:{among})(?!{LETTER})", text) is not None


def of_account(workspace: Workspace, account: str) -> Whose:
    """The ids of an account; InputError when the lake does not know it."""
    identities = lake.read_table(workspace, "identities").to_pylist()
    merged = [(r["from_id"], r["to_id"]) for r in identities if r["kind"] == "merge"]
    accounts = {account}
    while more := {a for a, into in merged if into in accounts} - accounts:
        accounts |= more
    users = lake.read_table(workspace, "users", ["user_id", "account_id"]).to_pylist()
    members = {u["user_id"] for u in users if u["account_id"] in accounts}
    elsewhere = {u["user_id"] for u in users if u["account_id"] not in accounts}
    only = members - elsewhere
    _check_known(workspace, "account_id", accounts, f"account {account}")
    return Whose(*map(_sorted, (accounts, only, _anonymous(identities, only))))


def of_user(workspace: Workspace, user: str) -> Whose:
    """The ids of a person; InputError when the lake does not know them."""
    identities = lake.read_table(workspace, "identities").to_pylist()
    _check_known(workspace, "user_id", {user}, f"user {user}")
    return Whose((), (user,), _sorted(_anonymous(identities, {user})))


def rows_of(whose: Whose) -> dict[str, tuple[list[str], Rows]]:
    """Table of the lake → the columns to look at, and which of its rows are theirs."""
    accounts, users, anonymous = whose.accounts, whose.users, whose.anonymous

    def events(t: pa.Table) -> pa.Array:
        nameless = pc.and_(pc.is_null(t["user_id"]), _in(t["anonymous_id"], anonymous))
        persons = pc.or_(_in(t["user_id"], users), nameless)
        if accounts:  # what they did for another account stays with it
            persons = pc.and_(persons, pc.is_null(t["account_id"]))
        return pc.or_(_in(t["account_id"], accounts), persons)

    def identities(t: pa.Table) -> pa.Array:
        alias = pc.or_(_in(t["to_id"], users), _in(t["from_id"], anonymous))
        merge = pc.or_(_in(t["to_id"], accounts), _in(t["from_id"], accounts))
        return pc.if_else(pc.equal(t["kind"], "alias"), alias, merge)

    return {
        "events": (["account_id", "user_id", "anonymous_id"], events),
        "accounts": (["account_id"], lambda t: _in(t["account_id"], accounts)),
        "users": (["account_id", "user_id"], lambda t: pc.or_(
            _in(t["account_id"], accounts), _in(t["user_id"], users))),
        "subscriptions": (["account_id"], lambda t: _in(t["account_id"], accounts)),
        "identities": (["kind", "from_id", "to_id"], identities),
        "dead_letters": (["raw"], lambda t: pa.array(
            [whose.named_in(raw or "") for raw in t["raw"].to_pylist()], pa.bool_())),
    }  # fmt: skip


def _anonymous(identities: Iterable[dict[str, str]], users: Collection[str]) -> set[str]:
    """The anonymous ids that were these users' and nobody else's."""
    aliases = [(r["from_id"], r["to_id"]) for r in identities if r["kind"] == "alias"]
    others = {anonymous for anonymous, user in aliases if user not in users}
    return {anonymous for anonymous, user in aliases if user in users} - others


def _check_known(workspace: Workspace, column: str, ids: Collection[str], what: str) -> None:
    names = ["events", "users"] + ["accounts", "subscriptions"] * (column == "account_id")
    values = pa.array(sorted(ids), pa.string())
    tables = (lake.read_table(workspace, name, [column])[column] for name in names)
    if not any(pc.any(pc.is_in(table, values)).as_py() for table in tables):
        raise InputError(f"no {what} in the lake", do="Nothing was erased; look at the id.")


def _in(column: pa.ChunkedArray, ids: Collection[str]) -> pa.ChunkedArray:
    return pc.is_in(column, pa.array(sorted(ids), pa.string()))


def _sorted(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(ids))
