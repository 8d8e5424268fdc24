"""The console as one more area of the application: every page, and the files that pages load."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.backing import Backing
from serving.api.problems import ProblemError, shown
from serving.console.access import signed_in
from serving.console.front import HOME
from serving.console.pages import Page, redirect
from serving.console.routes import (
    accounts,
    files,
    insights,
    models,
    queues,
    settings,
    shap,
    sign_in,
)
from serving.console.views.desk import Desks


def routes(backing: Backing) -> APIRouter:
    """All addresses below `/console`."""
    desks = Desks(backing.ledger)
    desks.warm(backing.state)
    router = APIRouter(route_class=Page, include_in_schema=False)
    for part in (files.routes(backing), sign_in.routes(backing), queues.routes(backing, desks),
                 accounts.routes(backing, desks), models.routes(backing, desks),
                 shap.routes(backing, desks), insights.routes(backing),
                 settings.routes(backing)):  # fmt: skip
        for route in part.routes:
            router.routes.append(route)

    @router.get(f"{HOME}/{{rest:path}}", dependencies=signed_in())
    async def nowhere(request: Request, rest: str) -> Response:
        if not rest or rest.endswith("/"):
            return redirect(f"{HOME}/{quote(rest)}".rstrip("/"))
        raise ProblemError("not-found", f"There is no page {shown(request.url.path)}.")

    return router
