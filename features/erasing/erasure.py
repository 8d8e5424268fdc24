"""Takes rows out of the lake and out of all that was made of it; killed, it is completed later.

Whose rows go is noted before the first is touched (`erasing.json`, for its owner's eyes), and the
note goes last: whoever erases next completes what it says first.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from features import lake
from features.erasing.history import forget_history, replace_parts
from features.erasing.whose import Rows, Whose, rows_of
from features.lake import MONTH, Part, PartWriter
from features.turns import alone
from features.workspace import Workspace, publish_json

MADE_OF_IT = ("rollups", "features", "scores", "tmp")


@contextmanager
def nobody_else(workspace: Workspace) -> Iterator[None]:
    """As long as the block lasts, nothing else works in the workspace; GoldpanError if it does."""
    with ExitStack() as stack:
        for turn in ("ingest", "build", "score", "roll-up"):
            stack.enter_context(alone(workspace, turn))
        yield


def note(workspace: Workspace, whose: Whose) -> None:
    """Note whose rows are to go, so that a kill from now on leaves work, not doubt."""
    publish_json(_note(workspace), asdict(whose))
    _note(workspace).chmod(0o600)


def noted(workspace: Workspace) -> Whose | None:
    """What an erasure that was cut off had noted."""
    try:
        held = json.loads(_note(workspace).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Whose(**{name: tuple(ids) for name, ids in held.items()})


def done(workspace: Workspace) -> None:
    """All of it is gone."""
    _note(workspace).unlink(missing_ok=True)


def erase(workspace: Workspace, whose: Whose) -> dict[str, int]:
    """Take the rows out of every table and its history; what was made of them goes whole.

    Table → how many rows went. Rollups, features and scores are made anew by `goldpan build` and
    `goldpan score`.
    """
    gone = {name: _erased(workspace, name, *how) for name, how in rows_of(whose).items()}
    for name in MADE_OF_IT:
        shutil.rmtree(workspace.root / name, ignore_errors=True)
    return gone


def _erased(workspace: Workspace, name: str, columns: list[str], theirs: Rows) -> int:
    files = lake.table_files(workspace, name)
    hits = {file: pc.sum(theirs(pq.read_table(file, columns=columns))).as_py() for file in files}
    gone = sum(count or 0 for count in hits.values())
    staged = workspace.lake / f".{name}.kept"
    shutil.rmtree(staged, ignore_errors=True)  # of a run that was killed
    if gone:
        staged.mkdir()
        parts = [_kept(Path(f), staged / f"{i}.parquet", theirs, hits[f])
                 for i, f in enumerate(files)]  # fmt: skip
        replace_parts(workspace, name, [part for part in parts if part.rows])
        shutil.rmtree(staged)
    if lake.table_version(workspace, name) >= 0:  # a run or an ingest may have been killed midway
        forget_history(workspace, name)
    return gone


def _kept(file: Path, to: Path, theirs: Rows, hits: int | None) -> Part:
    """What stays of one file: the file itself, or another without their rows."""
    month = file.parent.name.partition("=")[2] if file.parent.name.startswith(MONTH) else None
    if not hits:
        to.hardlink_to(file)
        return Part(to, pq.read_metadata(file).num_rows, month)
    with pq.ParquetFile(file) as source:
        writer = PartWriter(to, source.schema_arrow)
        for number in range(source.num_row_groups):
            rows = source.read_row_group(number)
            kept = rows.filter(pc.invert(theirs(rows)))
            if kept.num_rows:
                writer.write(kept)
    writer.close()
    return Part(to, writer.rows, month)


def _note(workspace: Workspace) -> Path:
    return workspace.root / "erasing.json"
