"""Makes a past score again, from the row in the ledger and the bundle of its version."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from sqlalchemy import Engine

from features.errors import GoldpanError, InputError
from features.workspace import Workspace
from serving.ledger.scores import Kept, find, row_digest, score_id
from serving.models.model import Model, load_bundle
from serving.scoring.score import by_signal, grade, interval

COMPARED = ("score_id", "row_sha256", "bundle", "log_odds", "probability", "low", "high", "grade")


@dataclass(frozen=True)
class Audit:
    """A score as kept and as made again; `again` is None where no bundle can make it.

    `differences`: what differs, in words; empty where every bit is the same.
    """

    kept: Kept
    again: Mapping[str, Any] | None
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the score was made again, to the bit."""
        return self.again is not None and not self.differences


def audit(workspace: Workspace, ledger: Engine, id: str) -> Audit:  # noqa: A002 - the field's name
    """Recompute one score of the ledger.

    Raises InputError when there is none of that id, or when its bytes cannot be read.
    """
    try:
        kept = find(ledger, id)
    except ValueError as error:
        raise InputError(f"score {id} with {error}", do="The ledger is damaged there.") from None
    if kept is None:
        raise InputError(f"no score {id} in the ledger", do="`/v1/scores` tells the ids.")
    folder = workspace.bundles / kept.model / kept.model_version
    if not folder.is_dir():
        gone = f"the bundle is gone: {_place(workspace, folder)}"
        return Audit(kept, None, (gone, *_of_row(kept)))
    try:
        model = load_bundle(folder)
    except GoldpanError as error:
        return Audit(kept, None, (f"the bundle is damaged: {error}", *_of_row(kept)))
    return compared(kept, model)


def compared(kept: Kept, model: Model) -> Audit:
    """A kept score beside the one that a model makes of its row."""
    if kept.inputs.shape != (len(model.features),):
        fits = f"the row has {kept.inputs.size} columns, the model {len(model.features)}"
        return Audit(kept, None, (fits, *_of_row(kept)))
    row = kept.inputs.reshape(1, -1)
    log_odds = float(model.log_odds(row)[0])
    ends, chance = interval(model, log_odds), float(expit(log_odds))
    contributions = model.contributions(row)
    parts = np.append(by_signal(model, contributions)[0], contributions[0, -1])
    digest = row_digest(kept.inputs)
    made_of = (kept.account_id, kept.as_of, kept.model, kept.model_version, model.digest, digest)
    low, high = ends or (None, None)
    again = {
        "score_id": score_id(*made_of),
        "row_sha256": digest,
        "bundle": model.digest,
        "log_odds": log_odds,
        "probability": chance,
        "low": low,
        "high": high,
        "grade": grade(model, chance),
    }
    found = [
        f"{name}: kept {getattr(kept, name)!r}, made again {again[name]!r}"
        for name in COMPARED
        if getattr(kept, name) != again[name]
    ]
    if parts.tobytes() != kept.parts.tobytes():
        found.append("the contributions by signal differ")
    return Audit(kept, again, tuple(found))


def _of_row(kept: Kept) -> tuple[str, ...]:
    """What is wrong with the row itself, which needs no bundle to be seen."""
    same = row_digest(kept.inputs) == kept.row_sha256
    return () if same else ("the row is not the one whose sha256 was kept",)


def _place(workspace: Workspace, folder: Path) -> Path:
    return folder.relative_to(workspace.root)
