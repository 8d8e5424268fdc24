"""What one step costs: run in a process of its own, its CPU seconds and its peak memory."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

THREADS = 2
MARK = "measured: "


@dataclass(frozen=True)
class Measured:
    """One step: CPU and wall seconds of its work, and its process's largest memory in MB.

    Python's start and the imports are in the memory, not in the seconds.
    """

    cpu: float
    wall: float
    peak: float
    said: dict[str, Any] = field(default_factory=dict)


def in_child(step: str, /, **arguments: Any) -> Measured:
    """Run a step of `benchmarks.steps` in a new process with its threads set.

    Raises SystemExit with the end of what the child said when it fails.
    """
    command = [sys.executable, "-m", "benchmarks.steps", step, json.dumps(arguments)]
    threads = str(THREADS)
    set_to = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads,
              "OPENBLAS_NUM_THREADS": threads}  # fmt: skip
    root = str(Path(__file__).parent.parent)
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    environment = os.environ | set_to | {"PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603
    lines = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode or not lines:
        raise SystemExit(f"step '{step}' failed:\n{done.stderr[-4000:]}")
    return Measured(**json.loads(lines[-1].removeprefix(MARK)))


def measured(work: Callable[[], dict[str, Any]]) -> Measured:
    """Do the work once and say what it took; `repeats` among what it says divides the seconds."""
    before, started = _cpu_seconds(), time.perf_counter()
    said = work()
    wall, cpu = time.perf_counter() - started, _cpu_seconds() - before
    times = said.pop("repeats", 1)
    return Measured(cpu / times, wall / times, _peak_megabytes(), said)


def _cpu_seconds() -> float:
    """User and system seconds of this process and of the children it waited for."""
    usages = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


def _peak_megabytes() -> float:
    """The largest resident memory so far; where Linux says it, without that of our parent."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    else:
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return max(own, children)
