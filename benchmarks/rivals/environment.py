"""A throw-away environment for each rival, so that none changes what Goldpan runs on.

Packages come by name from whatever index the machine's pip is set up with.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MADE = "made-of.txt"
PATIENCE_SECONDS = 900.0
LOCATION = re.compile(r"\b\w+://\S+|(?<!\w)/\S+")


class UnavailableError(Exception):
    """A rival that cannot be had here, with the reason in one line."""


@dataclass(frozen=True)
class Rival:
    """A learner of others: its module in `benchmarks.rivals`, and what it needs installed.

    Without `requirements` it runs in our own environment.
    """

    name: str
    module: str
    requirements: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()

    def run(self, cache: Path, *arguments: str, threads: int, limit: float) -> None:
        """Run the module with these arguments; `limit` is when its patience ends, in seconds.

        Raises UnavailableError with the reason when it cannot be installed, fails, or runs over.
        """
        python = environment(cache, self.module, self.requirements)
        command = [str(python), "-m", f"benchmarks.rivals.{self.module}", *arguments]
        said = _call([*command, *self.arguments], limit, _surroundings(threads))
        if said is not None:
            raise UnavailableError(f"it failed: {said}")


def environment(cache: Path, name: str, requirements: tuple[str, ...]) -> Path:
    """The Python of an environment under `cache` that holds the requirements; made if need be."""
    if not requirements:
        return Path(sys.executable)
    folder = cache / name
    python, note = folder / "bin" / "python", folder / MADE
    wanted = "\n".join(requirements)
    if note.is_file() and note.read_text(encoding="utf-8") == wanted:
        return python
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], [*pip, *requirements]):
        if (said := _call(command, PATIENCE_SECONDS, dict(os.environ))) is not None:
            raise UnavailableError(f"it cannot be installed: {said}")
    note.write_text(wanted, encoding="utf-8")
    return python


def _surroundings(threads: int) -> dict[str, str]:
    """The process's environment: our folder, and so many threads wherever they are asked for."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    return os.environ | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": str(ROOT)}


def _call(command: list[str], limit: float, surroundings: dict[str, str]) -> str | None:
    """None when a command went well, else why not; without addresses and paths."""
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=ROOT, env=surroundings, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return f"not done within {limit:.0f} s"
    if not done.returncode:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("ERROR")] or lines or ["no reason was given"]
    return LOCATION.sub("…", told[-1])[:200]
