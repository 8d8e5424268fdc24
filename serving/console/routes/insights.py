"""The page of insights: golden features and the lifecycle."""

import asyncio
import math

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.backing import Backing
from serving.console.access import session_of, signed_in
from serving.console.drawings.intervals import interval
from serving.console.front import HOME
from serving.console.pages import Page, page
from serving.console.views.insights import found
from serving.console.views.shell import shell


def routes(backing: Backing) -> APIRouter:
    """One page for all who are signed in."""
    router = APIRouter(route_class=Page, include_in_schema=False)

    @router.get(f"{HOME}/insights", dependencies=signed_in())
    async def shown(request: Request) -> Response:
        return await asyncio.to_thread(_page, request, backing)

    return router


def _page(request: Request, backing: Backing) -> Response:
    around = shell(backing.state(), session_of(request), "insights")
    return page(
        request, "insights.html", shell=around, found=found(backing.workspace),
        interval=interval, one=math.log(1),
    )  # fmt: skip
