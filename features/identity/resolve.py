"""Which account and user an event belongs to, as known then.

An event names its account, or a user who belongs to one, or a person of whom we learn only later
who it is. Users move between accounts; accounts are merged into others. Rows with a `known_at` of
their own tell all that, so the answer depends on two clocks: when the event happened, and what was
known when one asks. Here both are spelt out once: an event becomes rows that say from which
instant on (`known_us`) and until which (`until_us`) it is known as whose. What is learnt later ends
a row and begins another; it never changes what was known before.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.compute as pc
from ibis import _

from features import instants, lake
from features.identity.links import alias_spans, membership_spans, merge_spans
from features.instants import LONG_AGO, NEVER, microseconds
from features.workspace import Workspace


@dataclass(frozen=True)
class Links:
    """What ids stood for: Arrow tables whose rows hold for half-open spans of instants (int64).

    For events in [from_us, to_us), as known in [known_us, until_us), `anonymous_id` is `user_id`
    (aliases; itself before any is known) and `user_id` belongs to `account_id` (memberships; no row
    where to none). As known in [known_us, until_us), `account_id` goes on as `into_id` (merges; as
    itself before the first is known). The spans of one id do not overlap. They answer those who ask
    after the event; what was known before it happened may be missing.
    """

    aliases: pa.Table
    memberships: pa.Table
    merges: pa.Table


def links(users: pa.Table, identities: pa.Table) -> Links:
    """The links that the tables `users` and `identities` of the lake tell.

    An anonymous id is the user of its latest alias at or before the event, else of its earliest (of
    equal ones: of the one known last, then the largest id). A user belongs to the account joined
    last at the event and not left, else to the next one joined (of equal ones the largest id); of
    rows with the same account and created_at only the newest known counts. A merge holds for events
    of all times from its `known_at` on.
    """
    known = instants.frame(identities, "since", "known_at")
    return Links(
        aliases=alias_spans(known[known["kind"] == "alias"]),
        memberships=membership_spans(instants.frame(users, "created_at", "left_at", "known_at")),
        merges=merge_spans(known[known["kind"] == "merge"]),
    )


def read_links(workspace: Workspace) -> Links:
    """The links that the lake's tables tell now; worked out once for each state of theirs."""
    states = (lake.table_state(workspace, name) for name in ("users", "identities"))
    return _read_links(workspace, *states)


@lru_cache(maxsize=1)
def _read_links(workspace: Workspace, users: str, identities: str) -> Links:
    return links(lake.read_table(workspace, "users"), lake.read_table(workspace, "identities"))


def assigned(events: ibis.Table, links: Links, *, complete: bool) -> ibis.Table:
    """The events as their accounts' and users', as they became known.

    In: events of the lake (account_id, user_id, anonymous_id, event_us, known_at and any others).
    Out: the same columns with account_id and user_id filled in ('' for a nameless user), and the
    instants `known_us` and `until_us` (int64): at `as_of` exactly the rows with
    known_us <= as_of < until_us count. An event that changed hands has several rows, one whose
    account nobody knows has none. `complete` promises what `is_complete` finds: nothing is joined.
    """
    named = {"user_id": ibis.coalesce(_.user_id, _.anonymous_id, ""), **_known(_)}
    if complete:
        return events.mutate(**named)
    person = ibis.ifelse(_.user_id.isnull(), _.anonymous_id, ibis.null("string"))
    rows = events.mutate(_person=person, **named)
    rows = _followed(rows, links.aliases, "_person", "user_id")
    rows = rows.mutate(_member=ibis.ifelse(_.account_id.isnull(), _.user_id, ibis.null("string")))
    rows = _followed(rows, links.memberships, "_member", "account_id")
    rows = rows.filter(_.account_id.notnull())
    rows = _followed(rows, links.merges, "account_id", "account_id")
    return rows.select(*events.columns, "known_us", "until_us")


def is_complete(events: ibis.Table, links: Links) -> bool:
    """Whether every event names its account and its user, and no account was merged."""
    if links.merges.num_rows:
        return False
    open_ended = events.account_id.isnull()
    if links.aliases.num_rows:
        open_ended |= events.user_id.isnull() & events.anonymous_id.notnull()
    return not events.filter(open_ended).limit(1).count().to_pyarrow().as_py()


def merged(rows: ibis.Table, links: Links) -> ibis.Table:
    """Contract rows under the accounts that go on, with the instants `known_us` and `until_us`.

    In: any table with account_id and known_at. A row whose account was merged counts for it until
    the merge is known, and for the account that goes on from then.
    """
    return _followed(rows.mutate(**_known(rows)), links.merges, "account_id", "account_id")


def ended(accounts: ibis.Table, links: Links) -> ibis.Table:
    """Rows of `accounts` with `known_us` and `until_us`: a merged one ends with the merge."""
    rows = accounts.mutate(**_known(accounts))
    if not links.merges.num_rows:
        return rows
    gone = ibis.memtable(merged_away(links)).rename(_id="account_id", _us="gone_us")
    rows = rows.left_join(gone, rows.account_id == gone["_id"])
    rows = rows.mutate(until_us=ibis.least(_.until_us, ibis.coalesce(rows["_us"], NEVER)))
    return rows.filter(_.known_us < _.until_us).drop("_id", "_us")


def merged_away(links: Links) -> pa.Table:
    """The accounts that were merged into others: account_id, gone_us (when that was known)."""
    onward = pc.not_equal(links.merges["account_id"], links.merges["into_id"])
    gone = links.merges.filter(onward).group_by("account_id").aggregate([("known_us", "min")])
    return gone.rename_columns(["account_id", "gone_us"])


def unresolved(workspace: Workspace, *, memory: str = "512MB") -> dict[str, int]:
    """How many events of the lake belong to no account, as known now: source → events.

    They are kept; an identity or a membership that arrives later places them.
    """
    files = lake.table_files(workspace, "events")
    if not files:
        return {}
    temporary = str(workspace.tmp / "duckdb")
    con = ibis.duckdb.connect(threads=2, memory_limit=memory, temp_directory=temporary)
    try:
        nameless = con.read_parquet(files).filter(_.account_id.isnull())
        counts = _by_source(nameless)
        if not counts:
            return {}
        now = assigned(nameless, read_links(workspace), complete=False).filter(_.until_us == NEVER)
        placed = _by_source(now)
    finally:
        con.disconnect()
    left = {source: n - placed.get(source, 0) for source, n in sorted(counts.items())}
    return {source: n for source, n in left.items() if n}


def _by_source(events: ibis.Table) -> dict[str, int]:
    counted = events.group_by("source").agg(n=_.count()).to_pyarrow()
    return dict(zip(counted["source"].to_pylist(), counted["n"].to_pylist(), strict=True))


def _known(rows: Any) -> dict[str, Any]:
    return {"known_us": microseconds(rows.known_at), "until_us": ibis.literal(NEVER, "int64")}


def _followed(rows: ibis.Table, told: pa.Table, key: str, gives: str) -> ibis.Table:
    """The rows with `gives` as a table of links says of `key`, each for as long as it says so."""
    if not told.num_rows:
        return rows
    there = ibis.memtable(
        told.rename_columns(["_id", "_is", *(f"_{c}" for c in told.column_names[2:])])
    )
    matches = [rows[key] == there["_id"]]
    if "from_us" in told.column_names:
        matches += [there["_from_us"] <= rows.event_us, there["_to_us"] > rows.event_us]
    both = rows.left_join(there, matches)
    changed = {
        gives: ibis.coalesce(both["_is"], both[gives]),
        "known_us": ibis.greatest(both.known_us, ibis.coalesce(both["_known_us"], LONG_AGO)),
        "until_us": ibis.least(both.until_us, ibis.coalesce(both["_until_us"], NEVER)),
    }
    kept = both.select(**{c: both[c] for c in rows.columns} | changed)
    return kept.filter(_.known_us < _.until_us)
