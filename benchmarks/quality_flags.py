"""The flags of `python -m benchmarks.quality`."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import gettempdir

from benchmarks.quality_matrix import names
from benchmarks.quality_real import SETS

ABOUT = "How good the models are; benchmarks/README.md says what each table means."
FOLDER = Path("workspace/benchmarks/quality")
CACHE = "GOLDPAN_RIVALS"
ELSEWHERE = str(Path(gettempdir()) / "goldpan-rivals")
PARTS = ("oracle", "limits", "matrix", "raw", "real")
OUTCOMES = ("pql", "upgrade", "churn")


def parser() -> argparse.ArgumentParser:
    """The flags."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=ABOUT)
    add = made.add_argument
    add("--parts", type=among(PARTS), default=PARTS, help=f"which of {', '.join(PARTS)}")
    add("--accounts", type=int, default=6000, help="accounts of each company")
    add("--days", type=int, default=720, help="days of each company")
    add("--seeds", type=numbers, default=(11, 12, 13), help="one company for each")
    add("--horizon", type=int, default=30, help="days ahead, for every outcome")
    add("--outcomes", type=among(OUTCOMES), default=OUTCOMES, help="what is learnt")
    add("--threads", type=int, default=2, help="threads of everybody")
    add("--resamples", type=int, default=400, help="resamples of accounts behind every interval")
    add("--oracle-dates", type=int, default=6, help="test days on which the oracle is asked")
    add("--futures", type=int, default=64, help="futures that the oracle rolls out")
    add("--limit-dates", type=int, default=16, help="days learnt from in the limits")
    add("--seconds", type=float, default=120, help="time of each learner on the matrix")
    add("--rivals", type=among(names()), default=names())
    add("--matrix-outcomes", type=among(OUTCOMES), default=("churn",))
    add("--raw-outcomes", type=among(OUTCOMES), default=OUTCOMES)
    add("--learn-dates", type=int, default=12, help="days that featuretools learns from")
    add("--test-dates", type=int, default=5, help="test days, end to end")
    add("--without-featuretools", action="store_true", help="end to end, leave it out")
    add("--sets", type=among(SETS), default=SETS)
    add("--folder", type=Path, default=FOLDER, help="where the companies are made")
    add("--rivals-folder", default=os.environ.get(CACHE, ELSEWHERE), help=f"or {CACHE}: a folder "
        "outside the project, where each rival's environment is made and stays")  # fmt: skip
    add("--keep", action="store_true", help="keep the companies for the next run")
    add("--write", action="store_true", help="put the tables into benchmarks/README.md")
    return made


def among(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """A list of names, each of which must be known.

    >>> among(("a", "b"))("b,a")
    ('b', 'a')
    """

    def chosen(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        if strange := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{strange[0]!r} is none of {', '.join(known)}")
        return found

    return chosen


def numbers(text: str) -> tuple[int, ...]:
    """A list of whole numbers.

    >>> numbers("11,12")
    (11, 12)
    """
    return tuple(int(part) for part in text.split(","))
