"""The HTTP surface: `/v1`, liveness, readiness, and every error as problem+json."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from serving.accounts import Snapshot
from serving.bodies import ScoresAnswer, ScoresRequest, read_request
from serving.problems import MEDIA_TYPE, Problem, ProblemError, shown
from serving.scorer import Scorer, in_blocks
from serving.state import State

MOST_BYTES = 1 << 20
MOST_DISCARDED = 16 << 20
BODY_SECONDS = 15.0
# Other requests get their turn after so many accounts: about 10 ms with reasons.
ACCOUNTS_AT_ONCE = 25

DESCRIPTION = """Calibrated, explained scores of accounts.

Account ids match `^[A-Za-z0-9_.:@-]{1,200}$`. Bodies are JSON of at most 1 MiB. Every error is
`application/problem+json` with a stable `type`; what is not known is absent, never null."""

log = logging.getLogger("goldpan.serving")


def create_app(state: Callable[[], State]) -> FastAPI:
    """The application; `state` is asked once per request, so that a request sees one state."""
    app = FastAPI(
        title="Goldpan", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None,
        redirect_slashes=False, strict_content_type=False,
    )  # fmt: skip
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failure)
    _add_scores(app, state)
    _add_operations(app, state)
    return app


def _add_scores(app: FastAPI, state: Callable[[], State]) -> None:
    @app.post(
        "/v1/scores",
        operation_id="scoreAccounts",
        summary="Score accounts, with the reasons in words",
        response_model=ScoresAnswer,
        responses=_PROBLEMS,
        openapi_extra={"requestBody": _REQUEST_BODY},
    )
    async def score_accounts(request: Request) -> Response:
        asked = read_request(await _body(request))
        return _json(request, await answer(state(), asked, request_id(request)))


def _add_operations(app: FastAPI, state: Callable[[], State]) -> None:
    @app.get("/", operation_id="index", summary="Where things are")
    async def index(request: Request) -> Response:
        places = {"scores": "/v1/scores", "openapi": "/openapi.json", "ready": "/readyz"}
        return _json(request, {"name": "Goldpan", "links": places})

    @app.get("/livez", operation_id="live", summary="Whether the process answers")
    async def live(request: Request) -> Response:
        return _json(request, {"status": "alive"})

    @app.get("/readyz", operation_id="ready", summary="Whether every promoted model answers")
    async def ready(request: Request) -> Response:
        now = state()
        return _json(request, now.report(), 200 if now.ready else 503)


async def answer(state: State, asked: ScoresRequest, request: str) -> dict[str, Any]:
    """The body of a `ScoresAnswer`; ProblemError when nothing that was asked can be answered."""
    if state.snapshot is None or not state.scorers:
        raise ProblemError("not-ready", "; ".join(state.failed.values()))
    scorers = _chosen(state, asked.models)
    row_of = state.snapshot.table.row_of
    known = [account for account in asked.accounts if account in row_of]
    _refuse_unknown(known, asked)
    if asked.models:
        _refuse_inapplicable(scorers, [row_of[account] for account in known])
    results: list[dict[str, Any]] = []
    for block in in_blocks(known, ACCOUNTS_AT_ONCE):
        results += _results(scorers, block, state.snapshot, explain=asked.reasons)
        await asyncio.sleep(0)
    return {
        "request_id": request,
        "as_of": state.snapshot.table.as_of,
        "simulated": bool(state.snapshot.company["simulated"]),
        "results": results,
        "errors": [_unknown(account) for account in asked.accounts if account not in row_of],
    }


def _results(
    scorers: Mapping[str, Scorer], accounts: Any, snapshot: Snapshot, *, explain: bool
) -> list[dict[str, Any]]:
    rows = [snapshot.table.row_of[account] for account in accounts]
    results: list[dict[str, Any]] = [
        {"account_id": account, "scores": [], "not_applicable": []} for account in accounts
    ]
    for name, scorer in scorers.items():
        reasons = [scorer.why_not(row) for row in rows]
        applies = [i for i, reason in enumerate(reasons) if reason is None]
        scores = scorer.answers([rows[i] for i in applies], explain=explain) if applies else []
        for i, score in zip(applies, scores, strict=True):
            results[i]["scores"].append(score)
        for result, reason in zip(results, reasons, strict=True):
            if reason is not None:
                result["not_applicable"].append({"model": name, "reason": reason})
    return results


def _chosen(state: State, names: list[str]) -> Mapping[str, Scorer]:
    for position, name in enumerate(names):
        if name in state.failed:
            raise ProblemError("not-ready", state.failed[name], field=f"models[{position}]")
        if name not in state.scorers:
            expected = f"one of {', '.join(state.scorers)}"
            raise ProblemError(
                "unknown-model",
                f"Nothing promoted is called {name}.",
                field=f"models[{position}]",
                found=shown(name),
                expected=expected,
            )
    return {name: state.scorers[name] for name in dict.fromkeys(names or state.scorers)}


def _refuse_unknown(known: list[str], asked: ScoresRequest) -> None:
    if known:
        return
    first, more = asked.accounts[0], len(asked.accounts) - 1
    others = f", nor the other {more}" if more else ""
    raise ProblemError(
        "unknown-account",
        f"No account {first} on the scoring day{others}.",
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


async def _body(request: Request) -> bytes:
    """The body, if it is JSON by its header and arrives in time."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" or request.headers.get("content-encoding"):
        found = media_type or "no content type"
        raise ProblemError(
            "unsupported-media-type",
            f"Found {shown(found)}; expected application/json, not compressed.",
            field="content-type",
            found=shown(found),
            expected="application/json",
        )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _within_limit(request)
    except TimeoutError:
        detail = f"The body was not complete after {BODY_SECONDS:.0f} seconds."
        raise ProblemError("too-slow", detail, headers={"connection": "close"}) from None


async def _within_limit(request: Request) -> bytes:
    """The body up to the limit; a larger one is read on unkept, so that its sender listens."""
    kept, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MOST_BYTES:
            kept += chunk
        elif size > MOST_DISCARDED:
            break
    if size > MOST_BYTES:
        found, expected = f"more than {MOST_BYTES} bytes", f"at most {MOST_BYTES} bytes"
        raise ProblemError(
            "too-large", f"Found {found}; expected {expected}.", "body", found, expected
        )
    return bytes(kept)


def request_id(request: Request) -> str:
    """The name of this request, made once; in the body, the header and the log."""
    found = getattr(request.state, "request_id", None) or uuid4().hex
    request.state.request_id = found
    return str(found)


def _json(request: Request, body: dict[str, Any], status: int = 200) -> JSONResponse:
    headers = {"x-request-id": request_id(request), "cache-control": "no-store"}
    return JSONResponse(body, status, headers=headers)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this type only
    return error.response(request_id(request))


async def _http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses: an unknown address, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
    detail = f"{error.detail}: {request.method} {shown(request.url.path)}."
    headers = dict(error.headers or {})
    problem = ProblemError(kind, detail, status=error.status_code, headers=headers)
    return problem.response(request_id(request))


async def _failure(request: Request, error: Exception) -> Response:
    """Our own fault: told without its inside, which goes to the log."""
    log.error("request %s failed", request_id(request), exc_info=error)
    detail = "Something on our side failed. Try again; name the request_id when you tell us."
    return ProblemError("internal-error", detail).response(request_id(request))


_REQUEST_BODY = {
    "required": True,
    "content": {"application/json": {"schema": ScoresRequest.model_json_schema()}},
}
_PROBLEM_CONTENT = {"content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": "Refused", **_PROBLEM_CONTENT}
    for status in (400, 404, 408, 413, 415, 422, 500, 503)
}
