"""The style, the scripts and the icon: a fixed set, each under the digest of its content."""

from fastapi import APIRouter
from starlette.responses import Response

from serving.api.access import OPEN, opens
from serving.api.backing import Backing
from serving.api.problems import ProblemError
from serving.console.front import HOME
from serving.console.pages import HEADERS, Page, assets

TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}
KEPT = {**HEADERS, **FOR_EVER}


def routes(backing: Backing) -> APIRouter:
    """The files that pages load; they hold no data, so that the sign-in page can have them."""
    router = APIRouter(route_class=Page, include_in_schema=False)

    @router.get(f"{HOME}/static/{{digest}}/{{name:path}}", dependencies=opens(OPEN))
    async def file(name: str) -> Response:
        if name not in assets():
            raise ProblemError("not-found", "There is no such file.")
        kind = TYPES[name.rpartition(".")[2]]
        return Response(assets()[name], headers=KEPT, media_type=kind)

    return router
