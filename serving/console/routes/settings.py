"""The settings: keys and people, which only an admin sees and changes."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from features.errors import InputError
from serving.api.backing import Backing
from serving.console.access import check_written, session_of, signed_in
from serving.console.forms import form_of
from serving.console.front import HOME
from serving.console.pages import Page, page
from serving.console.views import settings
from serving.console.views.settings import Secret, access
from serving.console.views.shell import shell

PLACE = f"{HOME}/settings"
Change = Callable[[], Secret | str]


def routes(backing: Backing) -> APIRouter:
    """One page, and a form's address for each change; every form carries the session's token."""
    router = APIRouter(route_class=Page, include_in_schema=False)
    admin: dict[str, Any] = {"dependencies": signed_in("admin")}
    ledger = backing.ledger

    @router.get(PLACE, **admin)
    async def shown(request: Request) -> Response:
        return await asyncio.to_thread(_page, request, backing)

    @router.post(f"{PLACE}/keys", **admin)
    async def create_key(request: Request) -> Response:
        form = await _form(request)
        return await _changed(request, backing, partial(settings.create_key, ledger, form))

    @router.post(f"{PLACE}/keys/{{key_id}}/revoke", **admin)
    async def revoke_key(request: Request, key_id: str) -> Response:
        await _form(request)
        return await _changed(request, backing, partial(settings.revoke_key, ledger, key_id))

    @router.post(f"{PLACE}/people", **admin)
    async def add_person(request: Request) -> Response:
        form = await _form(request)
        return await _changed(request, backing, partial(settings.add_person, ledger, form))

    @router.post(f"{PLACE}/people/{{name}}/{{what}}", **admin)
    async def change_person(request: Request, name: str, what: str) -> Response:
        form, me = await _form(request), session_of(request).user
        change: dict[str, Change] = {
            "role": partial(settings.set_role, ledger, name, form.get("role", ""), me),
            "password": partial(settings.new_password, ledger, name, me),
            "remove": partial(settings.remove_person, ledger, name, me),
        }
        return await _changed(request, backing, change.get(what, _nothing))

    return router


async def _form(request: Request) -> dict[str, str]:
    form = await form_of(request)
    check_written(request, form)
    return form


async def _changed(request: Request, backing: Backing, change: Change) -> Response:
    """The page after a change, with what is shown once; as it was, with why, after a refusal."""
    try:
        told = await asyncio.to_thread(change)
    except InputError as error:
        refused = partial(_page, request, backing, 422, refused=str(error))
        return await asyncio.to_thread(refused)
    came = {"secret": told} if isinstance(told, Secret) else {"done": told}
    return await asyncio.to_thread(partial(_page, request, backing, **came))


def _nothing() -> str:
    raise InputError("a change that there is not", expected="role, password or remove")


def _page(request: Request, backing: Backing, status: int = 200, **told: object) -> Response:
    session = session_of(request)
    around = shell(backing.state(), session, "settings")
    shown = access(backing.ledger, session.user, **told)
    return page(request, "settings.html", status=status, shell=around, access=shown, place=PLACE)
