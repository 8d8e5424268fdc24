"""Small files and settings to ingest."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from features.lake import read_table
from features.read_settings import parse_settings
from features.sources.ingest import SourceCount, ingest
from features.workspace import Workspace

NOW = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = {"event_time": "at", "account_id": "who", "event": "what"}


def company(*sources: dict[str, object]) -> dict[str, object]:
    """The settings of a company with these sources."""
    return {
        "company": {"name": "Acme"},
        "sources": tuple(sources),
        "plans": {"ladder": ("free", "team"), "free": ("free",), "addons": ("calls",)},
    }


def events(path: str, **more: object) -> dict[str, object]:
    """A source of events, its columns named as the tests write them."""
    return {"name": "clicks", "table": "events", "path": path, "columns": COLUMNS, **more}


def run(folder: Path, *sources: dict[str, object], **more: object) -> list[SourceCount]:
    """Ingest into a workspace inside the folder, at a fixed clock."""
    settings = parse_settings(company(*sources))
    return ingest(Workspace(folder / "ws"), settings, base=folder, now=NOW, **more)


def stored(folder: Path, table: str = "events") -> pa.Table:
    """A table of the lake."""
    return read_table(Workspace(folder / "ws"), table)


def letters(folder: Path) -> list[tuple[int, str]]:
    """Line and reason of every dead letter."""
    rows = stored(folder, "dead_letters").sort_by("line").to_pylist()
    return [(row["line"], row["reason"]) for row in rows]


def write(folder: Path, text: str, name: str = "clicks.csv") -> str:
    """Write a file; its name."""
    (folder / name).write_text(text, encoding="utf-8")
    return name


def figures(count: SourceCount) -> tuple[int, int, int, int]:
    """Sent, stored, duplicates, dead letters."""
    return count.sent, count.stored, count.duplicates, count.dead_letters
