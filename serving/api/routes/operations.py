"""What runs the service asks: where things are, whether it lives, whether it is ready."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.access import OPEN, opens
from serving.api.answers import answered
from serving.api.backing import Backing


def routes(backing: Backing) -> APIRouter:
    """The addresses outside `/v1`."""
    router = APIRouter()

    @router.get("/", operation_id="index", summary="Where things are", dependencies=opens("read"))
    async def index(request: Request) -> Response:
        places = {"scores": "/v1/scores", "openapi": "/openapi.json", "ready": "/readyz"}
        return answered(request, {"name": "Goldpan", "links": places})

    @router.get("/openapi.json", operation_id="openapi", dependencies=opens("read"))
    async def openapi(request: Request) -> Response:
        return answered(request, request.app.openapi())

    @router.get(
        "/livez", operation_id="live", summary="Whether the process answers",
        dependencies=opens(OPEN),
    )  # fmt: skip
    async def live(request: Request) -> Response:
        return answered(request, {"status": "alive"})

    @router.get(
        "/readyz", operation_id="ready", summary="What answers, and what does not",
        dependencies=opens(OPEN),
    )  # fmt: skip
    async def ready(request: Request) -> Response:
        now = backing.state()
        return answered(request, now.report(), 200 if now.answering else 503)

    return router
