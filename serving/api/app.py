"""The HTTP surface: the routes of `/v1` and of operations, and every error as problem+json."""

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import Response

from serving.api.access import Doorkeeper, declared, open_to_all
from serving.api.answers import refused, request_id
from serving.api.backing import Backing
from serving.api.guard import Guard, failure
from serving.api.idempotency import Idempotent
from serving.api.limits import limits_of
from serving.api.problems import ProblemError, invalid, shown
from serving.api.routes import (
    accounts,
    documents,
    events,
    history,
    hubspot,
    models,
    operations,
    reviews,
    scores,
    whatif,
)
from serving.api.straight import Straight
from serving.console import app as console
from serving.console.front import HOME, FrontDoor

DESCRIPTION = """Calibrated, explained scores of accounts.

Account ids match `^[A-Za-z0-9_.:@-]{1,200}$`. Bodies are JSON of at most 1 MiB. Every error is
`application/problem+json` with a stable `type`; what is not known is absent, never null."""
AREAS = (
    scores, accounts, history, whatif, reviews, models, events, hubspot, operations, documents,
    console,
)  # fmt: skip


def create_app(backing: Backing) -> FrontDoor:
    """The application behind guard and front door; TypeError for a route without a scope."""
    routers = [declared(area.routes(backing)) for area in AREAS]
    app, doorkeeper = framework(routers), Doorkeeper(backing.ledger)
    app.state.doorkeeper = doorkeeper
    inside = Idempotent(Straight(app, app.state.routes), backing.ledger)
    free = open_to_all(r for r in app.state.routes.values() if not r.path.startswith(HOME))
    return FrontDoor(Guard(inside, doorkeeper, limits_of(), free, HOME))


def framework(routers: list[APIRouter]) -> FastAPI:
    """The routes, and what becomes of their errors."""
    app = FastAPI(
        title="Goldpan", version="1", description=DESCRIPTION, docs_url=None, redoc_url=None,
        openapi_url=None, redirect_slashes=False, strict_content_type=False,
    )  # fmt: skip
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failure)
    for router in routers:
        app.include_router(router)
    app.state.documents = {}
    app.state.routes = {
        (method, route.path): route
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods or ())
    }
    return app


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this type only
    return refused(request, error)


async def _http_error(request: Request, error: Exception) -> Response:
    """What the framework refuses: an unknown address, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
    detail = f"{error.detail}: {request.method} {shown(request.url.path)}."
    headers = dict(error.headers or {})
    return refused(request, ProblemError(kind, detail, status=error.status_code, headers=headers))


async def _invalid(request: Request, error: Exception) -> Response:
    """A path or a query that is not as its route declares."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type only
    errors = [
        {
            "field": ".".join(str(part) for part in one["loc"]),
            "found": "nothing" if one["type"] == "missing" else shown(one.get("input")),
            "expected": "a value" if one["type"] == "missing" else _expected(one["msg"]),
        }
        for one in error.errors()[:20]
    ]
    return refused(request, invalid(errors))


async def _failure(request: Request, error: Exception) -> Response:
    return refused(request, failure(error, request_id(request)))


def _expected(message: str) -> str:
    plain = message.replace("Input should be ", "")
    return plain.replace("String should ", "a string that should ")
