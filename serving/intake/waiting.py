"""What waits between an acknowledgement and the lake: journals not read, files not ingested.

Light: the workers, which tell of it in `/readyz`, load nothing for it.
"""

import json
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from features.workspace import Workspace
from serving.intake.journal import ENDING, folder_of
from serving.intake.wire import address

CALLS, REFUSED = ".jsonl", ".refused"
PROBE_SECONDS = 0.2
WAITING = (
    "kept, and no process takes them into the lake: `goldpan ingest` does, and `goldpan serve` "
    "with --settings does all the time"
)


@dataclass(frozen=True)
class Position:
    """`segment`: the number of the next file; `read`: the offset up to which a journal was read."""

    segment: int = 1
    read: dict[str, int] = field(default_factory=dict)


def waiting(workspace: Workspace) -> bool:
    """Whether anything has not reached the lake yet."""
    return bytes_waiting(workspace) > 0 or bool(waiting_files(workspace))


def bytes_waiting(workspace: Workspace) -> int:
    """How much was acknowledged and has not reached the lake yet."""
    read = read_position(workspace).read
    unread = [max(0, _size(p) - read.get(p.name, 0)) for p in journals(workspace)]
    return sum(unread) + sum(map(_size, waiting_files(workspace)))


def told(workspace: Workspace) -> dict[str, Any]:
    """For `/readyz`: whether acknowledged events are in the lake, and who will see to the rest."""
    size = bytes_waiting(workspace)
    if not size:
        return {"status": "in_the_lake", "bytes_waiting": 0}
    if _is_there(workspace):
        return {"status": "on_their_way", "bytes_waiting": size}
    return {"status": "waiting", "bytes_waiting": size, "detail": WAITING}


def _is_there(workspace: Workspace) -> bool:
    """Whether the process that takes events into the lake is running."""
    with suppress(OSError), address(workspace) as path, socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_SECONDS)
        probe.connect(path)
        return True
    return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # it has just reached the lake
        return 0


def waiting_files(workspace: Workspace) -> list[Path]:
    """The files that are noted and not ingested yet."""
    following = read_position(workspace).segment
    found = [p for ending in (CALLS, REFUSED) for p in calls_of(workspace).glob(f"[0-9]*{ending}")]
    return sorted(path for path in found if int(path.stem) < following)


def read_position(workspace: Workspace) -> Position:
    """How far the journals were read."""
    try:
        return Position(**json.loads(note_of(workspace).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Position()


def journals(workspace: Workspace) -> list[Path]:
    """The files that workers write what they acknowledge to, the oldest first."""
    return sorted(folder_of(workspace).glob(f"[0-9]*{ENDING}"))


def calls_of(workspace: Workspace) -> Path:
    """Where the files of calls lie that are to be ingested."""
    return workspace.root / "intake" / "calls"


def note_of(workspace: Workspace) -> Path:
    """Where it is noted how far the journals were read."""
    return workspace.root / "intake" / "position.json"
