"""The page of one account."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.backing import Backing
from serving.console.access import session_of, signed_in
from serving.console.drawings import waterfall
from serving.console.drawings.curve import curve
from serving.console.drawings.standing import standing
from serving.console.front import HOME
from serving.console.pages import Page, page
from serving.console.views.account import account
from serving.console.views.desk import Desks
from serving.console.views.shell import shell


def routes(backing: Backing, desks: Desks) -> APIRouter:
    """The account's page; `?model=` says whose reasons are shown."""
    router = APIRouter(route_class=Page, include_in_schema=False)

    @router.get(f"{HOME}/accounts/{{account_id:path}}", dependencies=signed_in())
    async def one(request: Request, account_id: str) -> Response:
        return await asyncio.to_thread(_page, request, backing, desks, account_id)

    return router


def _page(request: Request, backing: Backing, desks: Desks, account_id: str) -> Response:
    desk = desks.of(backing.state())
    found = account(desk, account_id, request.query_params.get("model", ""))
    here = found.why.words.key if found.why else ""
    around = shell(desk.state, backing.workspace, session_of(request), here)
    across = waterfall.scale(found.why.base, found.why.steps) if found.why else None
    return page(
        request, "account.html", shell=around, account=found, across=across,
        bar=waterfall.bar, level=waterfall.level, standing=standing, curve=curve,
    )  # fmt: skip
