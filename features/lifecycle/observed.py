"""What the lifecycle reads of use: features on given days, milestones, who was seen, visitors."""

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from ibis import _

from features import lake
from features.build import build
from features.errors import NotReadyError
from features.instants import DAY_US
from features.lifecycle.adoption import event_days, spans
from features.points import known_points
from features.progress import Progress, silent
from features.settings import Settings
from features.table import check_current, read_features
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
    points = known_points(workspace, points)
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
    none = pd.DataFrame(columns=[*POINT, *names]).astype(points.dtypes.to_dict())
    try:
        check_current(workspace, settings)
    except NotReadyError:
        return none
    return _frame(read_features(workspace, [*POINT, *names])).merge(points, on=POINT)


def _built(
    workspace: Workspace,
    settings: Settings,
    points: pd.DataFrame,
    names: list[str],
    progress: Progress,
) -> pd.DataFrame:
    path = workspace.tmp / "lifecycle.parquet"
    try:
        build(workspace, settings, points, out=path, names=names, progress=progress)
        return _frame(pq.read_table(path, columns=[*POINT, *names]))
    finally:
        path.unlink(missing_ok=True)


def _frame(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas()
    return frame.assign(as_of=frame["as_of"].astype("datetime64[us]"))


def seen(
    workspace: Workspace, settings: Settings, progress: Progress = silent
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """When use was seen: account_id, milestone, day, until; and account_id, day for any event.

    `day` (since 1970-01-01) is the first whose midnight sees it; from `until` on it is seen no more
    (the events turned out to be another account's).
    """
    with event_days(workspace, settings, progress) as (engine, by_event):
        first = by_event.group_by("account_id").agg(day=_.visible_from.min())
        reached = engine.to_arrow(spans(by_event, settings)).to_pandas()
        return reached, engine.to_arrow(first).to_pandas()


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
