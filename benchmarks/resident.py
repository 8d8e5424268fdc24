"""What a row from memory costs: `python -m benchmarks.resident` (two or three CPU minutes).

A company of 20,000 accounts is simulated and rolled up; then a fresh process holds the state of all
accounts, computes the rows of one account after the other, and moves on to the next midnight. The
rows of both midnights are compared with those of a build first.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import report
from benchmarks.features import FOLDER
from benchmarks.job import Work
from benchmarks.measure import in_child
from benchmarks.size import Size
from features.build import build
from features.resident.resident import Resident
from features.settings import Settings
from features.workspace import Workspace

MARKS = ("<!-- resident: begin -->", "<!-- resident: end -->")
COLUMNS = ("what", "CPU", "on the clock", "aim")
Took = tuple[float, float]
"""CPU and wall seconds."""


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print or write the table."""
    chosen = _parser().parse_args(arguments)
    size = Size(chosen.events, chosen.accounts)
    told = {"root": str(chosen.folder.resolve() / f"{size.events}-{size.accounts}"),
            "size": asdict(size)}  # fmt: skip
    events = in_child("generate", **told).said["stored"]
    root = in_child("rollups", root=told["root"]).said["root"]
    said = in_child("resident", root=root, size=told["size"]).said
    text = "\n\n".join([report.machine(), _world(events, said), _table(said)])
    print(text)
    if chosen.write:
        report.write(text, MARKS)


def resident_step(workspace: Workspace, settings: Settings, size: Size) -> Work:
    """Hold the state of one midnight, compute rows, then the next midnight."""
    today = size.end.date()

    def work() -> dict[str, Any]:
        started = time.process_time()
        with closing(Resident(workspace, settings)) as held:
            state = took(lambda: held.rows([], today))
            told = [*(held.state.told if held.state else {})]
            first = took(lambda: held.held(told[:1]))
            each = [took(lambda a=a: held.state.numbers(a)) for a in told]  # type: ignore[union-attr, misc]
            compared = check(workspace, settings, held, told, today)
            night = took(lambda: held.rows([], today + timedelta(days=1)))
            rows = took(lambda: held.held(told))
        return {
            "start": (started, started), "state": state, "first": first, "night": night,
            "rows": rows, "accounts": len(told), "cells": compared,
            "each": [np.percentile([t[i] for t in each], [50, 99]).tolist() for i in (0, 1)],
        }  # fmt: skip

    return work


def took(work: Callable[[], object]) -> Took:
    """What some work takes."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - cpu, time.perf_counter() - wall


def check(
    workspace: Workspace, settings: Settings, held: Resident, told: list[str], day: date
) -> int:
    """Compare every cell of a day with a build's; returns how many. SystemExit names the others."""
    asked = pd.DataFrame({"account_id": told, "as_of": pd.Timestamp(day)})
    built = build(workspace, settings, asked, out=workspace.tmp / "built.parquet")
    mine = workspace.tmp / "resident.parquet"
    held.held(told).to_pandas().to_parquet(mine)
    found = differences(built, mine)
    if found:
        raise SystemExit("rows from memory are not those of a build: " + "; ".join(found))
    return len(told) * len(held.features)


def differences(built: Path, mine: Path) -> list[str]:
    """The features that two files do not agree in, to the bit."""
    one, other = pd.read_parquet(built), pd.read_parquet(mine)
    key = ["account_id", "as_of"]
    one, other = (f.sort_values(key, ignore_index=True) for f in (one, other))
    return [name for name in one if not one[name].equals(other[name])]


def _world(events: int, said: dict[str, Any]) -> str:
    return (
        f"{said['accounts']:,} accounts, {events:,} events, simulated; {said['cells']:,} cells "
        "compared with those of a build, to the bit."
    )


def _table(said: dict[str, Any]) -> str:
    (p50, p99), (wall50, wall99) = said["each"]
    night = [a + b for a, b in zip(said["night"], said["rows"], strict=True)]
    cold = [a + b for a, b in zip(said["start"], said["first"], strict=True)]
    lines = [
        ("one account's row from memory, median", _micro(p50), _micro(wall50), ""),
        ("the same, 99th percentile", _micro(p99), _micro(wall99), "< 1 ms"),
        ("the next midnight for all accounts: state and rows", *map(_whole, night), "< 0.5 s"),
        ("of which rows", *map(_whole, said["rows"]), ""),
        ("fresh process: imports, first row, without the state", _whole(cold[0]), "", "< 2 s"),
        ("the state of all accounts from the lake", *map(_whole, said["state"]), ""),
    ]
    head = ["| " + " | ".join(COLUMNS) + " |", "|---|---:|---:|---:|"]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)])


def _micro(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs"


def _whole(seconds: float) -> str:
    return f"{seconds:,.2f} s"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resident", description=__doc__)
    add: Any = parser.add_argument
    add("--events", type=lambda text: int(float(text)), default=2_000_000, help="how many events")
    add("--accounts", type=int, default=20_000, help="how many accounts")
    add("--folder", type=Path, default=FOLDER, help="where the world is made")
    add("--write", action="store_true", help="put the table into benchmarks/README.md")
    return parser


if __name__ == "__main__":
    main()
