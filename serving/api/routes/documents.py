"""What the API says of itself: its OpenAPI documents."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.access import opens
from serving.api.answers import answered
from serving.api.backing import Backing


def routes(backing: Backing) -> APIRouter:
    """The documents."""
    router = APIRouter()

    @router.get("/openapi.json", operation_id="openapi", dependencies=opens("read"))
    async def openapi(request: Request) -> Response:
        return answered(request, request.app.openapi())

    return router
