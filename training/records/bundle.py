"""The promoted model's files: written whole, with their digests; all that serving ever reads."""

import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from scipy.special import expit

from features.workspace import Workspace, publish_folder, publish_json, publish_text
from training.fitting.calibrate import margins
from training.records.registry import Candidate

GOLDEN_ROWS = 20
FILES = ("model.txt", "schema.json", "card.json")


def export(workspace: Workspace, found: Candidate, card: Any) -> Path:
    """Write `bundles/<outcome>/<version>/` if it is not there whole already; returns the folder.

    The manifest, with the digests of all files and 20 golden rows, is written last. `when.txt`,
    `when.json` and `cases.json` are there where the run left them.
    """
    folder = workspace.bundles / found.outcome / found.version
    if whole(folder):
        return folder
    schema = found.files["schema.json"]
    with publish_folder(folder) as staged:
        (staged / "model.txt").write_text(found.model, encoding="utf-8")
        publish_json(staged / "schema.json", schema)
        publish_json(staged / "card.json", card)
        if "when.txt" in found.files:
            (staged / "when.txt").write_text(found.files["when.txt"], encoding="utf-8")
            publish_json(staged / "when.json", found.files["when.json"])
        if "cases.json" in found.files:
            publish_json(staged / "cases.json", found.files["cases.json"])
        names = sorted(path.name for path in staged.iterdir())
        manifest = {
            "name": found.outcome,
            "version": found.version,
            "sha256": {file: digest(staged / file) for file in names},
            "golden": golden(found.model, schema["features"]),
        }
        publish_json(staged / "manifest.json", manifest)
    return folder


def point(workspace: Workspace, name: str, version: str) -> None:
    """Make this version the current one."""
    publish_text(workspace.bundles / name / "current", f"{version}\n")


def current(workspace: Workspace, name: str) -> str | None:
    """The version that serving reads, None before the first promotion."""
    pointer = workspace.bundles / name / "current"
    return pointer.read_text(encoding="utf-8").strip() if pointer.is_file() else None


def whole(folder: Path) -> bool:
    """Whether a bundle's every file is what its manifest says."""
    try:
        stated = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["sha256"]
        return {*FILES} <= {*stated} and all(
            digest(folder / file) == told for file, told in stated.items()
        )
    except (OSError, ValueError, KeyError, AttributeError):
        return False


def digest(path: Path) -> str:
    """The file's sha256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def golden(model: str, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Made-up rows with their probabilities, for a reader to check that it scores as we do.

    No account's row: each value is a threshold of the model moved by the smallest float32 step, a
    category's code, or missing. The same model gives the same rows.
    """
    rng = np.random.default_rng(20)
    splits = thresholds(model)
    X = np.stack([_made_up(f, splits.get(i, []), rng) for i, f in enumerate(features)], axis=1)
    chance = expit(margins(lgb.Booster(model_str=model), X, threads=1))
    return [
        {"values": [None if np.isnan(v) else float(v) for v in row], "probability": float(p)}
        for row, p in zip(X, chance, strict=True)
    ]


def thresholds(model: str) -> dict[int, list[float]]:
    """Where the model's trees split: column → thresholds, read from its text.

    A split of missing from all other values has an infinite threshold, which is left out.
    """
    found: dict[int, list[float]] = defaultdict(list)
    columns = re.findall(r"^split_feature=(.*)$", model, flags=re.MULTILINE)
    values = re.findall(r"^threshold=(.*)$", model, flags=re.MULTILINE)
    for tree_columns, tree_values in zip(columns, values, strict=True):
        for column, value in zip(tree_columns.split(), tree_values.split(), strict=True):
            found[int(column)].append(float(value))
    return {column: [v for v in splits if np.isfinite(v)] for column, splits in found.items()}


def _made_up(feature: dict[str, Any], splits: list[float], rng: np.random.Generator) -> np.ndarray:
    if "vocabulary" in feature:
        values = rng.integers(0, max(1, len(feature["vocabulary"])), GOLDEN_ROWS)
    else:
        values = rng.choice(splits or [0.0, 1.0], GOLDEN_ROWS)
    sides = rng.choice([-np.inf, np.inf], GOLDEN_ROWS).astype(np.float32)
    numbers = values.astype(np.float32)
    nudged = numbers if "vocabulary" in feature else np.nextafter(numbers, sides)
    missing = rng.random(GOLDEN_ROWS) < 0.1
    return np.where(missing, np.float32(np.nan), nudged).astype(np.float32)
