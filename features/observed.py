"""What the lifecycle reads of use: features on given days, milestones, who was seen, visitors."""

from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from features import lake, provenance
from features.build import build, connect, ensure_rollups
from features.errors import NotReadyError
from features.facts import reached_milestones
from features.progress import Progress, silent
from features.rollups import DAY_US
from features.settings import Settings
from features.workspace import Workspace

POINT = ["account_id", "as_of"]


def features_at(
    workspace: Workspace,
    settings: Settings,
    points: pd.DataFrame,
    names: list[str],
    progress: Progress = silent,
) -> pd.DataFrame:
    """The named features of each (account_id, as_of), one row each, sorted.

    Rows that the feature table of `goldpan build` holds are taken from it, when it was made of what
    there is now; the others are built.
    """
    held = _stored(workspace, settings, points, names)
    missing = points.merge(held[POINT], on=POINT, how="left", indicator="there")
    missing = missing.loc[missing["there"] == "left_only", POINT]
    parts = [held] if len(held) else []
    if len(missing):
        parts.append(_built(workspace, settings, missing, names, progress))
    return pd.concat(parts).sort_values(POINT, ignore_index=True)


def _stored(
    workspace: Workspace, settings: Settings, points: pd.DataFrame, names: list[str]
) -> pd.DataFrame:
    """Those of the points that the stored feature table holds."""
    path = workspace.features / "features.parquet"
    none = pd.DataFrame(columns=[*POINT, *names]).astype(points.dtypes.to_dict())
    try:
        if not path.is_file():
            return none
        provenance.check_current(path, workspace, settings)
    except NotReadyError:
        return none
    return _read(path, names).merge(points, on=POINT)


def _built(
    workspace: Workspace,
    settings: Settings,
    points: pd.DataFrame,
    names: list[str],
    progress: Progress,
) -> pd.DataFrame:
    path = workspace.tmp / "lifecycle.parquet"
    try:
        build(workspace, settings, points, out=path, progress=progress)
        return _read(path, names)
    finally:
        path.unlink(missing_ok=True)


def _read(path: Path, names: list[str]) -> pd.DataFrame:
    table = pq.read_table(path, columns=[*POINT, *names]).to_pandas()
    return table.assign(as_of=table["as_of"].astype("datetime64[us]"))


def seen(
    workspace: Workspace, settings: Settings, progress: Progress = silent
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """When use was first seen: milestones (account_id, milestone, day), accounts (account_id, day).

    `day` (since 1970-01-01) is the first whose midnight sees it.
    """
    folder = ensure_rollups(workspace, settings, progress=progress)
    con = connect(workspace, settings)
    try:
        by_event = con.read_parquet(folder / "account_event_day.parquet")
        reached = reached_milestones(by_event, settings).rename(day="visible_from")
        first = by_event.group_by("account_id").agg(day=by_event.visible_from.min())
        return reached.to_pyarrow().to_pandas(), first.to_pyarrow().to_pandas()
    finally:
        con.disconnect()


VISITORS = """
WITH told AS (
    SELECT coalesce(e.user_id, a.to_id) AS user_id, e.anonymous_id
    FROM read_parquet($files) e
    LEFT JOIN (SELECT DISTINCT from_id, to_id FROM identities
               WHERE kind = 'alias' AND epoch_us(known_at) <= $now) a
        ON e.user_id IS NULL AND e.anonymous_id = a.from_id
    WHERE e.account_id IS NULL AND e.event_us < $now AND epoch_us(e.known_at) <= $now
)
SELECT count(DISTINCT coalesce(user_id, anonymous_id)) FROM told
WHERE user_id IS NULL OR user_id NOT IN
    (SELECT user_id FROM users WHERE epoch_us(known_at) <= $now)
"""


def visitors(workspace: Workspace, day: int) -> int:
    """How many people with events belong to no account, as known on a day: by user, else by name.

    A person whom an alias or a membership known by then places in an account is none.
    """
    files = lake.table_files(workspace, "events")
    with duckdb.connect() as con:
        for name in ("identities", "users"):
            con.register(name, lake.read_table(workspace, name))
        row = con.execute(VISITORS, {"files": files, "now": day * DAY_US}).fetchone()
    return int(row[0]) if row else 0
