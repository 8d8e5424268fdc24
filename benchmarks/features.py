"""What features cost: `python -m benchmarks.features --events 1e6,1e7` prints the table.

Generates each world (simulated, seeded), checks that the pandas peer and the pipeline agree cell by
cell, then measures every step in a process of its own. `benchmarks/README.md` says what each line
means.
"""

import argparse
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import picture, report
from benchmarks.measure import Measured, in_child
from benchmarks.report import Run
from benchmarks.size import Size

Runner = Callable[..., Measured]
FOLDER = Path("workspace/benchmarks")
GROUPS = ("floor", "job", "limits", "nightly", "peers")
PEERS = {report.PLAIN: False, report.TUNED: True}


def main(arguments: list[str] | None = None, run: Runner = in_child) -> None:
    """Check on a small world, measure each size, print the table; `run` does one step."""
    chosen = _parser().parse_args(arguments)
    folder = chosen.folder.resolve()
    print("Simulated data: a made-up company, drawn from a seed.", flush=True)
    if chosen.check_events:
        check_small(folder, chosen.check_events, chosen.check_dates, run)
    sizes = [Size(n, chosen.accounts or max(n // 500, 20)) for n in chosen.events]
    runs = [measure_size(folder, size, chosen, run) for size in sizes]
    found = [report.machine(), report.table(runs), report.notes(runs), report.growth(runs)]
    text = "\n\n".join(part for part in found if part)
    print(f"\n{text}", flush=True)
    if len(runs) > 1:
        picture.growth(runs, chosen.plot)
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
    made = run("whole", root=root, size=asdict(size), name="whole").said["root"]
    for tuned in PEERS.values():
        peer = _peer(root, size, dates, run, tuned=tuned)
        _agree(run, "the pipeline and the pandas peer", made, peer.said["out"])
    by_sql = run("whole", root=root, size=asdict(size), name="sql", engine="duckdb").said["root"]
    _agree(run, "the kernel and the SQL", made, by_sql)
    run("ingest", root=made)
    kept = run("again", root=made, size=asdict(size)).said["kept"]
    full = run("whole", root=made, size=asdict(size), name="full", tonight=True)
    _agree(run, f"the nightly build, {kept:,} rows kept, and a full one", made, full.said["root"])
    print(f"checked on {held:,} events", flush=True)


@dataclass
class Bench:
    """One world and the steps measured on it so far."""

    root: str
    size: Size
    run: Runner
    steps: dict[str, Measured] = field(default_factory=dict)

    def step(self, line: str, what: str, /, **arguments: Any) -> Measured:
        """Measure a step and keep it under its line of the table."""
        self.steps[line] = self.run(what, **arguments)
        print(f"  {line}: {self.steps[line].cpu:.1f} CPU s", flush=True)
        return self.steps[line]

    def floor(self) -> None:
        """The physical limit."""
        for query, line in report.FLOOR.items():
            self.step(line, "scan", root=self.root, query=query)

    def job(self) -> None:
        """The rollups, and the whole job."""
        sized = {"root": self.root, "size": asdict(self.size)}
        self.step("rollups", "rollups", root=self.root)
        self.step(report.WHOLE, "whole", **sized, name="whole")
        by_sql = self.step(report.BY_SQL, "whole", **sized, name="sql", engine="duckdb")
        _agree(self.run, "the kernel and the SQL", self.made, by_sql.said["root"])

    def limits(self, memory: str) -> None:
        """The whole job within limits."""
        sized = {"root": self.root, "size": asdict(self.size)}
        line = f"{report.WHOLE}, memory = {memory}"
        self.step(line, "whole", **sized, name="tight", memory=memory)

    def nightly(self) -> None:
        """One more day, where the whole job was done."""
        sized = {"root": self.made, "size": asdict(self.size)}
        self.step("nightly: ingest a day", "ingest", root=self.made)
        self.step("nightly: build again", "again", **sized)
        self.step("nightly: features to score", "scoring", **sized)

    def peers(self, dates: int) -> None:
        """The same features by pandas; what they computed is compared once more."""
        for line, tuned in PEERS.items():
            peer = _peer(self.root, self.size, dates, self.run, tuned=tuned)
            _agree(self.run, "the pipeline and the pandas peer", self.made, peer.said["out"])
            self.steps[line] = extrapolated(peer)

    @property
    def made(self) -> str:
        """The workspace in which the whole job was done."""
        return str(self.steps[report.WHOLE].said["root"])


def measure_size(folder: Path, size: Size, chosen: argparse.Namespace, run: Runner) -> Run:
    """Measure the chosen groups of steps on one world."""
    root, held = _world(folder, size, run)
    print(f"{held:,} events, {size.accounts:,} accounts", flush=True)
    bench = Bench(root, size, run)
    groups: dict[str, Callable[[], None]] = {
        "floor": bench.floor,
        "job": bench.job,
        "limits": partial(bench.limits, chosen.memory),
        "nightly": bench.nightly,
        "peers": partial(bench.peers, chosen.dates),
    }
    for group in (g for g in GROUPS if g in chosen.steps):
        groups[group]()
    return Run(held, bench.steps)


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
    made = run("generate", root=root, size=asdict(size))
    return root, made.said["stored"]


def _peer(root: str, size: Size, dates: int, run: Runner, *, tuned: bool) -> Measured:
    out = f"{root}-peer-{'tuned' if tuned else 'plain'}.parquet"
    return run("pandas", root=root, size=asdict(size), dates=dates, out=out, tuned=tuned)


def _agree(run: Runner, what: str, ours: str, theirs: str) -> None:
    """Raise SystemExit when the feature table of workspace `ours` and `theirs` differ."""
    found = run("compare", ours=ours, theirs=theirs).said
    if found["differing"]:
        cells = "\n  ".join(found["differing"])
        raise SystemExit(f"{what} do not agree, so nothing is told of their speed:\n  {cells}")
    print(f"  {what} agree: {found['rows']:,} rows × {found['columns']} columns", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    add = parser.add_argument
    add("--events", type=_sizes, default=_sizes("1e6,1e7"), help="sizes, such as 1e6,1e7,1e8")
    add("--steps", type=_groups, default=GROUPS, help=f"which of {', '.join(GROUPS)}")
    add("--accounts", type=int, help="accounts of every size (default: one for 500 events)")
    add("--dates", type=int, default=3, help="dates that pandas computes (of 52)")
    add("--memory", default="1GB", help="engine.memory of the run within limits")
    add("--check-events", type=int, default=20_000, help="size of the world checked first; 0: none")
    add("--check-dates", type=int, default=6, help="dates on which it is checked")
    add("--folder", type=Path, default=FOLDER, help="where the worlds are made")
    add("--keep", action="store_true", help="keep the worlds for the next run")
    add("--plot", type=Path, default=picture.PLOT, help="where the growth is drawn")
    add("--write", action="store_true", help="put the table into benchmarks/README.md")
    return parser


def _groups(text: str) -> tuple[str, ...]:
    found = tuple(text.split(","))
    if strange := set(found) - set(GROUPS):
        raise argparse.ArgumentTypeError(f"{strange.pop()!r} is none of {', '.join(GROUPS)}")
    if "job" not in found and {"nightly", "peers"} & set(found):
        raise argparse.ArgumentTypeError("nightly and peers need job, whose result they use")
    return found


def _sizes(text: str) -> list[int]:
    return sorted(int(float(part)) for part in text.split(","))


if __name__ == "__main__":
    main()
