"""The feature table of the training observations: a file a month, made again only where need be.

`features/manifest.json` names the file of each month (of `as_of`) and what all of them were made
of; it is written last and read first. What is ingested later changes no cell of a day on which it
was not known. So the rows of days before the first morning that may see anything new are kept, and
the others are computed; the result is what computing all of them would give.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features import lake, provenance
from features.build import computed, table_schema
from features.catalog import catalogue
from features.errors import NotReadyError
from features.events import CONTRACT
from features.instants import morning
from features.points import POINT, observed_points
from features.progress import Progress, silent
from features.settings import Settings
from features.turns import alone
from features.workspace import Workspace, publish_json

LAST_DAY = 10**6


@dataclass(frozen=True)
class Manifest:
    """What the table is: its months' files, and the settings and the lake they were made of."""

    stamp: dict[str, Any] = field(default_factory=dict)
    made_of: dict[str, list[str]] = field(default_factory=dict)
    months: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refreshed:
    """How many rows were kept as they were, and how many computed."""

    kept: int
    computed: int


def refresh(
    workspace: Workspace,
    settings: Settings,
    observations: pd.DataFrame,
    *,
    progress: Progress = silent,
) -> Refreshed:
    """Make the feature table hold exactly these observations, as known then.

    `observations` and errors as in `features.build.build`.
    """
    points = _with_months(observed_points(workspace, observations))
    with alone(workspace, "build"):
        held, stamp = read_manifest(workspace), provenance.stamp(workspace, settings)
        made_of = {name: lake.table_files(workspace, name) for name in CONTRACT}
        stored = _stored(workspace, held)
        good = stored[stored["as_of_day"] < _first_new_day(held, stamp, made_of)]
        kept = points.merge(good[POINT], on=POINT)
        missing = _without(points, kept)
        months = set(points["month"].unique())
        gone = _without(stored, kept)["month"].unique()
        stale = {*missing["month"].unique(), *gone} & months
        features = catalogue(settings).features
        writer = _Writer(workspace, table_schema(features), sorted(stale))
        try:
            writer.copy(held, kept)
            if len(missing):
                for rows in computed(
                    workspace, settings, missing[POINT], features, progress=progress
                ):
                    writer.add(rows)
            now = {m: held.months[m] for m in sorted(months - stale)} | writer.close()
            places = {name: lake.places(workspace, files) for name, files in made_of.items()}
            publish_json(_path(workspace), asdict(Manifest(stamp, places, now)))
        finally:  # of a build that failed nothing is left
            _forget_others(workspace, read_manifest(workspace).months)
    return Refreshed(len(kept), len(missing))


def read_manifest(workspace: Workspace) -> Manifest:
    """What table there is; an empty one before the first build."""
    path = _path(workspace)
    if not path.is_file():
        return Manifest()
    held = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    made_of = {name: lake.files_at(workspace, files) for name, files in held.made_of.items()}
    return replace(held, made_of=made_of)


def read_features(workspace: Workspace, columns: Sequence[str] | None = None) -> pa.Table:
    """The table (or some columns), its pages checked; NotReadyError before the first build."""
    held = _made(workspace)
    files = [workspace.features / name for _, name in sorted(held.months.items())]
    names = None if columns is None else list(columns)
    return pa.concat_tables(
        pq.read_table(f, columns=names, page_checksum_verification=True) for f in files
    )


def check_current(workspace: Workspace, settings: Settings) -> None:
    """Raise NotReadyError without a table, or with one of other settings or of another lake."""
    provenance.check_current(_made(workspace).stamp or None, workspace, settings)


def _made(workspace: Workspace) -> Manifest:
    held = read_manifest(workspace)
    if not held.months:
        raise NotReadyError("a workspace without a feature table", do="Run `goldpan build` first.")
    return held


def _path(workspace: Workspace) -> Path:
    return workspace.features / "manifest.json"


def _first_new_day(held: Manifest, stamp: dict[str, Any], made_of: dict[str, list[str]]) -> int:
    """The first day whose midnight may see what the table was not made of."""
    same = bool(held.months) and held.stamp["meaning"] == stamp["meaning"]
    if not same or any(set(held.made_of[n]) - set(files) for n, files in made_of.items()):
        return -LAST_DAY
    new = [f for n, files in made_of.items() for f in files if f not in set(held.made_of[n])]
    if not new:
        return LAST_DAY
    query = "SELECT epoch_us(min(known_at)) FROM read_parquet(?, union_by_name = true)"
    with duckdb.connect(config={"threads": 2}) as con:
        (moment,) = con.execute(query, [new]).fetchone() or (None,)
    return LAST_DAY if moment is None else int(morning(moment))


def _stored(workspace: Workspace, held: Manifest) -> pd.DataFrame:
    """The observations whose rows stand in the table: account_id, as_of_day, month."""
    parts = [_with_months(pd.DataFrame(columns=POINT).astype({"as_of_day": "int64"}))]
    for name in held.months.values():
        rows = pq.read_table(workspace.features / name, columns=["account_id", "as_of"])
        parts.append(_keys(rows))
    return pd.concat(parts, ignore_index=True)


def _with_months(points: pd.DataFrame) -> pd.DataFrame:
    days = points["as_of_day"].to_numpy().astype("datetime64[D]")
    return points.assign(month=days.astype("datetime64[M]").astype(str))


def _keys(rows: pa.Table) -> pd.DataFrame:
    """Rows of the table → account_id, as_of_day, month."""
    days = rows["as_of"].cast(pa.int32()).to_numpy().astype("int64")
    accounts = rows["account_id"].to_pandas()
    return _with_months(pd.DataFrame({"account_id": accounts, "as_of_day": days}))


def _without(points: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """The points that are not among the others."""
    both = points.merge(others[POINT], on=POINT, how="left", indicator=True)
    return both[both["_merge"] == "left_only"].drop(columns="_merge")


class _Writer:
    """Writes the files of some months: rows that were kept, and rows that were computed."""

    def __init__(self, workspace: Workspace, schema: pa.Schema, months: Sequence[str]) -> None:
        self.folder, self.schema = workspace.features, schema
        self.names = {month: f"{month}-{uuid.uuid4().hex[:12]}.parquet" for month in months}
        self.sinks = {
            month: lake.PartWriter(self.folder / name, schema, compression="lz4")
            for month, name in self.names.items()
        }

    def copy(self, held: Manifest, kept: pd.DataFrame) -> None:
        """Take over from the former files the rows that stay as they are."""
        for month in self.sinks:
            mine = kept.loc[kept["month"] == month, POINT].assign(stays=True)
            if mine.empty:
                continue
            rows = pq.read_table(self.folder / held.months[month], page_checksum_verification=True)
            stays = _keys(rows).merge(mine, on=POINT, how="left")["stays"].notna().to_numpy()
            self.sinks[month].write(rows.filter(pa.array(stays)).cast(self.schema))

    def add(self, rows: pa.Table) -> None:
        """Write computed rows to their months."""
        months = _keys(rows)["month"]
        for month in months.unique():
            self.sinks[month].write(rows.filter(pa.array((months == month).to_numpy())))

    def close(self) -> dict[str, str]:
        """End the files and force them to the disk; month → name."""
        for sink in self.sinks.values():
            sink.close()
        return self.names


def _forget_others(workspace: Workspace, months: dict[str, str]) -> None:
    """Delete the files of months as they were, and what a killed build left."""
    for path in workspace.features.glob("*.parquet"):
        if path.name not in set(months.values()):
            path.unlink()
