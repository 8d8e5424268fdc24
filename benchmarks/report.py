"""The measured steps as a table, on paper and in `benchmarks/README.md`."""

import datetime as dt
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import THREADS, Measured

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
PACKAGES = ("duckdb", "ibis-framework", "pandas", "numpy", "pyarrow", "deltalake")
COLUMNS = ("events", "step", "CPU s", "wall s", "peak MB", "× scan", "pandas ÷ it",
           "tuned ÷ it", "rows/s")  # fmt: skip
WHOLE, SCAN, PLAIN, TUNED = "whole job", "scan, 4 columns", "pandas, plain *", "pandas, tuned *"
BY_SQL = f"{WHOLE}, SQL"


FLOOR = {
    "scan": SCAN,
    "by account, day": "group by account, day",
    "by account, day, event": "group by account, day, event",
}
"""The queries of `benchmarks.floor` and their lines."""


@dataclass(frozen=True)
class Run:
    """The steps of one size in the order of the table; `events` is how many the lake held."""

    events: int
    steps: dict[str, Measured]


def table(runs: list[Run]) -> str:
    """All runs as a Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---:|---|" + "---:|" * (len(COLUMNS) - 2)]
    for run in runs:
        lines += [_line(run, name, step) for name, step in run.steps.items()]
    return "\n".join(lines)


def growth(runs: list[Run]) -> str:
    """For each step, the slope of log CPU seconds over log events, smallest to largest run."""
    if len(runs) < 2:
        return ""
    first, last = runs[0], runs[-1]
    lines = [
        f"Growth from {first.events:,} to {last.events:,} events: CPU seconds go with "
        "events^exponent.", "", "| step | exponent |", "|---|---:|",
    ]  # fmt: skip
    for name in first.steps:
        if name in last.steps and first.steps[name].cpu > 0:
            slope = math.log(last.steps[name].cpu / first.steps[name].cpu)
            lines.append(f"| {name} | {slope / math.log(last.events / first.events):.2f} |")
    return "\n".join(lines)


def notes(runs: list[Run]) -> str:
    """What the starred lines leave out."""
    if TUNED not in runs[-1].steps:
        return ""
    said, ours = runs[-1].steps[TUNED].said, runs[-1].steps[WHOLE].said
    return (
        f"\\* Extrapolated: measured on {said['dates']} of {said['of']} dates; reading (and, when "
        f"tuned, sorting) the events counted once. Pandas computes {said['features']} of the "
        f"{said['declared']} features; the whole job computes all {ours['features']}. Where both "
        "compute a feature, they agree on every cell compared."
    )


def machine(names: Sequence[str] = PACKAGES, threads: int = THREADS) -> str:
    """The machine and the packages' versions, without its name."""
    at_once = f"{threads} thread" + "s" * (threads > 1)
    packages = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}. {_processor()}, {os.cpu_count()} cores, "
        f"{_memory_gigabytes():.0f} GB; {at_once}. {platform.system()}, "
        f"Python {platform.python_version()}, {packages}."
    )


def write(text: str, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Put `text` between these marks of `benchmarks/README.md`."""
    begin, end = marks
    held = README.read_text(encoding="utf-8")
    before, _, rest = held.partition(begin)
    after = rest.partition(end)[2]
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _line(run: Run, name: str, step: Measured) -> str:
    rows = step.said.get("rows")
    job = step if name.startswith(WHOLE) else None
    cells = (
        f"{run.events:,}", name, _short(step.cpu), _short(step.wall), f"{step.peak:,.0f}",
        _over(step, run.steps.get(SCAN)), _over(run.steps.get(PLAIN), job),
        _over(run.steps.get(TUNED), job),
        f"{rows / step.wall:,.0f}" if rows and step.wall else "",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _over(above: Measured | None, below: Measured | None) -> str:
    return _short(above.cpu / below.cpu) if above and below and below.cpu > 0 else ""


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gigabytes() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
