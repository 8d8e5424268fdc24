"""What one service process holds: the promoted models, bound to the newest accounts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.scoring.accounts import Snapshot
from serving.scoring.scorer import Scorer

SNAPSHOT, SERVICE = "snapshot", "service"


@dataclass(frozen=True)
class State:
    """Immutable; a later one replaces it whole.

    `failed`: what does not answer, and why. `kept`: what answers as it did because what was
    promoted or scored since cannot be taken over, and why. Both by the model's name, or SNAPSHOT
    for the accounts, SERVICE for all.
    """

    snapshot: Snapshot | None = None
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=lambda: {SERVICE: "still loading"})
    kept: Mapping[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether everything promoted answers as promoted."""
        return self.answering and not self.failed and not self.kept

    @property
    def answering(self) -> bool:
        """Whether anything answers."""
        return self.snapshot is not None and bool(self.scorers)

    def report(self) -> dict[str, Any]:
        """The readiness of each part, for `/readyz`."""
        models = [self._of(name) for name in self.scorers]
        parts = [(n, "degraded", why) for n, why in self.kept.items() if n not in self.scorers]
        parts += [(name, "failed", why) for name, why in self.failed.items()]
        models += [{"name": name, "status": status, "detail": why} for name, status, why in parts]
        status = "ready" if self.ready else "degraded" if self.answering else "not_ready"
        body: dict[str, Any] = {"status": status, "models": models}
        if self.snapshot is not None:
            body |= {"as_of": self.snapshot.table.as_of, "snapshot": self.snapshot.version}
            body["accounts"] = len(self.snapshot.table.ids)
        return body

    def _of(self, name: str) -> dict[str, Any]:
        told = {"name": name, "model_version": self.scorers[name].model.version}
        if name in self.kept:
            return told | {"status": "degraded", "detail": self.kept[name]}
        return told | {"status": "ready"}
