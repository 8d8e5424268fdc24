"""The promoted models: a list, and the card of each."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.backing import Backing
from serving.api.problems import ProblemError, shown
from serving.console.access import session_of, signed_in
from serving.console.drawings.calibration import calibration
from serving.console.drawings.intervals import interval
from serving.console.front import HOME
from serving.console.pages import Page, page
from serving.console.views.desk import Desks
from serving.console.views.models import CHANCE, card, summaries
from serving.console.views.shell import shell
from serving.console.views.watch import watch
from serving.console.views.words import BY_MODEL


def routes(backing: Backing, desks: Desks) -> APIRouter:
    """The list of models and the page of each."""
    router = APIRouter(route_class=Page, include_in_schema=False)

    @router.get(f"{HOME}/models", dependencies=signed_in())
    async def every(request: Request) -> Response:
        state = backing.state()
        around = shell(state, session_of(request), "models")
        return page(request, "models.html", shell=around, models=summaries(state), state=state)

    @router.get(f"{HOME}/models/{{name}}", dependencies=signed_in())
    async def one(request: Request, name: str) -> Response:
        return await asyncio.to_thread(_page, request, backing, desks, name)

    return router


def _page(request: Request, backing: Backing, desks: Desks, name: str) -> Response:
    state = backing.state()
    if name not in state.scorers or name not in BY_MODEL:
        raise ProblemError("not-found", f"Found no promoted model called {shown(name)}.")
    around = shell(state, session_of(request), "models")
    return page(
        request, "model.html", shell=around, card=card(state.scorers[name]), chance=CHANCE,
        watch=watch(desks.of(state), name, backing.workspace, backing.ledger),
        interval=interval, calibration=calibration,
    )  # fmt: skip
