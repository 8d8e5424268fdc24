"""A bundle is loaded first in a process of its own: whatever happens there, serving goes on.

A sha256 says that a model's text is the one that was sealed, not that it is sound: LightGBM
crashes or hangs on half of the texts in which a few bytes were changed.
"""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from features.errors import GoldpanError, InputError
from features.workspace import Workspace
from serving.lean import without
from serving.models.integrity import digest, fingerprint
from serving.models.model import TRAIN_AGAIN, verify_bundle

SECONDS, CPU_SECONDS = 120, 20
MEMORY = 4 << 30
SOURCE = Path(__file__).resolve().parents[2]


def tried(workspace: Workspace, folder: Path) -> str:
    """The fingerprint of a bundle that is whole, loads, and scores as when it was promoted.

    What passed once under this LightGBM is not loaded again. Raises InputError or NotReadyError
    for a bundle that is not whole, InputError for one that does not load in time or not at all.
    """
    verify_bundle(folder)
    found = fingerprint(folder)
    mark = _mark(workspace, found)
    if not mark.exists():
        _load_elsewhere(folder)
    with suppress(OSError):  # what cannot be noted is tried once more
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
    return found


def sound(workspace: Workspace, name: str) -> Iterator[Path]:
    """The versions of a model that passed, the one that was taken over last first."""
    found = []
    for folder in (workspace.bundles / name).glob("[!.]*/"):
        with suppress(GoldpanError, OSError):
            found.append((_mark(workspace, fingerprint(folder)).stat().st_mtime_ns, folder))
    yield from (folder for _, folder in sorted(found, reverse=True))


def _mark(workspace: Workspace, found: str) -> Path:
    tried_by = f"{found} {version('lightgbm')} {version('numpy')}"
    return workspace.tmp / "canaries" / digest(tried_by.encode())


def _load_elsewhere(folder: Path) -> None:
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "serving.models.canary", str(folder.resolve())]
    command.append(str(CPU_SECONDS))
    try:
        done = subprocess.run(  # noqa: S603 - our own command, no shell
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise _unsound(folder, f"no end of loading in {SECONDS} s") from None
    if done.returncode < 0:
        raise _unsound(folder, f"an end by {signal.Signals(-done.returncode).name} while loading")
    try:
        said = json.loads(done.stdout)
    except ValueError:
        end = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise _unsound(folder, f"a failure to load ({''.join(end)})") from None
    if said:
        raise InputError(said["found"], expected=said["expected"], do=said["do"])


def _unsound(folder: Path, found: str) -> InputError:
    return InputError(f"{found} in the bundle {folder}", do=TRAIN_AGAIN)


def main(folder: Path, seconds: int) -> None:
    """Load a bundle and take every way through its trees; say as JSON what is wrong, or null."""
    for limit, most in ("RLIMIT_AS", MEMORY), ("RLIMIT_CPU", seconds), ("RLIMIT_CORE", 0):
        _lower(getattr(resource, limit), most)
    said = None
    try:
        with without():
            _every_way(folder)
    except GoldpanError as error:
        said = {"found": error.found, "expected": error.expected, "do": error.do}
    print(json.dumps(said))


def _lower(limit: int, most: int) -> None:
    """Lower a limit of this process; one that is lower already stays."""
    _, hard = resource.getrlimit(limit)
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(limit, (most, most))


def _every_way(folder: Path) -> None:
    """Contributions visit every node of every tree; here with every code of every vocabulary."""
    import numpy as np

    from serving.models.model import load_bundle

    model = load_bundle(folder)
    words = [len(f.vocabulary or ()) for f in model.features]
    rows = np.zeros((1 + max(words, default=0), len(words)))
    for column, count in enumerate(words):
        rows[:count, column] = np.arange(count)
    rows[-1] = np.nan
    told = [model.contributions(rows)]
    if model.when is not None:
        told.append(model.when.hazards(rows.astype(np.float32), model.log_odds(rows)))
    if not all(np.isfinite(numbers).all() for numbers in told):
        raise _unsound(folder, "contributions or risks that are no numbers")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
