"""Signing in and out."""

import asyncio
import math
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.access import OPEN, opens
from serving.api.backing import Backing
from serving.console.access import (
    COOKIE,
    check_origin,
    check_written,
    current,
    forget,
    remember,
    signed_in,
)
from serving.console.format import plural
from serving.console.forms import form_of
from serving.console.front import HOME
from serving.console.pages import SIGN_IN, Page, page, redirect
from serving.console.views.shell import Company, company_of
from serving.ledger import sessions, users

WRONG = "That name and password do not belong together."


def routes(backing: Backing) -> APIRouter:
    """The page that asks who you are, and the way out."""
    router = APIRouter(route_class=Page, include_in_schema=False)

    @router.get(SIGN_IN, dependencies=opens(OPEN))
    async def ask(request: Request) -> Response:
        after = request.query_params.get("next", "")
        if await current(request) is not None:
            return redirect(inside(after))
        return _asked(request, company_of(backing.state()), after)

    @router.post(SIGN_IN, dependencies=opens(OPEN))
    async def enter(request: Request) -> Response:
        check_origin(request)
        form = await form_of(request)
        return await _entered(request, backing, form)

    @router.post(f"{HOME}/sign-out", dependencies=signed_in())
    async def leave(request: Request) -> Response:
        check_written(request, await form_of(request))
        await asyncio.to_thread(sessions.end, backing.ledger, request.cookies[COOKIE])
        answer = redirect(SIGN_IN)
        forget(request, answer)
        return answer

    return router


async def _entered(request: Request, backing: Backing, form: dict[str, str]) -> Response:
    name, after = form.get("user", "")[:200], form.get("next", "")
    address = request.client.host if request.client else ""
    left = await asyncio.to_thread(sessions.admitted, backing.ledger, name, address)
    company = company_of(backing.state())
    if left > 0:
        seconds = math.ceil(left)
        told = f"Too many attempts. Try again in {plural(seconds, 'second')}."
        answer = _asked(request, company, after, told=told, status=429, user=name)
        answer.headers["retry-after"] = str(seconds)
        return answer
    password = form.get("password", "")
    user = await asyncio.to_thread(users.verified, backing.ledger, name.strip(), password)
    if user is None:
        return _asked(request, company, after, told=WRONG, status=401, user=name)
    await asyncio.to_thread(sessions.succeeded, backing.ledger, name, address)
    token = await asyncio.to_thread(sessions.begin, backing.ledger, user)
    answer = redirect(inside(after))
    remember(request, answer, token)
    return answer


def _asked(
    request: Request, company: Company, after: str, *, told: str = "", status: int = 200,
    user: str = "",
) -> Response:  # fmt: skip
    shown: dict[str, Any] = {"company": company, "after": inside(after), "told": told, "user": user}
    return page(request, "sign_in.html", status=status, **shown)


def inside(place: str) -> str:
    r"""A place within the console, and no other: nobody is sent elsewhere by a link to sign in.

    >>> inside("/console/models"), inside("//evil.example"), inside("/console/..\\evil")
    ('/console/models', '/console', '/console')
    """
    path = place.partition("?")[0]
    within = path == HOME or path.startswith(f"{HOME}/")
    safe = place.isprintable() and "\\" not in place and "//" not in path and ".." not in path
    return place if within and safe else HOME
