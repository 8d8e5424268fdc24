"""Who may call what: every route says which scope opens it, and without a key nothing is open.

A route that says nothing is an error when the application is made, so that none is open by
oversight. The guard asks for a valid key before any route is looked up; the route then asks for its
scope.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from serving.api.credentials import key_in
from serving.api.problems import ProblemError
from serving.ledger import keys
from serving.ledger.keys import Key

OPEN = "open"
SIGNED = "signed"  # no key either: the route itself knows its caller by a signature
BELIEVED_SECONDS = 0.5  # a key revoked meanwhile is refused within a second
MOST_BELIEVED = 1_000
ADMITTING: set[Any] = set()
CHALLENGE = {"www-authenticate": 'Bearer realm="goldpan"'}

Decides = TypeVar("Decides", bound=Callable[..., Any])


class Doorkeeper:
    """Knows the key behind a text, from the ledger or from what it saw there just now."""

    def __init__(self, ledger: Engine) -> None:
        self.ledger = ledger
        self.believed: OrderedDict[bytes, tuple[float, Key | None]] = OrderedDict()
        self.asked: dict[bytes, asyncio.Future[Key | None]] = {}

    async def let_in(self, authorization: str) -> Key:
        """The valid key in the header's value; ProblemError without one."""
        text = key_in(authorization)
        if text is None:
            raise _unauthorized("no key", "Authorization: Bearer gp_…")
        key = await self.key(text)
        if key is None:
            expected = "a key that `goldpan key create` printed"
            raise _unauthorized("a key that we do not know", expected)
        if not key.valid(datetime.now(UTC)):
            what = "revoked" if key.revoked_at else "expired"
            raise _unauthorized(f"the key {key.id}, which is {what}", "a valid key")
        return key

    async def key(self, text: str) -> Key | None:
        """The key that the text is; None for a text that is none."""
        # Kept by digest: how long a look-up takes tells nothing of the keys that are kept.
        digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
        until, key = self.believed.get(digest, (0.0, None))
        return key if time.monotonic() < until else await self._ask(digest, text)

    async def _ask(self, digest: bytes, text: str) -> Key | None:
        """What the ledger says; those who ask meanwhile wait for the same answer."""
        if digest in self.asked:
            return await asyncio.shield(self.asked[digest])
        asked = self.asked[digest] = asyncio.ensure_future(self._read(digest, text))
        asked.add_done_callback(lambda _: self.asked.pop(digest, None))
        return await asyncio.shield(asked)

    async def _read(self, digest: bytes, text: str) -> Key | None:
        begun = time.monotonic()
        try:
            key = await asyncio.to_thread(keys.find, self.ledger, text)
        except SQLAlchemyError:
            detail = "The ledger that knows the keys does not answer. Try again."
            raise ProblemError("not-ready", detail, headers={"retry-after": "5"}) from None
        self.believed[digest] = (begun + BELIEVED_SECONDS, key)
        self.believed.move_to_end(digest)
        if len(self.believed) > MOST_BELIEVED:
            self.believed.popitem(last=False)
        return key


def admits(decides: Decides) -> Decides:
    """Mark a dependency as one that decides who may call the routes that have it."""
    ADMITTING.add(decides)
    return decides


def opens(scope: str) -> list[Any]:
    """A route's dependencies: the key of the request must hold `scope`.

    `OPEN` and `SIGNED` ask for none.
    """
    return [Security(_let_in, scopes=[scope])]


@admits
async def _let_in(request: Request, asked: SecurityScopes) -> None:
    for scope in asked.scopes:
        check_scope(request, scope)


def check_scope(request: Request, scope: str) -> None:
    """ProblemError unless the request's key holds a scope; `OPEN` and `SIGNED` need none."""
    if scope in (OPEN, SIGNED):
        return
    key: Key | None = getattr(request.state, "key", None)
    if key is None:
        raise _unauthorized("no key", "Authorization: Bearer gp_…")
    if not key.may(scope):
        raise ProblemError(
            "forbidden",
            f"The key {key.id} does not hold the scope {scope}.",
            field="authorization",
            found=f"scopes {', '.join(key.scopes)}",
            expected=f"a key with the scope {scope}",
        )


def scope_of(route: Any) -> str | None:
    """The scope that a route said opens it; None for a route that said nothing."""
    needs: list[Any] = list(route.dependencies) if isinstance(route, APIRoute) else []
    said = [need for need in needs if getattr(need, "dependency", None) is _let_in]
    return str(said[0].scopes[0]) if said else None


def declared(router: APIRouter) -> APIRouter:
    """The router; TypeError when a route of it does not say who may call it."""
    for route in router.routes:
        needs = route.dependencies if isinstance(route, APIRoute) else []
        if not any(getattr(need, "dependency", None) in ADMITTING for need in needs):
            raise TypeError(f"found {route} without a scope; expected dependencies=opens(…)")
    return router


def open_to_all(routes: Iterable[Any]) -> frozenset[tuple[str, str]]:
    """(method, path) of what needs no key; TypeError for such a path with a part that varies."""
    found = [route for route in routes if scope_of(route) in (OPEN, SIGNED)]
    if varying := [route.path for route in found if "{" in route.path]:
        raise TypeError(f"found {varying[0]} open to all; expected a path without parameters")
    return frozenset((method, route.path) for route in found for method in route.methods)


def _unauthorized(found: str, expected: str) -> ProblemError:
    return ProblemError(
        "unauthorized",
        f"Found {found}; expected {expected}.",
        field="authorization",
        found=found,
        expected=expected,
        headers=CHALLENGE,
    )
