"""The data set of a run, made again from the lake as it was, and held against the run's digest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from features import lake
from features.catalog import catalogue
from features.errors import InputError, NotReadyError
from features.events import CONTRACT
from features.progress import Progress, silent
from features.settings import Settings
from features.table import refresh
from features.workspace import LakeThen, Workspace, publish_file
from training.dataset import Dataset
from training.observations import read_history, schedule
from training.outcomes import chosen
from training.prepare import Task, feature_table, prepare
from training.records import origin
from training.records.registry import run_files
from training.split import Split

NEEDED = ("origin.json", "settings.json")


@dataclass(frozen=True)
class Rebuilt:
    """A data set made again: whether it is the run's own to the bit, and where it was written."""

    outcome: str
    rows: int
    positives: int
    digest: str
    same: bool
    other_code: str | None
    path: Path | None


def rebuild(
    workspace: Workspace, run_id: str, out: Path | None = None, progress: Progress = silent
) -> Rebuilt:
    """Make the data set of a run again, in a scratch place; write it as Parquet to `out`.

    Raises InputError for an unknown run or a lake that was made anew, NotReadyError when a table's
    version is gone from the lake. A data set that comes out otherwise is told, not raised:
    `same`, and `other_code` with what differs when the code is not the run's.
    """
    made = run_files(workspace, run_id, NEEDED)
    settings = origin.restored(made["settings.json"])
    return again(workspace, made["origin.json"], settings, out, progress)


def again(
    workspace: Workspace,
    told: Mapping[str, Any],
    settings: Settings,
    out: Path | None = None,
    progress: Progress = silent,
) -> Rebuilt:
    """The same from what a run told of its origin (`origin.json`) and its settings."""
    then = LakeThen(workspace.lake.resolve(), versions(workspace, told["lake"]))
    check_readable(Workspace(workspace.root, then))
    with TemporaryDirectory(dir=workspace.tmp) as scratch:
        task = made_again(Workspace(Path(scratch), then), settings, told, progress)
    progress(0, 0, "comparing")
    digest = origin.dataset_digest(task.data)
    if out is not None:
        write(out, task.data, task.split, told)
    here = origin.code()
    same_code = here["sources"] == told["code"]["sources"]
    return Rebuilt(
        outcome=told["outcome"],
        rows=len(task.data.y),
        positives=int(task.data.y.sum()),
        digest=digest,
        same=digest == told["dataset"],
        other_code=None if same_code else origin.code_in_words(told["code"]),
        path=out,
    )


def versions(workspace: Workspace, then: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """Table → version; InputError when a table is not the one the run read."""
    found = []
    for name in CONTRACT:
        ident, _, version = then.get(name, "").partition("@")
        now = lake.table_state(workspace, name).partition("@")[0]
        if ident and ident != now:
            raise InputError(
                f"a table '{name}' in the lake that is not the one the run read "
                f"({'made anew since' if now else 'there is none now'})",
                expected=f"the table of that day, at version {version}",
                do="Put the workspace's lake back from a backup and run the command again.",
            )
        found.append((name, int(version) if ident else -1))
    return tuple(found)


def check_readable(then: Workspace) -> None:
    """Raise NotReadyError when a version, or a file of it, is no longer in the lake."""
    for name in CONTRACT:
        version = then.then.version(name) if then.then else -1
        try:
            gone = [p for p in lake.table_files(then, name) if not Path(p).is_file()]
        except (DeltaError, OSError):
            gone = [name]
        if gone:
            raise NotReadyError(
                f"version {version} of table '{name}', of which {len(gone)} file(s) are gone",
                expected="all files of that version: vacuuming or erasing a person removes them",
                do="The data set of this run cannot be made again; train anew.",
            )


def made_again(
    place: Workspace, settings: Settings, told: Mapping[str, Any], progress: Progress
) -> Task:
    """Observations, features, labels and split of one outcome, from the lake as it was."""
    name, day = told["outcome"], told.get("as_of")
    timing = chosen(settings, [name])[name]
    history = read_history(place, settings, date.fromisoformat(day) if day else None)
    wanted = schedule(history, timing, name)
    wanted = wanted.assign(as_of=wanted["as_of"].dt.date)
    refresh(place, settings, wanted, progress=progress)
    features = catalogue(settings)
    return prepare(settings, features, name, timing, feature_table(place), history)


def write(out: Path, data: Dataset, split: Split, told: Mapping[str, Any]) -> None:
    """One row an observation: block, account (a number), as_of, label, mrr, then the columns."""
    block = np.full(len(data.y), "gap", dtype=object)
    for name, rows in split.blocks.items():
        block[rows] = name
    columns: dict[str, Any] = {
        "block": block,
        "account": data.account,
        "as_of": data.as_of.astype("datetime64[D]"),
        "label": data.y.astype(np.int8),
        "mrr": data.mrr,
    }
    columns |= {f"x_{name}": data.X[:, i] for i, name in enumerate(data.names)}
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    table = table.replace_schema_metadata({"goldpan": json.dumps(dict(told), sort_keys=True)})
    with publish_file(out) as staged:
        pq.write_table(table, staged, write_page_checksum=True)
