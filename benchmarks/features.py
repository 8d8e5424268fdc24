"""What features cost: `python -m benchmarks.features --events 1e6,1e7` prints the table.

Generates each world (simulated, seeded), checks that the pandas peer and the pipeline agree cell by
cell, then measures every step in a process of its own. `benchmarks/README.md` says what each line
means.
"""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.measure import Measured, in_child
from benchmarks.report import Run
from benchmarks.size import Size

Runner = Callable[..., Measured]
FOLDER = Path("workspace/benchmarks")
GROUPED = ("by account, day", "by account, day, event")
PEERS = {report.PLAIN: False, report.TUNED: True}


def main(arguments: list[str] | None = None, run: Runner = in_child) -> None:
    """Check on a small world, measure each size, print the table; `run` does one step."""
    chosen = _parser().parse_args(arguments)
    folder = chosen.folder.resolve()
    print("Simulated data: a made-up company, drawn from a seed.", flush=True)
    if chosen.check_events:
        check_small(folder, chosen.check_events, chosen.check_dates, run)
    sizes = [Size(n, chosen.accounts or max(n // 500, 20)) for n in chosen.events]
    runs = [measure_size(folder, size, chosen.dates, chosen.memory, run) for size in sizes]
    found = [report.machine(), report.table(runs), report.notes(runs), report.growth(runs)]
    text = "\n\n".join(part for part in found if part)
    print(f"\n{text}", flush=True)
    if chosen.write:
        report.write(text)
    if not chosen.keep:
        shutil.rmtree(folder)


def check_small(folder: Path, events: int, dates: int, run: Runner) -> None:
    """Compare both peers, and the nightly build with a full one, before anything is timed.

    Raises SystemExit with the cells that differ.
    """
    size = Size(events, accounts=max(events // 330, 20))
    root, held = _world(folder, size, run)
    made = in_child("whole", root=root, size=asdict(size), name="whole").said["root"]
    for tuned in PEERS.values():
        peer = _peer(root, size, dates, run, tuned=tuned)
        _agree(run, "the pipeline and the pandas peer", made, peer.said["out"])
    tonight = in_child("ingest", root=made).said["root"]
    run("again", root=tonight, size=asdict(size))
    full = in_child("whole", root=tonight, size=asdict(size), name="full", tonight=True)
    _agree(run, "the nightly build and a full one", tonight, _table(full.said["root"]))
    print(f"checked on {held:,} events", flush=True)


def measure_size(folder: Path, size: Size, dates: int, memory: str, run: Runner) -> Run:
    """Measure every step on one world; what the peers computed is compared once more."""
    root, held = _world(folder, size, run)
    steps: dict[str, Measured] = {}

    def step(line: str, what: str, /, **arguments: Any) -> Measured:
        steps[line] = run(what, **arguments)
        print(f"  {line}: {steps[line].cpu:.1f} CPU s", flush=True)
        return steps[line]

    sized = {"size": asdict(size)}
    print(f"{held:,} events, {size.accounts:,} accounts", flush=True)
    for name, query in {report.SCAN: "scan", **{f"group {q}": q for q in GROUPED}}.items():
        step(name, "scan", root=root, query=query)
    step("rollups", "rollups", root=root)
    made = step("whole job", "whole", root=root, **sized, name="whole").said["root"]
    step(f"whole job, memory = {memory}", "whole", root=root, **sized, name="tight", memory=memory)
    tonight = step("nightly: ingest a day", "ingest", root=made).said["root"]
    step("nightly: build again", "again", root=tonight, **sized)
    step("nightly: features to score", "scoring", root=tonight, **sized)
    for name, tuned in PEERS.items():
        steps[name] = extrapolated(peer := _peer(root, size, dates, run, tuned=tuned))
        _agree(run, "the pipeline and the pandas peer", made, peer.said["out"])
    return Run(held, steps)


def extrapolated(peer: Measured) -> Measured:
    """A peer's figures for all dates, from those of the few that it computed."""
    (once, once_wall), (cpu, wall) = peer.said["once"], peer.said["a_date"]
    of = peer.said["of"]
    rows = round(peer.said["rows"] / peer.said["dates"] * of)
    said = peer.said | {"rows": rows}
    return replace(peer, cpu=once + of * cpu, wall=once_wall + of * wall, said=said)


def _world(folder: Path, size: Size, run: Runner) -> tuple[str, int]:
    """Generate a world unless it is there; its folder and how many events it holds."""
    root = str(folder / f"{size.events}-{size.accounts}")
    made = in_child("generate", root=root, size=asdict(size))
    return root, made.said["stored"]


def _peer(root: str, size: Size, dates: int, run: Runner, *, tuned: bool) -> Measured:
    out = f"{root}-peer-{'tuned' if tuned else 'plain'}.parquet"
    return run("pandas", root=root, size=asdict(size), dates=dates, out=out, tuned=tuned)


def _agree(run: Runner, what: str, ours: str, theirs: str) -> None:
    """Raise SystemExit when the feature table of workspace `ours` and the file `theirs` differ."""
    found = in_child("compare", ours=_table(ours), theirs=theirs).said
    if found["differing"]:
        cells = "\n  ".join(found["differing"])
        raise SystemExit(f"{what} do not agree, so nothing is told of their speed:\n  {cells}")
    print(f"  {what} agree: {found['rows']:,} rows × {found['columns']} columns", flush=True)


def _table(root: str) -> str:
    return str(Path(root) / "features" / "features.parquet")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    add = parser.add_argument
    add("--events", type=_sizes, default=_sizes("1e6,1e7"), help="sizes, such as 1e6,1e7,1e8")
    add("--accounts", type=int, help="accounts of every size (default: one for 500 events)")
    add("--dates", type=int, default=3, help="dates that pandas computes (of 52)")
    add("--memory", default="1GB", help="engine.memory of the run within limits")
    add("--check-events", type=int, default=20_000, help="size of the world checked first; 0: none")
    add("--check-dates", type=int, default=6, help="dates on which it is checked")
    add("--folder", type=Path, default=FOLDER, help="where the worlds are made")
    add("--keep", action="store_true", help="keep the worlds for the next run")
    add("--write", action="store_true", help="put the table into benchmarks/README.md")
    return parser


def _sizes(text: str) -> list[int]:
    return sorted(int(float(part)) for part in text.split(","))


if __name__ == "__main__":
    main()
