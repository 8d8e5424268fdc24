"""How every page is made and refused: templates that escape, headers that allow no foreign code."""

import hashlib
import logging
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from serving.api.answers import request_id
from serving.api.problems import TITLES, ProblemError
from serving.console import format as formats
from serving.console.drawings.meter import meter
from serving.console.front import HOME, wants_html

FAILED = "Something on our side failed. Try again; name the request when you tell us."
HERE = Path(__file__).parent
STATIC = HERE / "static"
SIGN_IN = f"{HOME}/sign-in"
POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
    "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
))  # fmt: skip
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "vary": "cookie, accept, hx-request",
}
log = logging.getLogger("goldpan.serving")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Page(APIRoute):
    """A route whose errors are pages for browsers; others get problem+json as everywhere."""

    def get_route_handler(self) -> Handler:
        """The handler of this route, with its errors told as pages."""
        inner = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await inner(request)
            except ProblemError as error:
                return refused(request, error)
            except Exception as error:
                if not wants_html(request.headers):
                    raise
                log.error("request %s failed", request_id(request), exc_info=error)
                return refused(request, ProblemError("internal-error", FAILED))

        return told


def page(request: Request, template: str, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page of the console."""
    headers = {**HEADERS, "x-request-id": request_id(request)}
    content = environment().get_template(template).render(request=request, **shown)
    return HTMLResponse(content, status, headers)


def refused(request: Request, problem: ProblemError) -> Response:
    """An error as a page; who is not signed in is taken there, and back afterwards."""
    partial = "hx-request" in request.headers
    if not partial and not wants_html(request.headers):
        return problem.response(request_id(request))
    status, title = TITLES[problem.kind]
    status = problem.status or status
    if problem.kind == "forbidden":  # the API speaks of keys, which people do not have
        title = "The form was not taken" if problem.field else "Your role does not open this"
    if status == 401:
        return _to_sign_in(request, partial=partial)
    answer = page(
        request, "problem.html", status=status, title=title, detail=problem.detail,
        number=status, reference=request_id(request),
    )  # fmt: skip
    answer.headers.update(problem.headers)
    return answer


def _to_sign_in(request: Request, *, partial: bool) -> Response:
    there = request.headers.get("hx-current-url", "") if partial else str(request.url)
    after = there[there.find(HOME) :] if HOME in there else HOME
    place = f"{SIGN_IN}?next={quote(after, safe='')}"
    if partial:  # htmx follows this; a redirect would put the sign-in page inside this one
        return Response(status_code=401, headers={"hx-redirect": place, **HEADERS})
    return RedirectResponse(place, 303, HEADERS)


def redirect(place: str) -> Response:
    """On to another page, after a form was taken."""
    return RedirectResponse(place, 303, HEADERS)


@cache
def environment() -> Environment:
    """The templates; every value is escaped, and one that is missing is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.globals.update(asset=asset, home=HOME, f=formats, meter=meter)
    made.filters["urlpath"] = lambda text: quote(str(text), safe="")
    return made


@cache
def assets() -> dict[str, bytes]:
    """Every file that pages load, by its name; nothing else can be asked for."""
    return {
        path.relative_to(STATIC).as_posix(): path.read_bytes()
        for path in STATIC.rglob("*")
        if path.suffix in (".css", ".js", ".svg")
    }


@cache
def asset(name: str) -> str:
    """The address of a file, another one when its content is: it may be kept for ever."""
    return f"{HOME}/static/{digest(name)}/{name}"


@cache
def digest(name: str) -> str:
    """The first characters of a file's sha256."""
    return hashlib.sha256(assets()[name]).hexdigest()[:12]
