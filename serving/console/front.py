"""`GET /` takes a browser to the console; scripts get the index that they always got."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse

HOME = "/console"
Scope = MutableMapping[str, Any]


class FrontDoor:
    """Sends whoever asks `/` for HTML to the console."""

    def __init__(self, app: Callable[[Scope, Any, Any], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass one connection on, or answer with the way to the console."""
        asked = scope["type"] == "http" and scope["path"] == "/"
        if asked and scope["method"] in ("GET", "HEAD") and wants_html(Headers(scope=scope)):
            headers = {"vary": "accept", "cache-control": "no-store"}
            await RedirectResponse(HOME, 303, headers)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def wants_html(headers: Headers) -> bool:
    """Whether a person's browser asks, as against a script.

    >>> wants_html(Headers({"accept": "text/html,*/*;q=0.8"})), wants_html(Headers())
    (True, False)
    """
    return "text/html" in headers.get("accept", "")
