"""The HTTP surface: the routes of `/v1` and of operations, and every error as problem+json."""

import logging

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving.api.access import Doorkeeper, declared, known
from serving.api.answers import request_id
from serving.api.backing import Backing
from serving.api.problems import ProblemError, shown
from serving.api.routes import accounts, history, models, operations, reviews, scores, whatif

DESCRIPTION = """Calibrated, explained scores of accounts.

Account ids match `^[A-Za-z0-9_.:@-]{1,200}$`. Bodies are JSON of at most 1 MiB. Every error is
`application/problem+json` with a stable `type`; what is not known is absent, never null."""
AREAS = (scores, accounts, history, whatif, reviews, models, operations)

log = logging.getLogger("goldpan.serving")


def create_app(backing: Backing) -> FastAPI:
    """The application, with the routes of every area; TypeError for a route without a scope."""
    app = FastAPI(
        title="Goldpan", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None,
        openapi_url=None, redirect_slashes=False, strict_content_type=False,
    )  # fmt: skip
    app.state.doorkeeper = Doorkeeper(backing.ledger)
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _failure)
    for area in AREAS:
        app.include_router(declared(area.routes(backing)))
    return app


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this type only
    return error.response(request_id(request))


async def _http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses: an unknown address, a wrong method; told to holders of a key."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    try:
        await known(request)
    except ProblemError as refused:
        return refused.response(request_id(request))
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
