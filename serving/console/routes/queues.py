"""The queues: at risk, prospects, upgrades, each also as CSV."""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.backing import Backing
from serving.api.problems import ProblemError
from serving.console.access import session_of, signed_in
from serving.console.front import HOME
from serving.console.pages import HEADERS, Page, page
from serving.console.views.asked import asked
from serving.console.views.desk import Desk, Desks
from serving.console.views.export import exported
from serving.console.views.picked import Asker
from serving.console.views.queue import part
from serving.console.views.shell import shell
from serving.console.views.words import QUEUES, Words
from serving.ledger.reviews import settled


def routes(backing: Backing, desks: Desks) -> APIRouter:
    """A page and a CSV for each queue."""
    router = APIRouter(route_class=Page, include_in_schema=False)
    for words in QUEUES:
        _add(router, backing, desks, words)
    return router


def _add(router: APIRouter, backing: Backing, desks: Desks, words: Words) -> None:
    @router.get(words.place, dependencies=signed_in())
    async def queue(request: Request) -> Response:
        return await asyncio.to_thread(_page, request, backing, desks, words)

    @router.get(f"{HOME}/export/{words.key}.csv", dependencies=signed_in())
    async def export(request: Request) -> Response:
        return await asyncio.to_thread(_export, request, backing, desks, words)


def _page(request: Request, backing: Backing, desks: Desks, words: Words) -> Response:
    state = backing.state()
    if not state.answering or words.model not in (desk := desks.of(state)).state.scorers:
        around = shell(state, session_of(request), words.key)
        return page(request, "not_ready.html", shell=around, words=words, state=state)
    around = shell(desk.state, session_of(request), words.key)
    wanted = asked(request.query_params.multi_items())
    shown = part(desk, words, wanted, _asker(request, backing, desk, words))
    partial = request.headers.get("hx-target") == "results"
    template = "results.html" if partial else "queue.html"
    answer = page(request, template, shell=around, part=shown, partial=partial)
    if partial:
        answer.headers["hx-push-url"] = shown.address()
    return answer


def _export(request: Request, backing: Backing, desks: Desks, words: Words) -> Response:
    desk = _desk(backing, desks, words)
    wanted = asked(request.query_params.multi_items())
    content = exported(desk, words, wanted, _asker(request, backing, desk, words))
    name = f"goldpan-{words.key}-{desk.table.as_of}.csv"
    headers = {**HEADERS, "content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=headers, media_type="text/csv; charset=utf-8")


def _asker(request: Request, backing: Backing, desk: Desk, words: Words) -> Asker:
    """Who reads a queue, with the accounts that they have looked at since these were scored."""
    since = desk.snapshot.scored_at
    user, today = session_of(request).user.name, datetime.now(UTC).date()
    return Asker(backing.ledger, settled(backing.ledger, user, words.model, since, today))


def _desk(backing: Backing, desks: Desks, words: Words) -> Desk:
    desk = desks.of(backing.state())
    if words.model not in desk.state.scorers:
        raise ProblemError("not-ready", f"No model of {words.model} is promoted.")
    return desk
