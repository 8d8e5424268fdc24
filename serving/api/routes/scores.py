"""`POST /v1/scores`: accounts by id → scores with reasons."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from features.errors import GoldpanError
from serving.api.access import opens
from serving.api.answers import answered, answered_by
from serving.api.backing import Backing
from serving.api.bodies import ScoresAnswer, ScoresRequest, read_request
from serving.api.chosen import scorer_of
from serving.api.problems import PROBLEMS, ProblemError, shown
from serving.api.reading import body_of
from serving.api.recording import Recorder
from serving.api.routes.operations import without_paths
from serving.intake.overlay import only
from serving.intake.wire import NotFreshError, rows_now
from serving.scoring.accounts import Snapshot
from serving.scoring.scorer import Scorer, in_blocks
from serving.state import State

# Other requests get their turn after so many accounts: about 10 ms with reasons.
ACCOUNTS_AT_ONCE = 25
REQUEST_BODY = {
    "required": True,
    "content": {"application/json": {"schema": ScoresRequest.model_json_schema()}},
}


def routes(backing: Backing) -> APIRouter:
    """The scoring endpoint."""
    router = APIRouter()

    @router.post(
        "/v1/scores",
        operation_id="scoreAccounts",
        summary="Score accounts, with the reasons in words",
        response_model=ScoresAnswer,
        responses=PROBLEMS,
        dependencies=opens("score"),
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def score_accounts(request: Request) -> Response:
        asked = read_request(await body_of(request))
        found = await answer(backing, asked)
        answered_by(request, versions_in(found))
        return answered(request, found)

    return router


async def answer(backing: Backing, asked: ScoresRequest) -> dict[str, Any]:
    """The body of a `ScoresAnswer`; ProblemError when nothing that was asked can be answered.

    Every score in it stands in the ledger before it is returned.
    """
    state, recorder = backing.state(), Recorder.of(backing.ledger)
    told: dict[str, Any] = {}
    if asked.fresh:
        state, told = await made_now(backing, state, asked)
    if state.snapshot is None or not state.scorers:
        raise ProblemError("not-ready", "; ".join(state.failed.values()))
    scorers = _chosen(state, asked.models)
    row_of = state.snapshot.table.row_of
    known = [account for account in asked.accounts if account in row_of]
    _refuse_unknown(known, asked, told.get("not_fresh", ""))
    if asked.models:
        _refuse_inapplicable(scorers, [row_of[account] for account in known])
    results: list[dict[str, Any]] = []
    said = "reasons" in asked.model_fields_set
    explain = asked.reasons if said else len(asked.accounts) == 1
    for block in in_blocks(known, ACCOUNTS_AT_ONCE):
        results += await results_of(scorers, block, state.snapshot, recorder, explain=explain)
        await asyncio.sleep(0)
    return {
        "as_of": state.snapshot.table.as_of,
        "simulated": bool(state.snapshot.company["simulated"]),
        **told,
        "results": results,
        "errors": [_unknown(account) for account in asked.accounts if account not in row_of],
    }


async def made_now(
    backing: Backing, state: State, asked: ScoresRequest
) -> tuple[State, dict[str, Any]]:
    """A state of rows made for this request; what there is, and why, when there can be none."""
    try:
        rows = await rows_now(backing.workspace, asked.accounts)
        if not rows.num_rows:
            _refuse_unknown([], asked)
        return only(state, rows), {"fresh": True}
    except (NotFreshError, GoldpanError) as error:
        return state, {"fresh": False, "not_fresh": without_paths(str(error))}


def versions_in(found: Mapping[str, Any]) -> dict[str, str]:
    """Model → the version that answered."""
    scores = [score for result in found["results"] for score in result["scores"]]
    return {score["model"]: score["model_version"] for score in scores}


async def results_of(
    scorers: Mapping[str, Scorer],
    accounts: Sequence[str],
    snapshot: Snapshot,
    recorder: Recorder,
    *,
    explain: bool,
) -> list[dict[str, Any]]:
    """What some models say of some accounts, as the bodies `Result`; kept before it is told."""
    rows = [snapshot.table.row_of[account] for account in accounts]
    results: list[dict[str, Any]] = [
        {"account_id": a, "as_of": snapshot.table.day(r), "scores": [], "not_applicable": []}
        for a, r in zip(accounts, rows, strict=True)
    ]
    for name, scorer in scorers.items():
        reasons = [scorer.why_not(row) for row in rows]
        applies = [i for i, reason in enumerate(reasons) if reason is None]
        found = await _answers(scorer, [rows[i] for i in applies], recorder, explain=explain)
        for i, score in zip(applies, found, strict=True):
            results[i]["scores"].append(score)
        for result, reason in zip(results, reasons, strict=True):
            if reason is not None:
                result["not_applicable"].append({"model": name, "reason": reason})
    return results


async def _answers(
    scorer: Scorer, rows: Sequence[int], recorder: Recorder, *, explain: bool
) -> list[Mapping[str, Any]]:
    """What a model says of rows to which it applies: what it has said before, and what is new."""
    found = [scorer.told.find(row, explain) for row in rows]
    if new := [i for i, answer in enumerate(found) if answer is None]:
        scores = scorer.scores([rows[i] for i in new], explain=explain)
        await recorder.keep(scorer, scores)
        for i, answer in zip(new, scorer.answers(scores, explain=explain), strict=True):
            found[i] = answer
            scorer.told.keep(rows[i], explain, answer)
    return [answer for answer in found if answer is not None]


def _chosen(state: State, names: list[str]) -> Mapping[str, Scorer]:
    for position, name in enumerate(names):
        scorer_of(state, name, f"models[{position}]")
    return {name: state.scorers[name] for name in dict.fromkeys(names or state.scorers)}


def _refuse_unknown(known: list[str], asked: ScoresRequest, not_fresh: str = "") -> None:
    if known:
        return
    first, more = asked.accounts[0], len(asked.accounts) - 1
    others = f", nor the other {more}" if more else ""
    now = f"; nor can it be looked up now: {not_fresh}" if not_fresh else ""
    raise ProblemError(
        "unknown-account",
        f"No account {first} on the scoring day{others}{now}.",
        field="accounts",
        found=shown(first),
        expected="ids of accounts that existed on the scoring day",
    )


def _refuse_inapplicable(scorers: Mapping[str, Scorer], rows: list[int]) -> None:
    """A model asked for by name must apply to one account at least."""
    for name, scorer in scorers.items():
        reasons = [scorer.why_not(row) for row in rows]
        if None not in reasons:
            expected = f"accounts for which {name} is meant: {scorer.model.card['eligibility']}"
            raise ProblemError(
                "model-not-applicable",
                f"{name}: {reasons[0]}.",
                field="models",
                found=shown(name),
                expected=expected,
            )


def _unknown(account: str) -> dict[str, str]:
    detail = f"No account {account} on the scoring day."
    return {"account_id": account, "type": "unknown_account", "detail": detail}
