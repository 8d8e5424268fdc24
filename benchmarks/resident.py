"""What a row from memory costs: `python -m benchmarks.resident` (two or three CPU minutes).

A company of 20,000 accounts is simulated and rolled up; then a fresh process holds the state of all
accounts, computes the rows of one account after the other, and moves on from midnight to midnight,
a week long. The
rows of the first midnight and of the last are compared with those of a build.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.features import FOLDER
from benchmarks.measure import in_child
from benchmarks.size import Size

MARKS = ("<!-- resident: begin -->", "<!-- resident: end -->")
COLUMNS = ("what", "CPU", "on the clock", "aim")


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print or write the table."""
    chosen = _parser().parse_args(arguments)
    size = Size(chosen.events, chosen.accounts)
    told = {"root": str(chosen.folder.resolve() / f"{size.events}-{size.accounts}"),
            "size": asdict(size)}  # fmt: skip
    events = in_child("generate", **told).said["stored"]
    root = in_child("rollups", root=told["root"]).said["root"]
    said = in_child("resident", root=root, size=told["size"]).said
    said["cold"] = in_child("cold", root=root, size=told["size"]).said
    text = "\n\n".join([report.machine(), _world(events, said), _table(said)])
    print(text)
    if chosen.write:
        report.write(text, MARKS)


def _world(events: int, said: dict[str, Any]) -> str:
    return (
        f"{said['accounts']:,} accounts, {events:,} events, simulated; {said['cells']:,} cells "
        "compared with those of a build, to the bit."
    )


def _table(said: dict[str, Any]) -> str:
    (p50, p99), (wall50, wall99) = said["each"]
    cold = said["cold"]["imports"] + said["cold"]["first"][0]
    lines = [
        ("one account's row from memory, median", _micro(p50), _micro(wall50), ""),
        ("the same, 99th percentile", _micro(p99), _micro(wall99), "< 1 ms"),
        ("the next midnight for all accounts: state and rows", *_nights(said["nights"]), "< 0.5 s"),
        ("of which the facts", *_nights(said["facts"]), ""),
        ("the next midnight, ready for any account's row", *_nights(said["ready"]), ""),
        ("the same after a day's ingest: rollups, state, rows", *map(_whole, said["ingested"]), ""),
        ("the rows of all accounts once more", *map(_whole, said["rows"]), ""),
        ("fresh process: imports, first row, without the state", _whole(cold), "", "< 2 s"),
        ("the state of all accounts from the lake", *map(_whole, said["state"]), ""),
    ]
    head = ["| " + " | ".join(COLUMNS) + " |", "|---|---:|---:|---:|"]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in lines)])


def _nights(took: list[tuple[float, float]]) -> list[str]:
    """The median of some nights, by both clocks."""
    return [_whole(sorted(side)[len(side) // 2]) for side in zip(*took, strict=True)]


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
