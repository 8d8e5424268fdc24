"""Boosters as text: several averaged into one, and a calibration folded into the leaves.

Contributions stay exact because a tree's leaves are the only thing that changes: for
`margin' = slope × margin + intercept`, every contribution is `slope` times what it was.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from training.dataset import Floats

INTERCEPT_ONLY_UNDER = 300  # positives; below, a slope costs more than it gains
SLOPES = (0.05, 5.0)


@dataclass(frozen=True)
class Affine:
    """A calibration on the log-odds: `slope × margin + intercept`."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, margin: Floats) -> Floats:
        """The calibrated log-odds."""
        return self.slope * margin + self.intercept


def affine(margin: Floats, y: Floats) -> Affine:
    """The calibration that minimises the log loss; only the intercept under 300 positives.

    `margin`: log-odds of a model that did not see these rows; `y`: 0 and 1. A weak prior
    (slope 1, standard deviation 1) keeps the slope finite where classes separate.

    >>> affine(np.zeros(4), np.array([0.0, 0, 0, 1])).intercept.__round__(6)
    -1.098612
    """
    if y.sum() < INTERCEPT_ONLY_UNDER:
        return Affine(1.0, _intercept(margin, y))
    slope = float(np.clip(_slope(margin, y), *SLOPES))
    return Affine(slope, _intercept(slope * margin, y))


def average(boosters: Sequence[lgb.Booster]) -> lgb.Booster:
    """One booster whose margin is the mean of theirs: all trees, each leaf divided by their number.

    The boosters must have been fitted on the same columns and bins.
    """
    head, _, tail = _parts(boosters[0].model_to_string())
    trees = [t for b in boosters for t in _parts(b.model_to_string())[1]]
    return _booster(head, [_scaled(t, 1 / len(boosters), 0.0) for t in trees], tail)


def fold(booster: lgb.Booster, calibration: Affine) -> lgb.Booster:
    """The booster whose margin is the calibrated log-odds."""
    head, trees, tail = _parts(booster.model_to_string())
    scaled = [
        _scaled(tree, calibration.slope, calibration.intercept if i == 0 else 0.0)
        for i, tree in enumerate(trees)
    ]
    return _booster(head, scaled, tail)


def margins(booster: lgb.Booster, X: np.ndarray, threads: int) -> Floats:
    """Log-odds of each row."""
    return np.asarray(booster.predict(X, raw_score=True, num_threads=threads), dtype=np.float64)


def contributions(booster: lgb.Booster, X: np.ndarray, threads: int) -> Floats:
    """Each column's part of each row's log-odds, the base last; a row's parts sum to its margin."""
    parts = booster.predict(X, pred_contrib=True, num_threads=threads)
    return np.asarray(parts, dtype=np.float64)


def _intercept(offset: Floats, y: Floats) -> float:
    """The shift that makes expected equal observed, by bisection (it is monotone)."""
    rate = float(np.clip(y.mean(), 0.5 / len(y), 1 - 0.5 / len(y)))
    low, high = -60.0, 60.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(offset + middle).mean() < rate else (low, middle)
    return (low + high) / 2


def _slope(margin: Floats, y: Floats) -> float:
    """Newton's steps for slope and intercept, the slope drawn weakly to 1."""
    x = np.column_stack([margin - margin.mean(), np.ones_like(margin)])
    theta = np.array([1.0, margin.mean() + _intercept(margin, y)])
    prior = np.array([1.0, 0.0])
    for _ in range(50):
        p = expit(x @ theta)
        gradient = x.T @ (y - p) - prior * (theta - prior)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + np.diag(prior) + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        theta = theta + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-10:
            break
    return float(theta[0])


def _parts(text: str) -> tuple[str, list[str], str]:
    """A model's text as head, trees and tail."""
    head, rest = text.split("Tree=0\n", 1)
    body, tail = rest.split("end of trees", 1)
    return head, re.split(r"Tree=\d+\n", body), tail


def _scaled(tree: str, factor: float, shift: float) -> str:
    """A tree whose every leaf is `factor × leaf + shift`, written to the last bit."""

    def leaves(line: re.Match[str]) -> str:
        values = (float(v) * factor + shift for v in line[1].split())
        return "leaf_value=" + " ".join(f"{v:.17g}" for v in values)

    return re.sub(r"^leaf_value=(.*)$", leaves, tree, flags=re.MULTILINE)


def _booster(head: str, trees: Sequence[str], tail: str) -> lgb.Booster:
    """Put a model's text together again and load it; the sizes of the trees are stated anew."""
    numbered = [f"Tree={i}\n{tree}" for i, tree in enumerate(trees)]
    sizes = " ".join(str(len(t.encode())) for t in numbered)
    head = re.sub(r"^tree_sizes=.*$", f"tree_sizes={sizes}", head, flags=re.MULTILINE)
    return lgb.Booster(model_str=head + "".join(numbered) + "end of trees" + tail)
