"""One click deeper: an account's contributions by feature, and a queue's as a beeswarm."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.backing import Backing
from serving.console.access import session_of, signed_in
from serving.console.drawings import beeswarm, waterfall
from serving.console.drawings.force import force
from serving.console.front import HOME
from serving.console.pages import Page, page
from serving.console.views.account import Step
from serving.console.views.desk import Desks
from serving.console.views.shap import Swarms, shap
from serving.console.views.shell import shell

FIRST = 30
"""So many features stand on the page at once; the smaller ones one click further."""


def routes(backing: Backing, desks: Desks) -> APIRouter:
    """`/console/shap/MODEL`, and `/console/shap/MODEL/ACCOUNT`."""
    router, swarms = APIRouter(route_class=Page, include_in_schema=False), Swarms()

    @router.get(f"{HOME}/shap/{{model}}", dependencies=signed_in())
    async def queue(request: Request, model: str) -> Response:
        return await asyncio.to_thread(_swarm, request, backing, desks, swarms, model)

    @router.get(f"{HOME}/shap/{{model}}/{{account_id:path}}", dependencies=signed_in())
    async def account(request: Request, model: str, account_id: str) -> Response:
        return await asyncio.to_thread(_account, request, backing, desks, model, account_id)

    return router


def _swarm(
    request: Request, backing: Backing, desks: Desks, swarms: Swarms, model: str
) -> Response:
    desk = desks.of(backing.state())
    found = swarms.of(desk, model)
    around = shell(desk.state, session_of(request), found.words.key)
    return page(
        request, "shap_queue.html", shell=around, swarm=found, lane=beeswarm.lane,
        axis=beeswarm.axis,
    )  # fmt: skip


def _account(
    request: Request, backing: Backing, desks: Desks, model: str, account_id: str
) -> Response:
    desk = desks.of(backing.state())
    found = shap(desk, model, account_id)
    around = shell(desk.state, session_of(request), found.words.key)
    across, rest = waterfall.scale(found.base, found.steps), found.features[FIRST:]
    together = Step("", "", rest[0].step.start, rest[-1].step.end) if rest else None
    return page(
        request, "shap_account.html", shell=around, shap=found, force=force, across=across,
        bar=waterfall.bar, first=FIRST, rest=rest, rest_step=together,
        parts=[(feature.meaning, feature.part) for feature in found.features],
    )  # fmt: skip
