"""What one service process holds: the promoted models, bound to the newest accounts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from features.errors import GoldpanError
from features.workspace import Workspace
from serving.models.model import load_bundle, promoted
from serving.scoring.accounts import Snapshot, current_snapshot, load_snapshot
from serving.scoring.scorer import Scorer, bind


@dataclass(frozen=True)
class State:
    """Immutable; a later one replaces it whole. `failed`: what could not be loaded, and why."""

    snapshot: Snapshot | None = None
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=lambda: {"service": "still loading"})

    @property
    def ready(self) -> bool:
        """Whether every promoted model answers."""
        return self.snapshot is not None and bool(self.scorers) and not self.failed

    def report(self) -> dict[str, Any]:
        """The readiness of each part, for `/readyz`."""
        models = [
            {"name": name, "status": "ready", "model_version": scorer.model.version}
            for name, scorer in self.scorers.items()
        ]
        models += [
            {"name": name, "status": "failed", "detail": why} for name, why in self.failed.items()
        ]
        body: dict[str, Any] = {"status": "ready" if self.ready else "not_ready", "models": models}
        if self.snapshot is not None:
            body |= {"as_of": self.snapshot.table.as_of, "snapshot": self.snapshot.version}
            body["accounts"] = len(self.snapshot.table.ids)
        return body


def load_state(workspace: Workspace) -> State:
    """Load all promoted models and the newest snapshot; what fails is told, the rest answers."""
    try:
        folders = promoted(workspace)
        snapshot = load_snapshot(current_snapshot(workspace))
    except GoldpanError as error:
        return State(failed=MappingProxyType({"service": str(error)}))
    scorers, failed = {}, {}
    for name, folder in folders.items():
        try:
            scorers[name] = bind(load_bundle(folder), snapshot)
        except GoldpanError as error:
            failed[name] = str(error)
    return State(snapshot, MappingProxyType(scorers), MappingProxyType(failed))
