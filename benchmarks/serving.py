"""What a score with its reasons costs over HTTP: `python -m benchmarks.serving` prints the tables.

Ours beside the same model behind bare FastAPI, beside MLflow's own server, and beside the model
called in process. `benchmarks/README.md` says what each line means. All data are simulated.
"""

import argparse
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import report
from benchmarks.serving_load import Heard, Target, closed, opened
from benchmarks.serving_servers import (
    BARE,
    COLD,
    MLFLOW,
    OURS,
    Server,
    accounts,
    bare,
    cold,
    filled,
    load,
    mlflow,
    ours,
)
from benchmarks.serving_world import FEATURES, SHAPE, TREES, make
from features.workspace import Workspace
from serving.scoring.accounts import current_snapshot, load_snapshot
from serving.scoring.scorer import bind

FOLDER = Path("workspace/benchmarks/serving")
MARKS = ("<!-- serving: begin -->", "<!-- serving: end -->")
PACKAGES = ("bentoml", "fastapi", "starlette", "uvicorn", "lightgbm", "mlflow", "numpy")
COLUMNS = ("server", "workers", "load", "p50 ms", "p95 ms", "p99 ms", "requests/s",
           "CPU ms/request", "÷ in process", "MB/worker", "errors")  # fmt: skip
BATCH = 1_000
ONE, EIGHT = "closed, 1 client", "closed, 8 clients"
CLOSED = {ONE: 1, EIGHT: 8}
AIMS = ((BARE, "≥ 0.9"), (MLFLOW, "≥ 20"))
SERVERS: dict[str, Callable[[Workspace, int], AbstractContextManager[Server]]] = {
    "ours": ours, "cold": cold, "bare": bare, "mlflow": mlflow,
}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One server under one load."""

    server: str
    workers: int
    load: str
    heard: Heard
    cpu: float
    megabytes: float

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of the server's processes for one good answer."""
        return 1e3 * self.cpu / max(1, len(self.heard.seconds))


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the company, measure everybody, print the tables."""
    chosen = _parser().parse_args(arguments)
    if chosen.quick:
        chosen.seconds, chosen.accounts, chosen.rate, chosen.rounds = 1.0, 120, 20.0, 1
    folder = chosen.folder.resolve()
    print("Simulated data: a made-up company, drawn from a seed.", flush=True)
    workspace = make(folder, chosen.accounts)
    alone = []
    rounds: list[list[Line]] = []
    for _ in range(chosen.rounds):
        alone.append(in_process(workspace, chosen.seconds))
        rounds.append([])
        for name in chosen.servers:
            for workers in chosen.workers:
                with SERVERS[name](workspace, workers) as server:
                    rounds[-1] += measured(server, chosen, workspace)
    within = float(np.median(alone))
    lines = [median(same) for same in zip(*rounds, strict=True)]
    if chosen.minutes:
        with ours(workspace, 2) as server:
            long = partial(opened, rate=chosen.rate, seconds=60 * chosen.minutes)
            lines.append(_line(server, _open_name(chosen.rate, f"{chosen.minutes:g} min"), long))
    text = "\n\n".join([report.machine(PACKAGES, 1), _shape(workspace, chosen.rounds),
                        table(lines, within), ratios(lines, within), NOTE])  # fmt: skip
    print(f"\n{text}", flush=True)
    if chosen.write:
        report.write(text, MARKS)
    if not chosen.keep:
        shutil.rmtree(folder)


def median(rounds: Sequence[Line]) -> Line:
    """Of one line in several rounds the one whose CPU lies in the middle."""
    return sorted(rounds, key=lambda line: line.cpu_ms)[len(rounds) // 2]


def in_process(workspace: Workspace, seconds: float) -> float:
    """CPU milliseconds of the contributions of one row, called without any server."""
    model, rng = load(workspace), np.random.default_rng(3)
    rows = rng.gamma(0.7, 30, (256, len(model.features))).astype(np.float32)
    model.contributions(rows[:1])
    count, began, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds:
        model.contributions(rows[count % 256 : count % 256 + 1])
        count += 1
    found = 1e3 * (time.process_time() - cpu) / count
    print(f"  in process: {found:.3f} CPU ms", flush=True)
    return found


def measured(server: Server, chosen: argparse.Namespace, workspace: Workspace) -> list[Line]:
    """One server under every load; a first second of each server is not counted."""
    agree(server, workspace)
    closed(server.target, 4, min(2.0, chosen.seconds))
    seconds = chosen.seconds
    lines = [
        _line(
            server,
            f"closed, {n} client{'s' * (n > 1)}",
            partial(closed, at_once=n, seconds=seconds),
        )
        for n in (1, 8)
    ]
    if server.name != MLFLOW:
        lines.append(_line(server, _open_name(chosen.rate, f"{seconds:g} s"),
                           partial(opened, rate=chosen.rate, seconds=seconds)))  # fmt: skip
        ids = (accounts(workspace) * BATCH)[:BATCH]
        for reasons in (True, False):
            batch = replace(server.target, bodies=[{"accounts": ids, "reasons": reasons}])
            name = f"{BATCH:,} accounts, {'with' if reasons else 'no'} reasons"
            lines.append(_line(replace(server, target=batch), name,
                               partial(closed, at_once=1, seconds=seconds)))  # fmt: skip
    return lines


def agree(server: Server, workspace: Workspace) -> None:
    """SystemExit when what the server tells of the first account is not what the model says."""
    model = load(workspace)
    if server.name == MLFLOW:
        expected = float(model.predict(filled(workspace)[:1])[0])
    else:
        snapshot = load_snapshot(current_snapshot(workspace))
        row = snapshot.table.row_of[accounts(workspace)[0]]
        expected = float(bind(model, snapshot).scores([row]).chances[0])
    told = asked(server.target)
    # MLflow's is the booster's own sigmoid: the last digit may differ.
    if f"{expected:.14f}"[:-2] not in told:
        raise SystemExit(f"{server.name} does not say {expected}:\n{told[:2000]}")


def asked(target: Target) -> str:
    """The answer to the first request."""
    body = json.dumps(target.bodies[0]).encode()
    headers = {"content-type": "application/json", **target.headers}
    request = urllib.request.Request(target.url, body, headers)  # noqa: S310 - our own server
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=60) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"


def _line(server: Server, name: str, loop: Callable[[Target], Heard]) -> Line:
    before = server.cpu()
    heard = loop(server.target)
    spent = {pid: seconds - before.get(pid, 0.0) for pid, seconds in server.cpu().items()}
    busiest = sorted(spent, key=spent.__getitem__)[-server.workers :]
    line = Line(server.name, server.workers, name, heard, sum(spent.values()),
                server.megabytes(busiest))  # fmt: skip
    told = f"{line.cpu_ms:.2f} CPU ms, {heard.rate:.0f}/s, {len(heard.errors)} errors"
    print(f"  {server.name} × {server.workers}, {name}: {told}", *heard.errors[:1], flush=True)
    return line


def table(lines: list[Line], within: float) -> str:
    """All lines as a Markdown table."""
    rows = ["| " + " | ".join(COLUMNS) + " |", "|---|---:|---|" + "---:|" * (len(COLUMNS) - 3)]
    for line in lines:
        times = [f"{1e3 * line.heard.quantile(share):,.1f}" for share in (0.5, 0.95, 0.99)]
        cells = [line.server, str(line.workers), line.load, *times, f"{line.heard.rate:,.1f}",
                 f"{line.cpu_ms:,.2f}", f"{line.cpu_ms / within:,.2f}", f"{line.megabytes:,.0f}",
                 str(len(line.heard.errors))]  # fmt: skip
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def ratios(lines: list[Line], within: float) -> str:
    """What was aimed at, and what was reached."""
    found = [f"In process, one row's contributions take {within:.3f} CPU ms."]
    for workers in sorted({line.workers for line in lines}):
        at_work = {
            line.server: line for line in lines if (line.workers, line.load) == (workers, EIGHT)
        }
        for mine in [at_work[name] for name in (OURS, COLD) if name in at_work]:
            said = [f"{mine.cpu_ms / within:.2f} × the CPU of the contributions alone (aim: ≤ 2)"]
            said += [
                _beside(mine, at_work[r], aim)
                for r, aim in AIMS
                if r in at_work and at_work[r].heard.rate
            ]
            who = f"{mine.server}, {workers} worker{'s' * (workers > 1)}, 8 clients"
            found.append(f"{who}: {'; '.join(said)}.")
    return "\n".join(found)


def _beside(mine: Line, rival: Line, aim: str) -> str:
    """One server's figures as multiples of another's."""
    times, cpu = mine.heard.rate / rival.heard.rate, mine.cpu_ms / rival.cpu_ms
    name = rival.server.removesuffix(" *")
    return f"{times:.2f} × the requests/s of {name} (aim: {aim}) at {cpu:.2f} × its CPU"


NOTE = """\\* MLflow's server is sent the account's features and tells its probability, no reasons.
The others are sent its id and tell its score with five reasons in words."""


def _shape(workspace: Workspace, rounds: int) -> str:
    return (
        f"One model of {TREES} trees of at most {SHAPE['num_leaves']} leaves, depth "
        f"{SHAPE['max_depth']}, {FEATURES} features; {len(accounts(workspace)):,} accounts asked "
        "about in turn. One thread a worker. The load generator ran on the same machine. "
        f"Rounds: {rounds}; of each line the middle one."
    )


def _open_name(rate: float, how_long: str) -> str:
    return f"open, {rate:g}/s, {how_long}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    add = parser.add_argument
    add("--servers", type=_servers, default=tuple(SERVERS), help=f"which of {', '.join(SERVERS)}")
    add("--workers", type=_numbers, default=(1, 2), help="numbers of workers")
    add("--seconds", type=float, default=20.0, help="how long each load lasts")
    add("--rounds", type=int, default=3, help="how often all are measured, one after the other")
    add("--rate", type=float, default=100.0, help="requests a second of the open loop")
    add("--minutes", type=float, default=0.0, help="an open loop of so long on two workers of ours")
    add("--accounts", type=int, default=2_000, help="accounts of the company")
    add("--quick", action="store_true", help="a second each, on a small company")
    add("--folder", type=Path, default=FOLDER, help="where the company is made")
    add("--keep", action="store_true", help="keep the company for the next run")
    add("--write", action="store_true", help="put the tables into benchmarks/README.md")
    return parser


def _servers(text: str) -> tuple[str, ...]:
    found = tuple(text.split(","))
    if strange := set(found) - set(SERVERS):
        raise argparse.ArgumentTypeError(f"{strange.pop()!r} is none of {', '.join(SERVERS)}")
    return found


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    main()
