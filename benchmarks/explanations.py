"""What reasons cost: `python -m benchmarks.explanations` prints the ratios from one run.

Exact contributions (TreeSHAP) of 100,000 rows × 120 columns: shap's TreeExplainer on a model of 31
leaves, as most are fitted, against ours, which has at most 15 leaves and depth 5. First it compares
what the paths say of the same model, and the two models' AUC on rows that neither has seen.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from benchmarks import report
from training.evaluate import Ranking

MARKS = ("<!-- explanations: begin -->", "<!-- explanations: end -->")
PACKAGES = ("lightgbm", "shap", "numpy")
COLUMNS, TELLING = 120, 24
SHAPES = {"31 leaves": {"num_leaves": 31}, "15 leaves, depth 5": {"num_leaves": 15, "max_depth": 5}}
WIDE, OURS = SHAPES
RESAMPLES = 400
Contributions = Callable[[lgb.Booster, np.ndarray, int], np.ndarray]


@dataclass(frozen=True)
class Timed:
    """One path on one model: CPU and wall seconds for all rows."""

    model: str
    path: str
    cpu: float
    wall: float


def by_booster(booster: lgb.Booster, X: np.ndarray, threads: int) -> np.ndarray:
    """LightGBM's own, which answers in the service."""
    return np.asarray(booster.predict(X, pred_contrib=True, num_threads=threads))[:, :-1]


def by_shap(booster: lgb.Booster, X: np.ndarray, threads: int) -> np.ndarray:
    """Shap's TreeExplainer as it is called; for LightGBM it hands the rows on to the booster."""
    booster.params["num_threads"] = threads
    return _explained(booster, X, own=False)


def by_shap_itself(booster: lgb.Booster, X: np.ndarray, threads: int) -> np.ndarray:
    """Shap's TreeExplainer by its own compiled code, which has one thread."""
    return _explained(booster, X, own=True)


def _explained(booster: lgb.Booster, X: np.ndarray, *, own: bool) -> np.ndarray:
    with warnings.catch_warnings():  # it warns when it is loaded, and of a change long ago
        warnings.simplefilter("ignore")
        import shap

        explainer = shap.TreeExplainer(booster)
        if own:
            explainer.model.model_type = "internal"
        return np.asarray(explainer.shap_values(X, check_additivity=False))


PATHS: dict[str, Contributions] = {
    "shap.TreeExplainer, as called": by_shap,
    "shap.TreeExplainer, its own code": by_shap_itself,
    "LightGBM's pred_contrib": by_booster,
}
SHAP, _, CONTRIB = PATHS


def main(arguments: list[str] | None = None) -> None:
    """Fit both models, compare what they say, time each path on each, print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explanations", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="rows that are explained")
    parser.add_argument("--trees", type=int, default=100, help="trees of each model")
    parser.add_argument("--threads", type=int, default=1, help="threads of the paths that take it")
    parser.add_argument("--write", action="store_true", help="put the table into this page")
    chosen = parser.parse_args(arguments)
    X, y = made_up(2 * chosen.rows)
    seen, unseen = slice(0, chosen.rows), slice(chosen.rows, None)
    models = {n: fitted(X[seen], y[seen], chosen, shape) for n, shape in SHAPES.items()}
    for booster in models.values():
        assert_agree(booster, X[unseen][:200])
    found = [
        timed(name, path, booster, X[unseen], chosen.threads)
        for name, booster in models.items()
        for path in PATHS
    ]
    text = "\n\n".join([
        report.machine(PACKAGES, chosen.threads),
        f"Made-up data, drawn from a seed. {chosen.rows:,} rows × {COLUMNS} columns, "
        f"{chosen.trees} trees; on as many rows that no model has seen.",
        table(found), told(found), quality(models, X[unseen], y[unseen]),
    ])  # fmt: skip
    print(text, flush=True)
    if chosen.write:
        report.write(text, MARKS)


def made_up(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns of which some tell of the outcome, bent and two by two; one in ten has it."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(rows, COLUMNS))
    one, other = X[:, :TELLING:2], X[:, 1:TELLING:2]
    margin = (0.35 * np.tanh(one) + 0.25 * (other > 0.5) + 0.2 * one * (other > 0)).sum(axis=1)
    return X, (rng.random(rows) < expit(margin - 3.3)).astype(np.float64)


def fitted(X: np.ndarray, y: np.ndarray, chosen: argparse.Namespace, shape: dict) -> lgb.Booster:
    """A model of so many trees of a shape."""
    parameters = {"objective": "binary", "learning_rate": 0.08, "verbosity": -1, "seed": 3,
                  "deterministic": True, "num_threads": chosen.threads} | shape  # fmt: skip
    return lgb.train(parameters, lgb.Dataset(X, y), num_boost_round=chosen.trees)


def assert_agree(booster: lgb.Booster, X: np.ndarray) -> None:
    """Whether every path says the same of the same model, and its parts sum to the margin."""
    first, *others = (path(booster, X, 1) for path in PATHS.values())
    base = np.asarray(booster.predict(X, pred_contrib=True, num_threads=1))[:, -1]
    margin = booster.predict(X, raw_score=True, num_threads=1)
    assert np.allclose(first.sum(axis=1) + base, margin, rtol=0, atol=1e-9)
    assert all(np.allclose(first, other, rtol=0, atol=1e-6) for other in others)


def timed(name: str, path: str, booster: lgb.Booster, X: np.ndarray, threads: int) -> Timed:
    """What a path takes for all rows."""
    cpu, wall = time.process_time(), time.perf_counter()
    PATHS[path](booster, X, threads)
    found = Timed(name, path, time.process_time() - cpu, time.perf_counter() - wall)
    print(f"  {name}, {path}: {found.cpu:.1f} CPU s", flush=True)
    return found


def table(found: list[Timed]) -> str:
    """Every path on every model, and how many times faster it is than shap on 31 leaves."""
    yardstick = slowest(found)
    lines = ["| model | path | CPU s | wall s | shap, 31 leaves ÷ it |",
             "|---|---|---:|---:|---:|"]  # fmt: skip
    lines += [
        f"| {t.model} | {t.path} | {t.cpu:.1f} | {t.wall:.1f} | {yardstick.cpu / t.cpu:.1f} |"
        for t in found
    ]
    return "\n".join(lines)


def slowest(found: list[Timed]) -> Timed:
    """Shap as it is called on the model of 31 leaves: what the others are measured by."""
    return next(t for t in found if (t.model, t.path) == (WIDE, SHAP))


def told(found: list[Timed]) -> str:
    """The ratio that the aim is about."""
    ours = next(t for t in found if (t.model, t.path) == (OURS, CONTRIB))
    ratio = slowest(found).cpu / ours.cpu
    return f"Ours against shap on 31 leaves: {ratio:.1f} × faster; the aim is 5 ×."


def quality(models: dict[str, lgb.Booster], X: np.ndarray, y: np.ndarray) -> str:
    """Both AUC and their difference, drawn again and again on the same rows."""
    rankings = [Ranking(m.predict(X, raw_score=True, num_threads=1), y) for m in models.values()]
    rng = np.random.default_rng(5)
    auc = [r.both(np.ones(len(y)))[0] for r in rankings]
    gaps = []
    for _ in range(RESAMPLES):
        weights = np.bincount(rng.integers(0, len(y), len(y)), minlength=len(y)).astype(float)
        wide, ours = (r.both(weights)[0] for r in rankings)
        gaps.append(ours - wide)
    low, high = np.quantile(gaps, [0.025, 0.975])
    return (
        f"AUC {auc[0]:.4f} with {WIDE}, {auc[1]:.4f} with {OURS}; the second less the first "
        f"{auc[1] - auc[0]:+.4f} ({low:+.4f} … {high:+.4f}, {RESAMPLES} paired resamples)."
    )


if __name__ == "__main__":
    main()
