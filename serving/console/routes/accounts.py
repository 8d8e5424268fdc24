"""The page of one account, its parts that change by themselves, and the reviews made there."""

import asyncio
from datetime import date
from operator import attrgetter
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.backing import Backing
from serving.api.chosen import scorer_of
from serving.api.problems import ProblemError
from serving.api.routes.reviews import added
from serving.console.access import check_written, session_of, signed_in
from serving.console.drawings import lanes, waterfall
from serving.console.drawings.curve import curve
from serving.console.drawings.grid import grid
from serving.console.drawings.history import history
from serving.console.drawings.overtime import over_time
from serving.console.drawings.sparkline import sparkline
from serving.console.drawings.standing import standing
from serving.console.forms import form_of
from serving.console.front import HOME
from serving.console.pages import Page, page, redirect
from serving.console.views.account import Account, account
from serving.console.views.desk import Desk, Desks
from serving.console.views.moved import Moved, moved, points
from serving.console.views.past import past
from serving.console.views.reviews import MOST_LISTED, NOTHING, Typed, asked, rest, reviewed
from serving.console.views.shell import shell
from serving.console.views.whatif import WhatIf, what_if
from serving.ledger.reviews import CONSOLE, listed


def routes(backing: Backing, desks: Desks) -> APIRouter:
    """The account's page; `?model=` says whose reasons are shown."""
    router = APIRouter(route_class=Page, include_in_schema=False)

    @router.get(f"{HOME}/accounts/{{account_id:path}}", dependencies=signed_in())
    async def one(request: Request, account_id: str) -> Response:
        desk = await asyncio.to_thread(desks.of, backing.state())
        part = {"moved": _moved_only, "what-if": _what_if_only}.get(
            request.headers.get("hx-target", ""), _whole
        )
        return await part(request, backing, desk, account_id)

    @router.post(f"{HOME}/accounts/{{account_id:path}}", dependencies=signed_in("reviewer"))
    async def review(request: Request, account_id: str) -> Response:
        form = await form_of(request)
        check_written(request, form)
        desk = await asyncio.to_thread(desks.of, backing.state())
        try:
            said, until = asked(form), rest(form, date.fromisoformat(desk.table.as_of))
        except ProblemError as error:
            wrong = error.detail.replace("snoozed_until:", "Let it rest until:")
            return await _whole(request, backing, desk, account_id, Typed(form, wrong))
        who = session_of(request).user.name
        await added(backing, account_id, said, CONSOLE, user=who, snoozed_until=until)
        place = f"{HOME}/accounts/{quote(account_id, safe='')}"
        return redirect(f"{place}?model={said.model}&kept=1#reviews")

    return router


async def _whole(
    request: Request, backing: Backing, desk: Desk, account_id: str, typed: Typed = NOTHING
) -> Response:
    """The whole page, with the movement and the what-if that its address asks for."""
    found = await asyncio.to_thread(_found, request, desk, account_id)
    change, sliders = None, None
    if found.why:
        change = await _moved(request, backing, account_id, found.why.words.model)
        sliders = await asyncio.to_thread(_what_if, request, backing, desk, found)
    return await asyncio.to_thread(_page, request, backing, desk, found, change, sliders, typed)


def _page(
    request: Request, backing: Backing, desk: Desk, found: Account, change: Moved | None,
    sliders: WhatIf | None, typed: Typed,
) -> Response:  # fmt: skip
    session, why = session_of(request), found.why
    around = shell(desk.state, session, why.words.key if why else "")
    said = reviewed(
        backing.ledger, found.account, found.as_of, session.csrf, session.user.may("reviewer")
    )
    verdicts = listed(backing.ledger, found.account, MOST_LISTED)
    return page(
        request, "account.html", status=422 if typed.wrong else 200, typed=typed,
        shell=around, account=found, moved=change, what_if=sliders,
        across=waterfall.scale(why.base, why.steps) if why else None, reviews=said,
        kept=request.query_params.get("kept") == "1", history=history,
        past=past(desk, found, change.points if change else (), verdicts), lanes=lanes,
        core_of=attrgetter("core"), tickets_of=attrgetter("tickets"), sparkline=sparkline,
        grid=grid, over_time=over_time, bar=waterfall.bar, level=waterfall.level,
        standing=standing, curve=curve,
    )  # fmt: skip


async def _moved_only(request: Request, backing: Backing, desk: Desk, account_id: str) -> Response:
    model = scorer_of(desk.state, request.query_params.get("model", "")).model.name
    change = await _moved(request, backing, account_id, model)
    return page(request, "account_moved.html", moved=change, history=history)


async def _what_if_only(
    request: Request, backing: Backing, desk: Desk, account_id: str
) -> Response:
    found = await asyncio.to_thread(_found, request, desk, account_id)
    sliders = await asyncio.to_thread(_what_if, request, backing, desk, found)
    return page(request, "account_what_if.html", what_if=sliders, account=found)


def _found(request: Request, desk: Desk, account_id: str) -> Account:
    return account(desk, account_id, request.query_params.get("model", ""))


async def _moved(request: Request, backing: Backing, account_id: str, model: str) -> Moved:
    query = request.query_params
    scored = await asyncio.to_thread(points, backing.ledger, account_id, model)
    since, to = query.get("from", ""), query.get("to", "")
    return await moved(backing, account_id, model, since, to, scored)


def _what_if(request: Request, backing: Backing, desk: Desk, found: Account) -> WhatIf | None:
    if found.why is None:
        return None
    signals = [part.signal for part in found.why.contributions]
    model = found.why.words.model
    return what_if(backing, desk, found.account, model, signals, request.query_params)
