"""Of which accounts the lake learnt something since an earlier state of it."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features import lake
from features.engines.engine import DuckDBEngine
from features.identity import resolve
from features.instants import NEVER
from features.lake import MONTH, table_schema
from features.settings import Settings
from features.workspace import LakeThen, Workspace
from serving.intake.overlay import TABLES


def versions(workspace: Workspace) -> dict[str, int]:
    """The versions of the tables that events by HTTP feed; -1 for one that is not there."""
    return {name: lake.table_version(workspace, name) for name in TABLES}


def touched(workspace: Workspace, settings: Settings, since: Mapping[str, int]) -> set[str]:
    """The accounts whose events, users or own rows were added by HTTP since those versions.

    Each account under the name by which it is known now.
    """
    new = {name: _added(workspace, name, since.get(name, -1)) for name in TABLES}
    accounts = set(new["accounts"]["account_id"].to_pylist())
    people = {*new["users"]["user_id"].to_pylist(), *new["identities"]["to_id"].to_pylist()}
    accounts |= set(new["users"]["account_id"].to_pylist())
    if people:
        users = lake.read_table(workspace, "users", ["user_id", "account_id"])
        mine = users.filter(pc.is_in(users["user_id"], pa.array(sorted(people), pa.string())))
        accounts |= set(mine["account_id"].to_pylist())
    return accounts | _of_events(workspace, settings, new["events"])


def _added(workspace: Workspace, name: str, since: int) -> pa.Table:
    """The rows of files that a table has now and had not then, those that came by HTTP."""
    then = Workspace(workspace.root, LakeThen(workspace.lake, ((name, since),)))
    files = sorted(set(lake.table_files(workspace, name)) - set(lake.table_files(then, name)))
    schema = table_schema(name)
    schema = pa.schema([field for field in schema if field.name != MONTH])
    if not files:
        return schema.empty_table()
    rows = ds.dataset(files, schema=schema, format="parquet")
    return rows.to_table(filter=pc.starts_with(pc.field("source"), "intake"))


def _of_events(workspace: Workspace, settings: Settings, events: pa.Table) -> set[str]:
    """The accounts that events belong to, as known now."""
    links = resolve.read_links(workspace)
    if events["account_id"].null_count == 0 and not links.merges.num_rows:
        return set(events["account_id"].to_pylist())
    engine = DuckDBEngine(workspace, settings)
    try:
        mine = resolve.assigned(engine.register(events), links, complete=False)
        now = mine.filter(mine.until_us == NEVER).select("account_id").distinct()
        return set(engine.to_arrow(now)["account_id"].to_pylist())
    finally:
        engine.close()
