"""A simulated company, scored, with one model of a stated shape: what the servers answer from."""

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from scipy.special import expit

from features.catalog import catalogue
from features.read_settings import load_settings
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.workspace import Workspace
from serving.scoring.batch import score
from training.dataset import Column, schema
from training.records.bundle import export, point
from training.records.registry import Candidate

SETTINGS = Path(__file__).parent.parent / "goldpan.toml"
MODEL = "churn"
SHAPE = {"num_leaves": 15, "max_depth": 5}
TREES, FEATURES = 200, 200


def make(root: Path, accounts: int) -> Workspace:
    """Simulate and score so many accounts, unless that was done here already."""
    workspace, settings = Workspace(root), load_settings(SETTINGS)
    if (workspace.scores / "current").exists():
        return workspace
    simulate(workspace, accounts=accounts, days=200, seed=5)
    ingest(workspace, settings, base=SETTINGS.parent)
    columns = [
        Column(
            f.name, f.signal, f.unit, f.kind, 0, ("free", "team", "US") if f.categorical else None
        )
        for f in catalogue(settings).features[:FEATURES]
    ]
    text, card = fitted(columns)
    found = Candidate(MODEL, "1", "a benchmark", text, {"schema.json": schema(columns)})
    export(workspace, found, card)
    point(workspace, MODEL, "1")
    score(workspace, settings)
    return workspace


def fitted(columns: list[Column]) -> tuple[str, dict[str, Any]]:
    """A booster of the stated shape on made-up rows, and what serving reads of its card."""
    rng = np.random.default_rng(7)
    scale = [3 if c.vocabulary else 1 if c.unit == "share" else 30 for c in columns]
    rows = rng.gamma(0.7, scale, (4_000, len(columns))).astype(np.float32)
    leaning = rows[:, ::5].clip(0, 30).sum(axis=1)
    happens = leaning + rng.normal(0, 20, len(rows)) > np.median(leaning)
    parameters = SHAPE | {"objective": "binary", "num_threads": 1, "seed": 7, "verbose": -1}
    parameters |= {"feature_fraction": 0.3}
    booster = lightgbm.train(parameters, lightgbm.Dataset(rows, happens.astype(float)), TREES)
    chances = expit(booster.predict(rows, raw_score=True, num_threads=1))
    return booster.model_to_string(), card(np.asarray(chances))


def card(chances: np.ndarray) -> dict[str, Any]:
    """What serving reads of a card."""
    return {
        "name": MODEL,
        "population": "customer",
        "eligibility": "paying customers",
        "lead_days": 0,
        "horizon_days": 30,
        "grades": {"a": 0.9, "b": 0.7, "c": 0.4},
        "interval": {"level": 0.95, "accounts": 400, "accounts_with_outcome": 200,
                     "log_odds": [-12.0, 0.0, 12.0], "low": [-13.0, -0.25, 11.0],
                     "high": [-11.0, 0.25, 13.0]},
        "reference_quantiles": np.percentile(chances, range(101)).tolist(),
    }  # fmt: skip
