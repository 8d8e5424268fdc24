"""The console on a real service whose accounts, models and company have hostile names."""

import atexit
import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Engine
from test_serving_world import ROOT, free_port, seal, served

from features.workspace import Workspace, publish_json
from serving.ledger import users
from serving.ledger.database import opened
from serving.models.integrity import MANIFEST, digest
from serving.scoring.accounts import current_snapshot
from serving.scoring.lives import LIVES, SHARED
from tests.hostile import TEXTS

PASSWORD = "correct horse battery staple"  # noqa: S105 - of people in a test's own ledger
SERVE = """
import sys
from pathlib import Path
from features.workspace import Workspace
from serving.start import serve
serve(Workspace(Path(sys.argv[1])), port=int(sys.argv[2]), ready=lambda url: print(url, flush=True))
"""


@dataclass(frozen=True)
class Console:
    """A running console and its ledger."""

    url: str
    workspace: Workspace
    ledger: Engine


@contextmanager
def running(workspace: Workspace) -> Iterator[Console]:
    """Serve a workspace until the block ends."""
    command = [sys.executable, "-c", SERVE, str(workspace.root), str(free_port())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            yield Console(process.stdout.readline().strip(), workspace, opened(workspace))
        finally:
            process.terminate()


@functools.cache
def hostile_world() -> Workspace:
    """A copy of the shared world in which every text that a page shows is hostile."""
    root = Path(tempfile.mkdtemp(prefix="goldpan-console-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    for folder in ("bundles", "scores"):
        shutil.copytree(served().workspace.root / folder, root / folder)
    workspace = Workspace(root)
    _spoil_snapshot(current_snapshot(workspace))
    for bundle in workspace.bundles.glob("*/1"):
        _spoil_card(bundle)
    ledger = opened(workspace)
    for role in users.ROLES:
        users.add(ledger, role, role, PASSWORD)
    return workspace


def _spoil_snapshot(folder: Path) -> None:
    """Names, plans, categories, the company and the words of the reasons."""
    _rewrite(folder / "scores.parquet", {"name": 0, "plan": 11})
    texts = {"name": 0, "owner": 2, "channel": 7, "industry": 3, "country": 5, "state": 9}
    _rewrite(folder / "profiles.parquet", texts)
    _rewrite(folder / "features.parquet", {"plan": 11, "industry": 3, "country": 5, "channel": 7})
    company = json.loads((folder / "company.json").read_text())
    publish_json(folder / "company.json", {**company, "name": TEXTS[0]})
    signals = json.loads((folder / "signals.json").read_text())
    for place, facts in enumerate(signals.values()):
        facts["label"] += f" {TEXTS[place % len(TEXTS)]}"
    publish_json(folder / "signals.json", signals)
    _spoil_lives(folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"] = {n: digest((folder / n).read_bytes()) for n in manifest["sha256"]}
    publish_json(folder / MANIFEST, manifest)


def _spoil_lives(folder: Path) -> None:
    """States, milestones, kinds of change, people's ids and roles."""
    texts = itertools.cycle(TEXTS)
    shared = json.loads((folder / SHARED).read_text())
    named = dict(zip(shared["milestones"], TEXTS, strict=False))
    shared["milestones"] = list(named.values())
    shared["journeys"] = {TEXTS[9]: [named[step] for step in shared["journeys"]["onboarding"]]}
    publish_json(folder / SHARED, shared)
    lives = pq.read_table(folder / LIVES)
    rows = lives.to_pylist()
    for row in rows:
        for step in row["milestones"]:
            step["milestone"] = named[step["milestone"]]
        for part, names in {"states": ("state",), "changes": ("kind",),
                            "people": ("user_id", "role")}.items():  # fmt: skip
            for thing in row[part]:
                thing |= {name: next(texts) for name in names}
    table = pa.Table.from_pylist(rows, lives.schema)
    pq.write_table(table, folder / LIVES, row_group_size=64, write_page_checksum=True)


def _rewrite(path: Path, columns: dict[str, int]) -> None:
    """Put a hostile text into every row of some columns, one after another from a place on."""
    frame = pq.read_table(path)
    order = {a: i for i, a in enumerate(sorted(set(frame.column("account_id").to_pylist())))}
    places = [order[a] for a in frame.column("account_id").to_pylist()]
    for name, first in columns.items():
        texts = pa.array([TEXTS[(place + first) % len(TEXTS)] for place in places])
        frame = frame.set_column(frame.column_names.index(name), name, texts)
    pq.write_table(frame, path, write_page_checksum=True)


def _spoil_card(bundle: Path) -> None:
    """Everything that a model's page shows, as a trained model has it, with hostile words."""
    card = json.loads((bundle / "card.json").read_text())
    figure = {"value": 0.7, "low": 0.6, "high": 0.8}
    block = {"from": "2026-01-05", "to": "2026-04-20", "rows": 900, "accounts": 80, "positives": 70}
    card |= {
        "eligibility": TEXTS[1], "title": TEXTS[2], "capacity": 50, "simulated": True,
        "metrics": {"auc": figure, "lift_top_decile": {"value": 2.8, "low": 1.9, "high": 3.7},
                    "precision_at_capacity": figure, "observed_expected": figure},
        "baselines": {text: {"auc": figure} for text in TEXTS[:4]},
        "slices": dict.fromkeys(TEXTS, figure),
        "backtest": [{"test": block, "rows": 900, "positives": 70,
                      "metrics": {"model": {"auc": figure}}}],
        "blocks": {"test": block}, "gap_days": 60, "cut_off": "2025-11-10",
        "created_at": "2026-07-01T03:00:00+00:00", "rows": 900, "accounts": 80, "positives": 70,
        "calibration": {"bins": [{"predicted": 0.1, "observed": 0.12, "low": 0.05, "high": 0.2,
                                  "rows": 90}, {"predicted": 0.3, "observed": 0.25, "rows": 90}]},
        "verdict": {"conditions": [{"what": TEXTS[3], "figure": TEXTS[4], "passed": True},
                                   {"what": TEXTS[5], "figure": TEXTS[6], "passed": False}]},
    }  # fmt: skip
    publish_json(bundle / "card.json", card)
    manifest = json.loads((bundle / "manifest.json").read_text())
    seal(bundle, {k: v for k, v in manifest.items() if k != "sha256"})
