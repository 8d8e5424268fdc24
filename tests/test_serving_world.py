"""A small simulated company, its models and its scored accounts: what the serving tests share."""

import atexit
import base64
import functools
import hashlib
import json
import math
import shutil
import socket
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from scipy.special import expit

from features.catalog import catalogue
from features.pseudonym import pseudonym
from features.read_settings import load_settings
from features.settings import Settings
from features.simulate.world import simulate
from features.sources.ingest import ingest
from features.workspace import Workspace, publish_json, publish_text
from serving.ledger.database import opened
from serving.ledger.keys import create
from serving.models.model import contract_hash
from serving.scoring.accounts import current_snapshot, load_snapshot
from serving.scoring.batch import score

ROOT = Path(__file__).parent.parent
POPULATION = {"pql": "prospect", "upgrade": "customer", "churn": "customer"}
FILES = ("model.txt", "schema.json", "card.json")


@dataclass(frozen=True)
class Served:
    """A workspace with three promoted models and a current snapshot."""

    workspace: Workspace
    settings: Settings
    snapshot: Path


@functools.cache
def served() -> Served:
    """Simulate, ingest, promote three tiny models and score; made once for all tests."""
    root = Path(tempfile.mkdtemp(prefix="goldpan-serving-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    workspace, settings = Workspace(root), load_settings(ROOT / "goldpan.toml")
    # ibis 12 calls DuckDB 2 by names that it has deprecated.
    warnings.filterwarnings("ignore", "fetch_arrow_table", DeprecationWarning)
    simulate(workspace, accounts=120, days=200, seed=5)
    ingest(workspace, settings, base=ROOT)
    for seed, name in enumerate(POPULATION):
        promote(workspace, settings, name, seed=seed)
    return Served(workspace, settings, score(workspace, settings))


def promote(
    workspace: Workspace, settings: Settings, name: str, *, seed: int = 0, version: str = "1"
) -> Path:
    """Fit a tiny model to made-up numbers under the catalogue's contract; make it current."""
    features = [
        {"name": f.name, "dtype": "float32", "signal": f.signal, "unit": f.unit, "kind": f.kind}
        | ({"dtype": "category", "vocabulary": ["free", "team", "US"]} if f.categorical else {})
        for f in catalogue(settings).features
    ]
    rows = made_up_rows(features, np.random.default_rng(seed))
    folder = workspace.bundles / name / version
    write_bundle(folder, name, features, rows, booster_of(rows, seed))
    if name == "churn":
        write_when(folder, features, rows)
        write_cases(folder, features, rows)
    publish_text(folder.parent / "current", f"{version}\n")
    return folder


def made_up_rows(features: list[dict[str, Any]], rng: np.random.Generator) -> np.ndarray:
    """400 rows of sizes as features have them, one in ten missing."""
    scale = [3 if "vocabulary" in f else 1 if f["unit"] == "share" else 30 for f in features]
    rows = rng.gamma(0.7, scale, (400, len(features)))
    for place, feature in enumerate(features):
        if "vocabulary" in feature:
            rows[:, place] = rng.integers(0, 3, len(rows))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows.astype(np.float32)


def booster_of(rows: np.ndarray, seed: int = 0) -> lightgbm.Booster:
    """A small booster whose outcome leans on a few columns."""
    rng = np.random.default_rng(seed)
    leaning = np.nan_to_num(rows[:, :: max(1, rows.shape[1] // 8)]).clip(0, 30).sum(axis=1)
    happens = leaning + rng.normal(0, 20, len(rows)) > np.median(leaning)
    parameters = {"objective": "binary", "num_threads": 1, "num_leaves": 7, "verbose": -1}
    parameters |= {"min_data_in_leaf": 5, "seed": seed, "feature_fraction": 0.3}
    return lightgbm.train(parameters, lightgbm.Dataset(rows, happens.astype(float)), 40)


def write_bundle(
    folder: Path,
    name: str,
    features: list[dict[str, Any]],
    rows: np.ndarray,
    booster: lightgbm.Booster,
) -> None:
    """The four files of a bundle; the first twenty rows are the golden ones."""
    folder.mkdir(parents=True)
    (folder / "model.txt").write_text(booster.model_to_string())
    publish_json(folder / "schema.json", {"features": features, "hash": contract_hash(features)})
    written = lightgbm.Booster(model_file=str(folder / "model.txt"))
    chances = expit(written.predict(rows, raw_score=True, num_threads=1)).tolist()
    publish_json(folder / "card.json", card(name, np.array(chances)))
    golden = [
        {"values": [None if math.isnan(v) else v for v in row], "probability": chance}
        for row, chance in zip(rows[:20].tolist(), chances[:20], strict=True)
    ]
    seal(folder, {"name": name, "version": folder.name, "golden": golden})


def write_when(folder: Path, features: list[dict[str, Any]], rows: np.ndarray) -> None:
    """The two files that tell when, with a booster of five stretches, sealed anew."""
    wide = np.column_stack([np.repeat(rows, 5, axis=0), np.tile(np.arange(5.0), len(rows))])
    (folder / "when.txt").write_text(booster_of(wide, 9).model_to_string())
    stretch = {"name": "stretch", "dtype": "float32", "signal": "stretch", "unit": "number"}
    told = [*features, stretch | {"kind": "context"}]
    publish_json(
        folder / "when.json",
        {"features": told, "hash": contract_hash(told), "edges": [7, 14, 30, 60, 90],
         "offsets": [-4.0, -3.9, -3.0, -2.9, -2.8], "window": [0, 30]},
    )  # fmt: skip
    seal(folder, json.loads((folder / "manifest.json").read_text()))


def write_cases(folder: Path, features: list[dict[str, Any]], rows: np.ndarray) -> None:
    """Past cases to compare with: the made-up rows, as if they had been accounts' of the world."""
    booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
    given = booster.predict(rows, pred_contrib=True)[:, :-1]
    signals = list(dict.fromkeys(f["signal"] for f in features))
    parts = np.zeros((len(rows), len(signals)))
    for place, feature in enumerate(features):
        parts[:, signals.index(feature["signal"])] += given[:, place]
    names = [f"acc_{row % 150 + 1:04d}" for row in range(len(rows))]
    publish_json(
        folder / "cases.json",
        {"signals": signals, "accounts": [pseudonym(name) for name in names],
         "as_of": [f"2025-{row % 12 + 1:02d}-01" for row in range(len(rows))],
         "outcome": (parts.sum(axis=1) > np.median(parts.sum(axis=1))).astype(int).tolist(),
         "parts": base64.b64encode(parts.astype("<f2").tobytes()).decode()},
    )  # fmt: skip
    seal(folder, json.loads((folder / "manifest.json").read_text()))


def card(name: str, probabilities: np.ndarray) -> dict[str, Any]:
    """What serving reads of a card."""
    return {
        "name": name,
        "population": POPULATION[name],
        "eligibility": f"accounts that {name} is about",
        "lead_days": 0,
        "horizon_days": 30,
        "grades": {"a": 0.9, "b": 0.7, "c": 0.4},
        "interval": {"level": 0.95, "accounts": 400, "accounts_with_outcome": 200,
                     "log_odds": [-12.0, 0.0, 12.0], "low": [-13.0, -0.25, 11.0],
                     "high": [-11.0, 0.25, 13.0]},
        "reference_quantiles": np.percentile(probabilities, range(101)).tolist(),
    }  # fmt: skip


def seal(folder: Path, manifest: dict[str, Any]) -> None:
    """Write a bundle's manifest for its files as they are now."""
    more = ("when.txt", "when.json", "cases.json")
    names = [n for n in (*FILES, *more) if (folder / n).exists()]
    digests = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}
    publish_json(folder / "manifest.json", {**manifest, "sha256": digests})


@functools.cache
def authorization(*scopes: str, root: Path | None = None) -> dict[str, str]:
    """The header of a key with these scopes (default: every one that is no admin's)."""
    workspace = Workspace(root) if root else served().workspace
    text, _ = create(opened(workspace), "a test", scopes or ("score", "read", "events"))
    return {"authorization": f"Bearer {text}"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_snapshot_holds_all_accounts_as_they_were_on_the_day_after_the_last_event() -> None:
    """The world that the serving tests share is whole: of one day, with both populations."""
    snapshot = load_snapshot(current_snapshot(served().workspace))
    assert snapshot.table.as_of == "2026-07-01"
    assert len(snapshot.table.ids) == 120
    assert {"prospect", "customer"} <= {c.population for c in snapshot.table.contexts}
    assert snapshot.company["simulated"] is True
