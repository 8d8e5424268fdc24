"""What a rival is given and what it gives back: one Parquet file each way.

A matrix holds the features as they are, and `_label` (0 or 1), `_account` (a number) and `_part`:
0 to learn from, 1 to tune with, 2 to calibrate with, 3 to be judged on. What comes back is `margin`
(log-odds) for the rows of parts 2 and 3, in order, and a note among the file's metadata.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

LEARN, TUNE, CALIBRATE, TEST = range(4)
NOTE = b"rival"
SURE = 1e-7


@dataclass(frozen=True)
class Block:
    """Rows of the matrix: features (float32), labels and the numbers of their accounts."""

    X: pd.DataFrame
    y: np.ndarray
    account: np.ndarray


@dataclass(frozen=True)
class Task:
    """What a rival is asked: to learn within `seconds` on so many threads."""

    learn: Block
    tune: Block
    asked: Block
    seconds: float
    threads: int

    @property
    def fit(self) -> Block:
        """The rows of the final fit: learnt from and tuned with."""
        parts = (self.learn, self.tune)
        return Block(
            pd.concat([p.X for p in parts], ignore_index=True),
            np.concatenate([p.y for p in parts]),
            np.concatenate([p.account for p in parts]),
        )


Learner = Callable[[Task], tuple[np.ndarray, str]]
"""From a task to the probabilities of the rows asked for, and a note on how they came about."""


def answer(learner: Learner) -> None:
    """Do what the command line says: MATRIX OUT SECONDS THREADS."""
    parser = argparse.ArgumentParser()
    for name, kind in (("matrix", Path), ("out", Path), ("seconds", float), ("threads", int)):
        parser.add_argument(name, type=kind)
    said = parser.parse_args()
    task = read(said.matrix, said.seconds, said.threads)
    started = perf_counter()
    p, note = learner(task)
    give(said.out, p, {"note": note, "seconds": perf_counter() - started})


def read(path: Path, seconds: float, threads: int) -> Task:
    """The matrix of a file as a task."""
    rows = pd.read_parquet(path)
    part, y = rows.pop("_part").to_numpy(), rows.pop("_label").to_numpy()
    account = rows.pop("_account").to_numpy()

    def block(mask: np.ndarray) -> Block:
        return Block(rows[mask].reset_index(drop=True), y[mask], account[mask])

    asked = block(part >= CALIBRATE)
    return Task(block(part == LEARN), block(part == TUNE), asked, seconds, threads)


def give(path: Path, p: np.ndarray, said: dict[str, Any]) -> None:
    """Write probabilities as log-odds."""
    table = pa.table({"margin": log_odds(p)})
    pq.write_table(table.replace_schema_metadata({NOTE: json.dumps(said)}), path)


def log_odds(p: np.ndarray) -> np.ndarray:
    """Log-odds of probabilities, which may be 0 or 1."""
    sure = np.clip(np.asarray(p, dtype=np.float64), SURE, 1 - SURE)
    return np.asarray(np.log(sure / (1 - sure)))


def taken(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """The log-odds that a rival gave back, and what it said."""
    table = pq.read_table(path)
    said: dict[str, Any] = json.loads((table.schema.metadata or {})[NOTE])
    return table["margin"].to_numpy(), said
