"""The promoted model's files: verified before they are read, immutable once loaded.

A bundle is `bundles/<name>/<version>/` with `model.txt`, `schema.json`, `card.json`,
`manifest.json` and, where it tells when, `when.txt` and `when.json`, and past cases to compare with
in `cases.json`; `bundles/<name>/current` says which version is promoted.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.errors import InputError, NotReadyError
from features.workspace import Workspace
from serving.models import cases, when
from serving.models.cases import Cases
from serving.models.integrity import digest, parse_json, read_verified
from serving.models.when import When

Matrix = NDArray[np.float32] | NDArray[np.float64]

FILES = ("model.txt", "schema.json", "card.json")
TRAIN_AGAIN = "Run `goldpan train` and `goldpan promote` again."
EXACT = 1e-9


@dataclass(frozen=True)
class FeatureSpec:
    """One input of the model; `vocabulary` is the order of its codes, None for a number."""

    name: str
    signal: str
    unit: str
    kind: str
    vocabulary: tuple[str, ...] | None


@dataclass(frozen=True)
class Model:
    """One promoted model, ready to score; its probability *is* the calibrated one.

    `group_of[i]` is the index in `signals` of the signal that feature `i` belongs to. `digest`: the
    sha256 of the sha256 of the bundle's files. `when`, `cases`: None where the bundle does not tell
    it.
    """

    name: str
    version: str
    features: tuple[FeatureSpec, ...]
    signals: tuple[str, ...]
    group_of: NDArray[np.intp]
    card: Mapping[str, Any]
    quantiles: NDArray[np.float64]
    booster: Any
    digest: str = ""
    when: When | None = None
    cases: Cases | None = None
    lock: Lock = field(default_factory=Lock, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the order of a row."""
        return tuple(f.name for f in self.features)

    def predict(self, rows: Matrix) -> NDArray[np.float64]:
        """Calibrated probabilities of rows shaped (n, features); missing is NaN."""
        return np.asarray(expit(self.log_odds(rows)), dtype=np.float64)

    def log_odds(self, rows: Matrix) -> NDArray[np.float64]:
        """Calibrated log-odds of the same rows: the model's raw margin."""
        with self.lock:
            margin = self.booster.predict(rows, raw_score=True, num_threads=1)
        return np.asarray(margin, dtype=np.float64)

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Log-odds by feature, shaped (n, features + 1); the last column is the base.

        A row sums to its `log_odds` within 1e-9.
        """
        with self.lock:
            parts = self.booster.predict(rows, pred_contrib=True, num_threads=1)
        return np.asarray(parts, dtype=np.float64)


def promoted(workspace: Workspace) -> dict[str, Path]:
    """Model name → folder of its promoted version, in the order of the names.

    Raises NotReadyError when nothing was promoted.
    """
    pointers = sorted(workspace.bundles.glob("*/current"))
    if not pointers:
        raise NotReadyError(
            f"nothing promoted in {workspace.root}", do="Run `goldpan train` and `goldpan promote`."
        )
    return {p.parent.name: p.parent / p.read_text(encoding="utf-8").strip() for p in pointers}


def promoted_folder(workspace: Workspace, name: str) -> Path:
    """The folder of one promoted model; NotReadyError when it was never promoted."""
    pointer = workspace.bundles / name / "current"
    if not pointer.is_file():
        raise NotReadyError(
            f"nothing promoted for {name}", do="Run `goldpan train` and `goldpan promote`."
        )
    return pointer.parent / pointer.read_text(encoding="utf-8").strip()


def load_bundle(folder: Path) -> Model:
    """Verify a bundle and load its model into this process.

    Every file is checked against its sha256 before it is parsed; the golden rows must score
    exactly as they did when the bundle was written. Raises NotReadyError when there is no bundle,
    InputError for any defect.
    """
    contents, manifest = verify_bundle(folder)
    schema = parse_json(contents["schema.json"], folder / "schema.json")
    card = parse_json(contents["card.json"], folder / "card.json")
    try:
        features = _features(schema)
        model = _assemble(manifest, features, card, contents["model.txt"], folder)
        _check_golden(model, manifest["golden"], folder)
        model = replace(
            model,
            when=_when(contents, schema["features"], folder),
            cases=_cases(contents, model.signals, folder),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _defect(folder, f"a part that cannot be read ({error!r})") from None
    return model


def verify_bundle(folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The bundle's files as bytes and its manifest, each file equal to its sha256.

    Also checks that the feature contract in schema.json is the one that was hashed.
    """
    if not folder.is_dir():
        raise NotReadyError(f"no bundle at {folder}", do=TRAIN_AGAIN)
    may_be = (*when.FILES, cases.FILE)
    contents, manifest = read_verified(folder, FILES, do=TRAIN_AGAIN, also=may_be)
    schema = parse_json(contents["schema.json"], folder / "schema.json")
    if contract_hash(schema.get("features")) != schema.get("hash"):
        raise InputError(
            f"a feature contract in {folder / 'schema.json'} that differs from its hash",
            expected=str(schema.get("hash")),
            do=TRAIN_AGAIN,
        )
    return contents, manifest


def contract_hash(features: Any) -> str:
    """The sha256 of the features' names, order, types and vocabularies.

    >>> contract_hash([])[:8]
    '4f53cda1'
    """
    text = json.dumps(features, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _features(schema: Mapping[str, Any]) -> tuple[FeatureSpec, ...]:
    return tuple(
        FeatureSpec(
            f["name"],
            f["signal"],
            f["unit"],
            f["kind"],
            tuple(f["vocabulary"]) if f["dtype"] == "category" else None,
        )
        for f in schema["features"]
    )


def _assemble(
    manifest: Mapping[str, Any],
    features: tuple[FeatureSpec, ...],
    card: Mapping[str, Any],
    text: bytes,
    folder: Path,
) -> Model:
    booster = _booster(text, folder)
    if booster.num_feature() != len(features):
        raise _defect(folder, f"{booster.num_feature()} features in model.txt", f"{len(features)}")
    signals = tuple(dict.fromkeys(f.signal for f in features))
    return Model(
        name=str(manifest["name"]),
        version=str(manifest["version"]),
        features=features,
        signals=signals,
        group_of=np.array([signals.index(f.signal) for f in features], dtype=np.intp),
        card=MappingProxyType(dict(card)),
        quantiles=_frozen(card["reference_quantiles"]),
        booster=booster,
        digest=digest(json.dumps(manifest["sha256"], sort_keys=True).encode("utf-8")),
    )


def _when(
    contents: Mapping[str, bytes], features: list[Mapping[str, Any]], folder: Path
) -> When | None:
    """What the bundle tells of when; None where it tells nothing."""
    if not {*when.FILES} <= contents.keys():
        return None
    told = parse_json(contents["when.json"], folder / "when.json")
    return when.assemble(_booster(contents["when.txt"], folder, "when.txt"), told, features)


def _cases(contents: Mapping[str, bytes], signals: tuple[str, ...], folder: Path) -> Cases | None:
    """The past cases that the bundle holds; None where it holds none."""
    if cases.FILE not in contents:
        return None
    return cases.assemble(parse_json(contents[cases.FILE], folder / cases.FILE), signals)


def _booster(text: bytes, folder: Path, name: str = "model.txt") -> Any:
    import lightgbm  # the service hides what LightGBM need not load before it comes here

    try:
        return lightgbm.Booster(model_str=text.decode("utf-8"))
    except (lightgbm.basic.LightGBMError, UnicodeDecodeError) as error:
        raise _defect(folder, f"a {name} that LightGBM cannot read ({error})") from None


def _check_golden(model: Model, golden: list[Mapping[str, Any]], folder: Path) -> None:
    """The golden rows score as they did, and their contributions sum to the log-odds."""
    if not golden:
        raise _defect(folder, "no golden rows in manifest.json", "at least one")
    rows = np.array([g["values"] for g in golden], dtype=np.float64)
    expected = np.array([g["probability"] for g in golden], dtype=np.float64)
    scores = model.predict(rows)
    if wrong := np.flatnonzero(scores != expected).tolist():
        first = wrong[0]
        raise _defect(
            folder,
            f"golden row {first} scoring {float(scores[first])!r}",
            f"{float(expected[first])!r}",
        )
    gap = np.abs(model.contributions(rows).sum(axis=1) - model.log_odds(rows)).max()
    if not gap <= EXACT:
        raise _defect(folder, f"contributions {gap:.1e} away from the log-odds", f"≤ {EXACT}")


def _frozen(values: Any) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def _defect(folder: Path, found: str, expected: str = "") -> InputError:
    return InputError(f"{found} in the bundle {folder}", expected=expected, do=TRAIN_AGAIN)
