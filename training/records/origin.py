"""What a run was made from: code, settings, the lake's versions, and a digest of its data set.

With these the data set can be made again bit for bit (`rebuild.py`), and one can tell that it was.
"""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from features.code import ROOT, digest
from features.read_settings import parse_settings
from features.settings import Settings, Source
from features.table import read_manifest
from features.workspace import Workspace
from training.dataset import Dataset

PACKAGES = ("features", "training")


def code() -> dict[str, Any]:
    """The version, the git commit (None outside a repository) and a digest of the source files.

    `changed`: whether the sources differ from the commit. The digest alone says which code it was.
    """
    commit = _git("rev-parse", "HEAD")
    changed = bool(_git("status", "--porcelain", "--", *PACKAGES)) if commit else False
    return {
        "version": _package(),
        "commit": commit,
        "changed": changed,
        "sources": digest(*PACKAGES),
    }


def code_in_words(found: Mapping[str, Any]) -> str:
    """One line for parameters and cards.

    >>> code_in_words({"version": "0.1.0", "commit": None, "changed": False, "sources": "ab" * 32})
    '0.1.0, sources abababababab'
    """
    parts = [str(found["version"])]
    if found["commit"]:
        parts.append(f"commit {found['commit'][:12]}{' and changes' if found['changed'] else ''}")
    return ", ".join([*parts, f"sources {found['sources'][:12]}"])


def lake_then(workspace: Workspace) -> dict[str, str]:
    """Table → `id@version` of the lake that the feature table was made of; empty: no such table."""
    return dict(read_manifest(workspace).stamp.get("lake", {}))


def portable(settings: Settings) -> dict[str, Any]:
    """The settings as plain values that hold no path of a machine and nothing of a person.

    A source keeps its name and table: what it gave is fixed by the lake's versions. Paths, mappings
    and conditions, which may name accounts or machines, are left out.
    """
    bare = tuple(
        Source(name=name, path="-", table=table, columns={"-": "-"})  # type: ignore[arg-type]
        for source in settings.sources
        for table, name in source.parts.items()
    )
    plain = settings.model_copy(update={"sources": bare}).model_dump(mode="json")
    return json.loads(json.dumps(plain))


def restored(values: dict[str, Any]) -> Settings:
    """The settings that `portable` wrote, but for where the sources lie."""
    sources = [
        {key: source[key] for key in ("name", "path", "table", "columns")}
        for source in values["sources"]
    ]
    kept = {name: _without_none(value) for name, value in values.items()}
    return parse_settings({**kept, "sources": sources}, "the run's settings")


def settings_hash(settings: Settings) -> str:
    """A digest of the settings that the model was trained under, the same on every machine."""
    return digest_of(portable(settings))


def digest_of(values: Any) -> str:
    """The sha256 of plain values, whatever the order of their keys."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def dataset_digest(data: Dataset) -> str:
    """The sha256 of all that is learnt from and judged on: columns, X, y, days, accounts, MRR.

    Accounts enter by their number in the order of the rows, so the digest tells nobody.
    """
    found = hashlib.sha256(json.dumps([c.described() for c in data.columns]).encode())
    days = data.as_of.astype("datetime64[D]").astype(np.int64)
    for part in (data.X, data.y, data.account, days, data.mrr):
        array = np.ascontiguousarray(part)
        # One bit pattern for every NaN: which one a missing value carries depends on who made it.
        if array.dtype.kind == "f":
            array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
        found.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    return found.hexdigest()


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def _package() -> str:
    try:
        return version("goldpan")
    except PackageNotFoundError:
        return "not installed"


def _git(*arguments: str) -> str | None:
    """What git says of the checkout; None where there is none."""
    if not (ROOT / ".git").exists():
        return None
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            ["git", *arguments],  # noqa: S607 - whichever git the user has
            cwd=ROOT, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
