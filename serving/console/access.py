"""Who may see what in the console: a person's session, and that a form came from our own page."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request, Security
from fastapi.security import SecurityScopes
from starlette.responses import Response

from serving.api.access import Doorkeeper, admits
from serving.api.problems import ProblemError
from serving.ledger import sessions
from serving.ledger.sessions import LASTS, Session

COOKIE = "goldpan_session"


def signed_in(role: str = "viewer") -> list[Any]:
    """A route's dependencies: a person with this role, or a greater, is signed in."""
    return [Security(_person, scopes=[role])]


@admits
async def _person(request: Request, asked: SecurityScopes) -> None:
    session = await current(request)
    if session is None:
        raise ProblemError(
            "unauthorized", "Found no session; expected one: sign in.", field="cookie",
            found="no session", expected=f"the cookie {COOKIE} of a session",
        )  # fmt: skip
    [role] = asked.scopes
    if not session.user.may(role):
        raise ProblemError(
            "forbidden",
            f"Found the role {session.user.role}; expected {role}. An admin can change it.",
            found=session.user.role,
            expected=role,
        )
    request.state.session = session


async def current(request: Request) -> Session | None:
    """The session that the request's cookie names."""
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    return await asyncio.to_thread(sessions.find, doorkeeper.ledger, token)


def session_of(request: Request) -> Session:
    """The session that opened this page."""
    found: Session = request.state.session
    return found


def check_written(request: Request, form: Mapping[str, str]) -> None:
    """Refuse what was not written on a page of ours by the person signed in."""
    check_origin(request)
    if not session_of(request).wrote(form.get("csrf", "")):
        raise ProblemError(
            "forbidden", "Found a form that is not ours or is too old. Reload the page, try again.",
            field="csrf", found="another token", expected="the token of this session's pages",
        )  # fmt: skip


def check_origin(request: Request) -> None:
    """Refuse what a page of another site sent; browsers say where a form comes from."""
    said = request.headers
    if (fetched := said.get("sec-fetch-site")) is not None:
        ours = fetched in ("same-origin", "none")
    else:  # an old browser, or no browser
        origin = said.get("origin")
        ours = origin is None or urlsplit(origin).netloc == said.get("host")
    if not ours:
        raise ProblemError(
            "forbidden", "Found a form sent by another site; expected one of our own pages.",
            field="origin", found="another site", expected="this site",
        )  # fmt: skip


def remember(request: Request, response: Response, token: str) -> None:
    """Give the browser its session: out of reach of scripts, sent by no other site's forms."""
    # Lax and not Strict: who follows a link from the CRM to an account is still signed in.
    response.set_cookie(
        COOKIE, token, max_age=int(LASTS.total_seconds()), path="/console", httponly=True,
        samesite="lax", secure=_encrypted(request),
    )  # fmt: skip


def forget(request: Request, response: Response) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        COOKIE, path="/console", httponly=True, samesite="lax", secure=_encrypted(request)
    )


def _encrypted(request: Request) -> bool:
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
