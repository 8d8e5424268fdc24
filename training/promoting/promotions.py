"""The log of promotions: a line of JSON for each, appended and never changed."""

import datetime as dt
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from features.workspace import Workspace


@dataclass(frozen=True)
class Line:
    """One move of a pointer: `what` is promote, forced or rollback.

    `behind`: the champions beneath the new one, the latest last; a rollback goes to the last.
    A line is written before the pointer moves, so only lines whose `to` is the pointer's version
    tell what happened; the others were killed in between.
    """

    what: str
    outcome: str
    before: str | None
    to: str
    behind: tuple[str, ...] = ()
    reason: str | None = None
    failed: tuple[str, ...] = ()
    at: str = ""


def path(workspace: Workspace) -> Path:
    """Where the log lies."""
    return workspace.bundles / "promotions.jsonl"


def append(workspace: Workspace, line: Line) -> None:
    """Add a line and force it to the disk; one that was cut short by a kill is ended first."""
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    text = json.dumps({**asdict(line), "at": at}, ensure_ascii=False) + "\n"
    path(workspace).parent.mkdir(parents=True, exist_ok=True)
    with path(workspace).open("ab+") as log:
        if log.tell() and not _ended(log):
            text = "\n" + text
        log.write(text.encode())
        log.flush()
        os.fsync(log.fileno())


def read(workspace: Workspace) -> list[Line]:
    """All whole lines, oldest first."""
    if not path(workspace).is_file():
        return []
    found = []
    for text in path(workspace).read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(text)
        except json.JSONDecodeError:
            continue
        found.append(Line(**values | {k: tuple(values[k]) for k in ("behind", "failed")}))
    return found


def last(workspace: Workspace, outcome: str, version: str | None) -> Line | None:
    """The latest line that made this version current."""
    lines = [x for x in read(workspace) if (x.outcome, x.to) == (outcome, version)]
    return lines[-1] if lines else None


def _ended(log: Any) -> bool:
    log.seek(-1, os.SEEK_END)
    return bool(log.read(1) == b"\n")
