"""The physical limit: what reading and grouping the events costs, whatever is made of them."""

from collections.abc import Callable
from typing import Any

import duckdb

from features import lake
from features.workspace import Workspace

_GROUPED = "SELECT sum(n) FROM (SELECT count(*) n FROM read_parquet($1) GROUP BY {})"
QUERIES = {
    "scan": "SELECT sum(strlen(account_id)), sum(strlen(user_id)), sum(strlen(event)), "
    "bit_xor(event_us) FROM read_parquet($1)",
    "by account, day": _GROUPED.format("account_id, event_us // 86400000000"),
    "by account, day, event": _GROUPED.format("account_id, event_us // 86400000000, event"),
}
REPEATS = 3


def floor(workspace: Workspace, query: str, threads: int) -> Callable[[], dict[str, Any]]:
    """Read the events once, so that they are in memory; then a step that asks REPEATS times."""
    con = duckdb.connect(config={"threads": threads})
    files = lake.table_files(workspace, "events")

    def ask() -> dict[str, Any]:
        for _ in range(REPEATS):
            con.execute(QUERIES[query], [files]).fetchall()
        return {"repeats": REPEATS}

    con.execute(QUERIES["scan"], [files]).fetchall()
    return ask
