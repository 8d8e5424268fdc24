"""Ours beside featuretools: `python -m benchmarks.deep --events 1e6`.

The features that featuretools can say: how many events, users and different events in windows of
days. It runs in an environment of its own; every cell is compared before anything is told.
"""

import argparse
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from benchmarks import report
from benchmarks.compare import ABSOLUTE, RELATIVE
from benchmarks.features import FOLDER, _sizes
from benchmarks.job import WEEKS, midnights, observations, settings_for
from benchmarks.measure import THREADS, Measured, in_child
from benchmarks.quality_flags import CACHE, ELSEWHERE
from benchmarks.quality_raw import DEEP
from benchmarks.rivals.environment import ROOT, environment
from benchmarks.size import Size
from features import lake
from features.algebra import Distinct, Sum
from features.catalog import catalogue
from features.rollups.daily import measure_events
from features.settings import Settings
from features.workspace import Workspace

MARKS = ("<!-- featuretools: begin -->", "<!-- featuretools: end -->")
OF = {"user": "user_id", "feature": "event", "core": "event", "golden": "event"}
COLUMNS = ("events", "step", "CPU s", "wall s", "rows", "featuretools ÷ it")


@dataclass(frozen=True)
class Wanted:
    """A feature as featuretools is asked for it: see `benchmarks.rivals.deep_counts`."""

    name: str
    days: int
    which: str
    of: str


def main() -> None:
    """Measure each size and print, or write, the table."""
    chosen = _parser().parse_args()
    python = environment(chosen.rivals_folder, DEEP.module, DEEP.requirements)
    lines = [line for n in chosen.events for line in measured(chosen, python, Size(n, n // 500))]
    text = "\n\n".join([report.machine(), _table(lines), _notes(chosen.dates)])
    print(text)
    if chosen.write:
        report.write(text, MARKS)


def measured(chosen: argparse.Namespace, python: Path, size: Size) -> Iterator[tuple[str, ...]]:
    """The lines of one size."""
    root = chosen.folder.resolve() / f"{size.events}-{size.accounts}"
    told = {"root": str(root), "size": asdict(size)}
    stored = in_child("generate", **told).said["stored"]
    settings = settings_for(THREADS, "4GB")
    wanted = list(wished(settings))
    names = [one.name for one in wanted]
    alone = in_child("chosen", **told, name="counts", names=names)
    whole = in_child("whole", **told, name="whole")
    days = spread(midnights(size), chosen.dates)
    asked = given(Workspace(root), settings, wanted, days, folder := root.with_name("deep"))
    read, dates = run(python, folder)
    check(Path(alone.said["out"]), folder / "out.parquet", names)
    shutil.rmtree(folder)
    rows = whole.said["rows"]
    theirs = [once + rows / asked * some for once, some in zip(read, dates, strict=True)]
    yield _line(stored, f"featuretools, {len(names)} features *", theirs[0], theirs[1], rows, None)
    yield from _ours(stored, {f"whole job, these {len(names)} features": alone,
                              f"whole job, all {whole.said['features']} features": whole},
                     theirs[0])  # fmt: skip


def wished(settings: Settings) -> Iterator[Wanted]:
    """The features of the catalogue that are counts in a window up to now."""
    counted = {"events", *measure_events(settings)}
    for feature in catalogue(settings).features:
        e = feature.expression
        if not isinstance(e, Sum | Distinct) or e.window.back:
            continue
        if isinstance(e, Sum) and e.measure in counted:
            yield Wanted(feature.name, e.window.days, e.measure, "")
        elif isinstance(e, Distinct) and e.key in OF and e.at_least <= 1:
            which = "events" if e.key == "user" else f"of_{e.key}"
            yield Wanted(feature.name, e.window.days, which, OF[e.key])


def marks(settings: Settings) -> dict[str, list[str]]:
    """Each column that marks events → the events that it leaves out (events), or those in it."""
    told = settings.events
    keys = {"of_feature": told.features, "of_core": told.core_use_cases, "of_golden": told.golden}
    return {n: list(v) for n, v in (measure_events(settings) | keys).items()}


def spread(days: list[datetime], count: int) -> list[datetime]:
    """Some of the days, evenly spread: the middle one of each part."""
    return [days[(2 * i + 1) * len(days) // (2 * count)] for i in range(count)]


def given(
    workspace: Workspace, settings: Settings, wanted: list[Wanted], days: list[datetime],
    folder: Path,
) -> int:  # fmt: skip
    """Write what featuretools reads; returns for how many rows it is asked."""
    folder.mkdir(exist_ok=True)
    rows = observations(workspace, days).assign(as_of=lambda r: r["as_of"].astype("datetime64[ns]"))
    rows.to_parquet(folder / "rows.parquet", index=False)
    quiet = [*settings.events.passive, *settings.events.notifications_shown]
    listed = marks(settings)
    tests = {w.which: (listed[w.which], "") if w.which in listed else (quiet, "NOT")
             for w in wanted}  # fmt: skip
    columns = ", ".join(
        f"if(event {no} IN ({', '.join(map(repr, events))}), 'yes', 'no') AS {name}"
        for name, (events, no) in tests.items()
    )
    query = (
        "SELECT account_id, user_id, event, timezone('UTC', event_time) AS event_time, "  # noqa: S608 - our own text
        f"timezone('UTC', known_at) AS known_at, {columns} FROM read_parquet($files)"
    )
    with duckdb.connect(config={"threads": THREADS}) as con:
        con.execute("SET TimeZone = 'UTC'")
        events = con.sql(query, params={"files": lake.table_files(workspace, "events")})
        events.write_parquet(str(folder / "events.parquet"))
    (folder / "wanted.json").write_text(json.dumps([asdict(w) for w in wanted]), encoding="utf-8")
    return len(rows)


def run(python: Path, folder: Path) -> list[list[float]]:
    """CPU and wall seconds: reading, then all dates."""
    module = "benchmarks.rivals.deep_counts"
    command = [str(python), "-m", module, str(folder), str(folder / "out.parquet")]
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("took: ")]
    if done.returncode or not lines:
        raise SystemExit(f"featuretools failed:\n{done.stderr[-3000:]}")
    took: list[list[float]] = json.loads(lines[-1].removeprefix("took: "))
    return took


def check(ours: Path, theirs: Path, names: list[str]) -> None:
    """Compare every cell; raises SystemExit with the features that differ."""
    key = ["account_id", "as_of"]
    other = pd.read_parquet(theirs)
    other["as_of"] = pd.to_datetime(other["as_of"]).dt.date
    both = pd.read_parquet(ours)[[*key, *names]].merge(other, on=key, suffixes=("", "|"))
    if len(both) != len(other):
        raise SystemExit(f"featuretools gave {len(other):,} rows, of which we have {len(both):,}")
    far = {}
    for name in names:
        apart = (both[name] - both[f"{name}|"].fillna(0.0)).abs()
        far[name] = int((apart > ABSOLUTE + RELATIVE * both[name].abs()).sum())
    if any(far.values()):
        raise SystemExit(
            f"not told of speed, since cells differ: { {n: c for n, c in far.items() if c} }"
        )
    print(f"  agrees with featuretools: {len(both):,} rows × {len(names)} features", flush=True)


def _ours(stored: int, steps: dict[str, Measured], theirs: float) -> Iterator[tuple[str, ...]]:
    for name, step in steps.items():
        yield _line(stored, name, step.cpu, step.wall, step.said["rows"], theirs / step.cpu)


def _line(
    events: int, step: str, cpu: float, wall: float, rows: int, times: float | None
) -> tuple[str, ...]:
    ratio = "" if times is None else f"{times:,.0f}"
    return (f"{events:,}", step, f"{cpu:,.1f}", f"{wall:,.1f}", f"{rows:,}", ratio)


def _table(lines: list[tuple[str, ...]]) -> str:
    head = ["| " + " | ".join(COLUMNS) + " |", "|---:|---|" + "---:|" * (len(COLUMNS) - 2)]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)])


def _notes(dates: int) -> str:
    if dates == WEEKS:
        return f"\\* On all {WEEKS} dates. Every cell was compared with ours first."
    return (
        f"\\* Extrapolated: measured on {dates} of {WEEKS} dates and multiplied by all rows; "
        "reading counted once. Every cell of these dates was compared with ours first."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deep", description=__doc__)
    add: Any = parser.add_argument
    add("--events", type=_sizes, default=_sizes("1e6"), help="sizes, such as 1e5,1e6")
    add("--dates", type=int, default=2, help=f"dates that featuretools computes (of {WEEKS})")
    add("--folder", type=Path, default=FOLDER, help="where the worlds are made")
    rivals = Path(os.environ.get(CACHE, ELSEWHERE))
    add("--rivals-folder", type=Path, default=rivals, help="where its environment is made")
    add("--write", action="store_true", help="put the table into benchmarks/README.md")
    return parser


if __name__ == "__main__":
    main()
