"""The bare rival: the same model, accounts and reasons behind FastAPI and nothing else.

`GOLDPAN_WORKSPACE=… uvicorn benchmarks.serving_bare:app`. No keys, no problems, no strict JSON, no
request ids, no ledger, no log, no hot swap: what FastAPI does by itself.
"""

import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from features.workspace import Workspace
from serving.lean import without

with without():
    import lightgbm  # noqa: F401 - as the service does

    from serving.models.model import load_bundle, promoted
    from serving.scoring.accounts import current_snapshot, load_snapshot
    from serving.scoring.scorer import bind

app = FastAPI()
WORKSPACE = Workspace(Path(os.environ["GOLDPAN_WORKSPACE"]))
SNAPSHOT = load_snapshot(current_snapshot(WORKSPACE))
SCORERS = [bind(load_bundle(folder), SNAPSHOT) for folder in promoted(WORKSPACE).values()]


class Request(BaseModel):
    """Which accounts to score."""

    accounts: list[str]
    models: list[str] = []
    reasons: bool = True


@app.post("/v1/scores")
async def scores(request: Request) -> dict[str, Any]:
    """Scores with reasons."""
    rows = [SNAPSHOT.table.row_of[account] for account in request.accounts]
    answers = {}
    for scorer in SCORERS:
        found = scorer.scores(rows, explain=request.reasons)
        answers[scorer.model.name] = scorer.answers(found, explain=request.reasons)
    return {"accounts": request.accounts, "scores": answers}
