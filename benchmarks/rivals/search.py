"""The same search for every booster: its own defaults first, then random draws while time lasts."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.rivals.exchange import Block, Task

SEED = 7
MOST_ROUNDS = 2000
PATIENCE = 40
MORE = 1.1  # rounds of the refit on learn and tune, over those found on learn alone
Parameters = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One setting: the log loss on the rows tuned with, and the rounds that gave it."""

    loss: float
    rounds: int
    parameters: Parameters


@dataclass(frozen=True)
class Booster:
    """What a search needs of a library.

    `draw` takes a random generator; `stopped` fits with early stopping and returns the loss on the
    second block and the rounds; `final` fits so many rounds and returns the probabilities of the
    last block.
    """

    draw: Callable[[np.random.Generator], Parameters]
    stopped: Callable[[Parameters, Block, Block, int], tuple[float, int]]
    final: Callable[[Parameters, int, Block, Block, int], np.ndarray]


def searched(booster: Booster, task: Task) -> tuple[np.ndarray, str]:
    """Search within the task's time, leaving what one more fit and the refit will take."""
    rng, started, trials, longest = np.random.default_rng(SEED), perf_counter(), [], 0.0
    parameters: Parameters = {}
    while not trials or perf_counter() - started + 2.3 * longest < task.seconds:
        begun = perf_counter()
        loss, rounds = booster.stopped(parameters, task.learn, task.tune, task.threads)
        longest = max(longest, perf_counter() - begun)
        trials.append(Trial(loss, rounds, parameters))
        parameters = booster.draw(rng)
    best = min(trials, key=lambda trial: trial.loss)
    rounds = max(1, round(MORE * best.rounds))
    p = booster.final(best.parameters, rounds, task.fit, task.asked, task.threads)
    kind = "its defaults" if not best.parameters else "a random draw"
    return p, f"best of {len(trials)} settings ({kind}), {rounds} rounds"


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform between those of two others."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
