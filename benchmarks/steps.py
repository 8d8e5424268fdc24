"""One step in a process of its own: `python -m benchmarks.steps NAME '{"root": …}'`.

A step loads what it needs when it is asked for, so that no other's imports are measured with it.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import measure
from benchmarks.size import Size
from features.workspace import Workspace

if TYPE_CHECKING:
    from benchmarks.job import Work

ROOMY = "4GB"


def generate(root: str, size: dict[str, int]) -> "Work":
    """Make the world, unless it is there."""
    from benchmarks.world import make_world

    return lambda: {"stored": make_world(Workspace(Path(root)), Size(**size))}


def scan(root: str, query: str) -> "Work":
    """One of the queries of `benchmarks.floor`."""
    from benchmarks.floor import floor

    return floor(Workspace(Path(root)), query, measure.THREADS)


def rollups(root: str, memory: str = ROOMY) -> "Work":
    """Events → rollups."""
    from benchmarks.job import rollups_step, settings_for

    return rollups_step(Workspace(Path(root)), settings_for(measure.THREADS, memory))


def whole(
    root: str,
    size: dict[str, int],
    name: str,
    memory: str = ROOMY,
    tonight: bool = False,
    engine: str = "kernel",
) -> "Work":
    """Events → feature table."""
    from benchmarks.job import settings_for, whole_step

    settings = settings_for(measure.THREADS, memory, engine)
    return whole_step(Workspace(Path(root)), settings, Size(**size), name, tonight=tonight)


def chosen(root: str, size: dict[str, int], name: str, names: list[str]) -> "Work":
    """Events → some features."""
    from benchmarks.job import chosen_step, settings_for

    settings = settings_for(measure.THREADS, ROOMY)
    return chosen_step(Workspace(Path(root)), settings, Size(**size), name, names)


def ingest(root: str, memory: str = ROOMY) -> "Work":
    """One more day into a workspace that was built."""
    from benchmarks.job import ingest_step, settings_for

    return ingest_step(Workspace(Path(root)), settings_for(measure.THREADS, memory))


def again(root: str, size: dict[str, int], memory: str = ROOMY) -> "Work":
    """Build where a day was ingested."""
    from benchmarks.job import again_step, settings_for

    return again_step(Workspace(Path(root)), settings_for(measure.THREADS, memory), Size(**size))


def scoring(root: str, size: dict[str, int], memory: str = ROOMY) -> "Work":
    """The features of one new midnight."""
    from benchmarks.job import scoring_step, settings_for

    return scoring_step(Workspace(Path(root)), settings_for(measure.THREADS, memory), Size(**size))


def pandas(root: str, size: dict[str, int], dates: int, out: str, tuned: bool) -> "Work":
    """The same features on a few dates, by pandas."""
    from benchmarks.job import settings_for
    from benchmarks.pandas_peer import peer_step

    settings = settings_for(measure.THREADS, ROOMY)
    return peer_step(Workspace(Path(root)), settings, Size(**size), dates, Path(out), tuned=tuned)


def resident(root: str, size: dict[str, int]) -> "Work":
    """Rows from the state of all accounts in memory."""
    from benchmarks.resident_steps import resident_step

    return resident_step(Workspace(Path(root)), measure.THREADS, Size(**size))


def cold(root: str, size: dict[str, int]) -> "Work":
    """The first row of a process."""
    from benchmarks.resident_steps import cold_step

    return cold_step(Workspace(Path(root)), measure.THREADS, Size(**size))


def compare(ours: str, theirs: str) -> "Work":
    """Two feature tables, cell by cell."""
    from benchmarks.compare import agreement

    return lambda: agreement(Workspace(Path(ours)), Path(theirs))


STEPS: dict[str, Callable[..., "Work"]] = {
    step.__name__: step
    for step in (
        generate,
        scan,
        rollups,
        whole,
        chosen,
        ingest,
        again,
        scoring,
        resident,
        cold,
        pandas,
        compare,
    )
}


def run(step: str, /, **arguments: Any) -> measure.Measured:
    """Prepare a step and measure it in this process."""
    return measure.measured(STEPS[step](**arguments))


def main() -> None:
    """Run the step that the command line names and print what it took as the last line."""
    found = run(sys.argv[1], **json.loads(sys.argv[2]))
    print(measure.MARK + json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
