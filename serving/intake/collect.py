"""From the journals into the lake, exactly once, wherever a kill falls.

What the journals hold is copied to a numbered file of calls, and one of what was refused; noting in
`position.json` how far each journal was read makes them files to be ingested; when they are, they
are deleted. Before the note, the copy is made again; after it, a file is ingested again, and adds
nothing twice, for every call has a message id.
"""

import fcntl
import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from features.errors import GoldpanError
from features.lake import append_rows, read_table, table_schema
from features.settings import Settings, Source
from features.sources.dead_letters import DeadLetterBox
from features.sources.ingest import SourceCount, ingest
from features.sources.mapping import LINE
from features.sources.rows import Rows, Unreadable
from features.sources.staging import clear, digest_of
from features.turns import alone
from features.workspace import Workspace, publish_file, publish_json
from serving.intake.frames import whole
from serving.intake.waiting import (
    CALLS,
    REFUSED,
    Position,
    calls_of,
    journals,
    note_of,
    read_position,
    waiting_files,
)

SOURCE = "intake"
AT_ONCE = 8 << 20
"""Bytes that become one file: what comes after waits for its turn."""
Part = Literal["events", "users", "accounts", "identities"]


def collected(workspace: Workspace, settings: Settings) -> list[SourceCount]:
    """Move what the journals hold into the lake; what became of it, by table.

    One process at a time (`alone(workspace, "intake")`). Raises GoldpanError while something else
    ingests into the workspace.
    """
    counts: list[SourceCount] = []
    for left in calls_of(workspace).glob(".*"):  # half-made by a run that was killed
        left.unlink()
    more = True
    while more:  # what a killed run noted comes first
        for path in waiting_files(workspace):
            kind = _refused if path.suffix == REFUSED else _ingested
            counts += kind(workspace, settings, path)
            path.unlink()
        more = take(workspace)
    return counts


def collected_unless_served(workspace: Workspace, settings: Settings) -> list[SourceCount]:
    """The same, unless a service that runs does it by itself."""
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(workspace, "intake"))
        except GoldpanError:
            return []
        return collected(workspace, settings)


def take(workspace: Workspace) -> bool:
    """Copy what the journals hold to files that are to be ingested; whether there was anything."""
    position = read_position(workspace)
    read: dict[str, int] = {}
    lines: list[bytes] = []
    room = AT_ONCE
    for path in journals(workspace):
        noted = position.read.get(path.name, 0)
        offset, records = _unread(path, noted, room)
        if not records and _forgotten(path, noted):
            continue
        read[path.name] = offset
        lines += records
        room -= offset - noted
    if not lines:
        return False
    for ending, refused in ((CALLS, False), (REFUSED, True)):
        mine = [x for x in lines if x.startswith(b'{"refused":') is refused]
        file = calls_of(workspace) / f"{position.segment:09}{ending}"
        file.unlink(missing_ok=True)  # of a run that was killed before its note
        if mine:
            with publish_file(file) as staged:
                staged.write_bytes(b"\n".join(mine) + b"\n")
    publish_json(note_of(workspace), asdict(Position(position.segment + 1, read)))
    return True


def _unread(path: Path, offset: int, room: int) -> tuple[int, list[bytes]]:
    """The whole records after an offset, and where they end."""
    with path.open("rb") as stream:
        stream.seek(offset)
        content = stream.read(max(0, room))
    found = list(whole(content))
    return offset + (found[-1][0] if found else 0), [record for _, record in found]


def _forgotten(path: Path, noted: int) -> bool:
    """Delete a journal that nobody writes to and of which all is noted; whether it was one."""
    with path.open("rb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        if _unread(path, noted, AT_ONCE)[1]:  # written before its writer let it go
            return False
        path.unlink()
    return True


def _ingested(workspace: Workspace, settings: Settings, path: Path) -> list[SourceCount]:
    """Ingest one file of calls by the mapping of Segment's exports.

    Who belongs to an account, and that there is an account, is told only where nobody told it yet:
    told again it would begin today.
    """
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    calls = [json.loads(line) for line in lines]
    counts: list[SourceCount] = []
    for part, tells in telling(workspace).items():
        mine = [line for line, call in zip(lines, calls, strict=True) if tells(call)]
        if not mine:
            continue
        file = path.with_name(f".{path.stem}.{part}{CALLS}")
        file.write_bytes(b"\n".join(mine) + b"\n")
        source = Source(
            name=SOURCE, path=str(file), vendor="segment", take=(part,), first_wins=True
        )
        those = settings.model_copy(update={"sources": (source,)})
        counts += ingest(workspace, those, base=path.parent, arriving=True)
        file.unlink()
    return counts


def telling(workspace: Workspace) -> dict[Part, Callable[[dict[str, Any]], bool]]:
    """Table → whether a call tells something of it that the lake does not know."""
    members = _known(workspace, "users", "user_id", "account_id")
    accounts = _known(workspace, "accounts", "account_id")
    return {
        "accounts": lambda c: c["type"] == "group"
        and (bool({"createdAt", "created_at"} & set(c.get("traits", ())))
             or (c["groupId"],) not in accounts),
        "users": lambda c: "userId" in c
        and (group := c.get("groupId") or c.get("context", {}).get("groupId")) is not None
        and (c["userId"], group) not in members,
        "identities": lambda c: c["type"] == "alias"
        or (c["type"] == "identify" and {"userId", "anonymousId"} <= c.keys()),
        "events": lambda c: c["type"] in ("track", "page", "screen"),
    }  # fmt: skip


def _known(workspace: Workspace, table: str, *columns: str) -> set[tuple[str, ...]]:
    rows = read_table(workspace, table, columns)
    return set(zip(*(rows[name].to_pylist() for name in columns), strict=True))


def _refused(workspace: Workspace, _: Settings, path: Path) -> list[SourceCount]:
    """Put the calls that were refused on arrival with the dead letters, under their reasons."""
    now, source = datetime.now(UTC), f"{SOURCE}_refused"
    calls = [json.loads(line) for line in path.read_bytes().split(b"\n") if line]
    letters = [Unreadable(n, call["refused"], call["raw"]) for n, call in enumerate(calls, start=1)]
    digest = f"{path.stem}:{digest_of(path)}"  # the same may be refused again, and counts again
    with alone(workspace, "ingest", brief=True):
        box = DeadLetterBox(source, path.name, digest, clear(workspace), now)
        nothing = pa.table({LINE: pa.array([], pa.int64()), "reason": pa.array([], pa.string())})
        box.add(Rows(nothing, [], letters), nothing)
        box.commit(workspace)
        count = SourceCount(source, path.name, len(letters), 0, 0, len(letters))
        row = {**asdict(count), "file_digest": digest, "ingested_at": now}
        append_rows(workspace, "ingests", pa.Table.from_pylist([row], table_schema("ingests")))
    return [count]
