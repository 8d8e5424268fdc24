"""`POST /v1/accounts/{id}/what-if`: changed signals → another prediction."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.access import opens
from serving.api.answers import answered
from serving.api.backing import Backing
from serving.api.bodies import read
from serving.api.bodies.accounts import Account
from serving.api.bodies.history import WhatIfAnswer, WhatIfRequest
from serving.api.chosen import refuse_inapplicable, row_of, scorer_of, snapshot_of
from serving.api.problems import PROBLEMS, ProblemError, shown
from serving.api.reading import body_of
from serving.scoring.known import known
from serving.scoring.scorer import Scorer
from serving.scoring.whatif import (
    MEANING,
    SCALED,
    Change,
    NotAllowedError,
    applied,
    changes,
)

REQUEST_BODY = {
    "required": True,
    "content": {"application/json": {"schema": WhatIfRequest.model_json_schema()}},
}


def routes(backing: Backing) -> APIRouter:
    """What if."""
    router = APIRouter()

    @router.post(
        "/v1/accounts/{account_id}/what-if", operation_id="askWhatIf",
        response_model=WhatIfAnswer, responses=PROBLEMS, dependencies=opens("read"),
        summary="What a model would say of an account with other facts; nothing is kept",
        openapi_extra={"requestBody": REQUEST_BODY},
    )  # fmt: skip
    async def ask_what_if(request: Request, account_id: Account) -> Response:
        asked = read(await body_of(request), WhatIfRequest)
        return answered(request, answer(backing, account_id, asked))

    return router


def answer(backing: Backing, account_id: str, asked: WhatIfRequest) -> dict[str, Any]:
    """The body of a `WhatIfAnswer`."""
    state = backing.state()
    snapshot, scorer = snapshot_of(state), scorer_of(state, asked.model)
    row = row_of(snapshot, account_id)
    refuse_inapplicable(scorer, row)
    now = scorer.scores([row], explain=False)
    changed = _changes(scorer, now.inputs[0], asked)
    rows = applied(scorer.model, now.inputs[0], changed).reshape(1, -1)
    log_odds = float(scorer.model.log_odds(rows)[0])
    chance, before = float(scorer.model.predict(rows)[0]), float(now.chances[0])
    return {
        "account_id": account_id,
        "as_of": snapshot.table.day(row),
        "model": scorer.model.name,
        "model_version": scorer.model.version,
        "meaning": MEANING,
        "scaling": SCALED,
        "probability_before": before,
        "probability": chance,
        "change": chance - before,
        "log_odds_change": log_odds - float(now.log_odds[0]),
        "changed": [_told(change) for change in changed],
    }


def _changes(scorer: Scorer, row: Any, asked: WhatIfRequest) -> list[Change]:
    try:
        return changes(scorer.model, row, asked.changes, scorer.snapshot.wordings)
    except NotAllowedError as error:
        raise ProblemError(
            "not-actionable",
            f"changes.{error.name}: found {error.found}; expected {error.expected}.",
            field=f"changes.{error.name}",
            found=shown(error.found),
            expected=error.expected,
        ) from None


def _told(change: Change) -> dict[str, Any]:
    return known(**vars(change))
