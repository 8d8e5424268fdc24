"""Who may call what: every route says which scope opens it, and without a key nothing is open.

A route that says nothing is an error when the application is made, so that none is open by
oversight.
"""

import asyncio
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer, SecurityScopes
from sqlalchemy import Engine

from serving.api.credentials import key_in
from serving.api.problems import ProblemError
from serving.ledger import keys
from serving.ledger.keys import Key

OPEN = "open"
BELIEVED_SECONDS = 0.5  # a key revoked meanwhile is refused within a second
MOST_BELIEVED = 1_000
CHALLENGE = {"www-authenticate": 'Bearer realm="goldpan"'}

BEARER = HTTPBearer(auto_error=False, scheme_name="key", description="An API key of Goldpan.")
DESCRIBED = Security(BEARER)  # for the OpenAPI document: we read the header ourselves


class Doorkeeper:
    """Knows the key behind a text, from the ledger or from what it saw there just now."""

    def __init__(self, ledger: Engine) -> None:
        self.ledger = ledger
        self.believed: OrderedDict[str, tuple[float, Key | None]] = OrderedDict()

    async def key(self, text: str) -> Key | None:
        """The key that the text is; None for a text that is none."""
        until, key = self.believed.get(text, (0.0, None))
        if time.monotonic() >= until:
            key = await asyncio.to_thread(keys.find, self.ledger, text)
            self.believed[text] = (time.monotonic() + BELIEVED_SECONDS, key)
            self.believed.move_to_end(text)
            if len(self.believed) > MOST_BELIEVED:
                self.believed.popitem(last=False)
        return key


def opens(scope: str) -> list[Any]:
    """A route's dependencies: the key of the request must hold `scope`; `OPEN` asks for none."""
    return [Security(_let_in, scopes=[scope])]


async def _let_in(request: Request, asked: SecurityScopes, _: Any = DESCRIBED) -> None:
    if asked.scopes == [OPEN]:
        return
    key = await known(request)
    if lacking := [scope for scope in asked.scopes if not key.may(scope)]:
        raise ProblemError(
            "forbidden",
            f"The key {key.id} does not hold the scope {lacking[0]}.",
            field="authorization",
            found=f"scopes {', '.join(key.scopes)}",
            expected=f"a key with the scope {lacking[0]}",
        )


async def known(request: Request) -> Key:
    """The valid key of a request, noted in its state; ProblemError without one."""
    text = key_in(request.headers.get("authorization", ""))
    if text is None:
        raise _unauthorized("no key", "Authorization: Bearer gp_…")
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    key = await doorkeeper.key(text)
    if key is None:
        raise _unauthorized("a key that we do not know", "a key that `goldpan key create` printed")
    if not key.valid(datetime.now(UTC)):
        what = "revoked" if key.revoked_at else "expired"
        raise _unauthorized(f"the key {key.id}, which is {what}", "a valid key")
    request.state.key = key
    return key


def declared(router: APIRouter) -> APIRouter:
    """The router; TypeError when a route of it does not say who may call it."""
    for route in router.routes:
        said = isinstance(route, APIRoute) and any(
            getattr(need, "dependency", None) is _let_in for need in route.dependencies
        )
        if not said:
            raise TypeError(f"found {route} without a scope; expected dependencies=opens(…)")
    return router


def _unauthorized(found: str, expected: str) -> ProblemError:
    return ProblemError(
        "unauthorized",
        f"Found {found}; expected {expected}.",
        field="authorization",
        found=found,
        expected=expected,
        headers=CHALLENGE,
    )
