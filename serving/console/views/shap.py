"""SHAP in its own form, for those who want it: every feature of an account, and a queue's swarm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from serving.api.problems import ProblemError, shown
from serving.console.drawings.beeswarm import Dot, places
from serving.console.format import exact
from serving.console.views.account import Step
from serving.console.views.desk import Desk
from serving.console.views.facts import Shown, fact
from serving.console.views.words import BY_MODEL, Words
from serving.scoring.explain import number
from serving.scoring.score import by_signal
from serving.scoring.scorer import Scorer

LANES, ACCOUNTS = 15, 130
"""At most 15 signals × 130 accounts: 1,950 points."""
HUES = 5


@dataclass(frozen=True)
class Feature:
    """One feature's value and `part`, its contribution; `step` goes on from where others ended."""

    part: float
    name: str
    meaning: str
    signal: str
    value: Shown
    step: Step


@dataclass(frozen=True)
class Shap:
    """An account's contributions by feature: base and parts sum to `log_odds`."""

    words: Words
    version: str
    account: str
    name: str
    base: float
    log_odds: float
    probability: float
    features: tuple[Feature, ...]
    unused: tuple[Feature, ...]

    @property
    def steps(self) -> list[Step]:
        """The contributions one after another, the largest first."""
        return [feature.step for feature in self.features]


@dataclass(frozen=True)
class Lane:
    """One signal's contributions over some accounts; `size`: their mean size in log-odds."""

    signal: str
    label: str
    size: float
    told: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Swarm:
    """A queue's contributions by signal, of accounts evenly spread over its order."""

    words: Words
    version: str
    accounts: int
    of: int
    low: float
    high: float
    lanes: tuple[Lane, ...]


def shap(desk: Desk, model: str, account_id: str) -> Shap:
    """Every feature of an account with its value and contribution, the largest first."""
    scorer, row_of = _scorer(desk, model), desk.table.row_of
    if account_id not in row_of or scorer.why_not(row_of[account_id]) is not None:
        raise ProblemError(
            "not-found", f"{model} says nothing of {shown(account_id)} on the scoring day."
        )
    row = row_of[account_id]
    inputs = scorer.encoder.rows(desk.table, np.array([row], dtype=np.intp))
    *parts, base = scorer.model.contributions(inputs)[0].tolist()
    log_odds = float(scorer.model.log_odds(inputs)[0])
    found, at = [], base
    for i in sorted(range(len(parts)), key=lambda i: (-abs(parts[i]), i)):
        found.append(_feature(desk, scorer, row, i, parts[i], at))
        at += parts[i]
    used = sum(part != 0 for part in parts)
    return Shap(
        BY_MODEL[model], scorer.model.version, account_id, desk.known.name(account_id), base,
        log_odds, float(expit(log_odds)), tuple(found[:used]), tuple(found[used:]),
    )  # fmt: skip


def _feature(desk: Desk, scorer: Scorer, row: int, place: int, part: float, at: float) -> Feature:
    spec, snapshot = scorer.model.features[place], desk.snapshot
    value = fact(snapshot, row, spec.name)
    told = Shown(value or "missing") if not isinstance(value, float) else _number(value, spec.unit)
    meaning = snapshot.meanings.get(spec.name, spec.name)
    label, step = snapshot.wordings[spec.signal].label, Step("", "", at, at + part)
    return Feature(part, spec.name, meaning, label, told, step)


def _number(value: float, unit: str) -> Shown:
    return Shown("missing") if np.isnan(value) else Shown(number(value, unit), exact(value))


class Swarms:
    """The swarms of the newest desk, each made once."""

    def __init__(self) -> None:
        self.made: tuple[Desk, dict[str, Swarm]] | None = None

    def of(self, desk: Desk, model: str) -> Swarm:
        """The swarm of a queue."""
        if self.made is None or self.made[0] is not desk:
            self.made = (desk, {})
        swarms = self.made[1]
        if model not in swarms:
            swarms[model] = swarm(desk, model)
        return swarms[model]


def swarm(desk: Desk, model: str) -> Swarm:
    """The queue's strongest signals, each a lane of points: one account's contribution each."""
    scorer = _scorer(desk, model)
    rows = desk.queues.ordered(model, "probability").rows
    if not len(rows):
        return Swarm(BY_MODEL[model], scorer.model.version, 0, 0, 0.0, 0.0, ())
    picked = rows[np.unique(np.linspace(0, len(rows) - 1, ACCOUNTS).astype(int))]
    inputs = scorer.encoder.rows(desk.table, picked)
    parts = by_signal(scorer.model, scorer.model.contributions(inputs))
    strongest = np.argsort(-np.abs(parts).mean(axis=0), kind="stable")[:LANES]
    shown_parts = parts[:, strongest]
    low, high = float(shown_parts.min()), float(shown_parts.max())
    lanes = tuple(_lane(desk, scorer, picked, i, parts[:, i], (low, high)) for i in strongest)
    return Swarm(
        BY_MODEL[model], scorer.model.version, len(picked), len(rows), low, high,
        tuple(lane for lane in lanes if lane.size > 0),
    )  # fmt: skip


def _lane(
    desk: Desk, scorer: Scorer, rows: NDArray[np.intp], signal: int, parts: np.ndarray,
    ends: tuple[float, float],
) -> Lane:  # fmt: skip
    name = scorer.model.signals[signal]
    wording = desk.snapshot.wordings[name]
    hues = _hues(desk, rows, wording.now)
    return Lane(
        name, wording.label, float(np.abs(parts).mean()), _told(parts, hues),
        places(parts.tolist(), hues.tolist(), [desk.table.ids[row] for row in rows], ends),
    )  # fmt: skip


def _hues(desk: Desk, rows: NDArray[np.intp], feature: str | None) -> np.ndarray:
    """0 to 4 by where an account's fact stands among these, -1 for a word or a missing one."""
    table = desk.table
    hues = np.full(len(rows), -1)
    if feature and feature in table.column_of and feature not in table.categories:
        values = table.matrix[rows, table.column_of[feature]]
        known = ~np.isnan(values)
        if known.any():
            ends = np.quantile(values[known], np.arange(1, HUES) / HUES)
            hues[known] = np.searchsorted(ends, values[known], side="left")
    return hues


def _told(parts: np.ndarray, hues: np.ndarray) -> str:
    """What the lane shows, for those who cannot see it."""
    ends = f"from {parts.min():+.2f} to {parts.max():+.2f} log-odds"
    high, low = parts[hues == HUES - 1], parts[hues == 0]
    if not len(high) or not len(low):
        return ends
    way = "raise" if high.mean() > low.mean() else "lower"
    return f"{ends}; high values {way} the score"


def _scorer(desk: Desk, model: str) -> Scorer:
    if model not in desk.queues.scorers or model not in BY_MODEL:
        raise ProblemError("not-found", f"Found no promoted model called {shown(model)}.")
    return desk.queues.scorers[model]
