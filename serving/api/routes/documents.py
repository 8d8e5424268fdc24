"""What the API says of itself: its OpenAPI documents, and a page that shows them.

The page and what it is made of are open to all: they hold no data. It asks for a key and fetches
the document with that.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from serving.api.access import OPEN, opens
from serving.api.answers import headers_of
from serving.api.backing import Backing
from serving.api.openapi import documented
from serving.api.openapi_30 import for_salesforce, in_30

PAGES = Path(__file__).parent.parent / "pages"
FILES = {
    "/docs": ("docs.html", "text/html"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
    "/docs/docs.css": ("docs.css", "text/css"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript"),
    "/docs/swagger-ui.css": ("swagger-ui.css", "text/css"),
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer"}


def routes(backing: Backing) -> APIRouter:
    """The documents and the page."""
    router = APIRouter()

    @router.get(
        "/openapi.json", operation_id="openapi", summary="This API as OpenAPI 3.1",
        dependencies=opens("read"),
    )  # fmt: skip
    async def openapi(request: Request) -> Response:
        return _document(request, _made(request, "3.1", lambda document: document))

    @router.get(
        "/v1/openapi-3.0.json", operation_id="openapi30", dependencies=opens("read"),
        summary="What Salesforce's External Services take, as OpenAPI 3.0.3",
    )  # fmt: skip
    async def openapi_30(request: Request) -> Response:
        document = _made(request, "3.0", for_salesforce)
        servers = [{"url": f"https://{request.url.netloc}"}]
        return _document(request, document | {"servers": servers})

    @router.get("/docs/openapi.json", include_in_schema=False, dependencies=opens("read"))
    async def openapi_of_the_page(request: Request) -> Response:
        return _document(request, _made(request, "page", in_30))

    for path, (name, media_type) in FILES.items():
        content = _file(name).read_bytes()
        router.add_api_route(
            path, _page(content, media_type), include_in_schema=False, dependencies=opens(OPEN)
        )
    return router


def _file(name: str) -> Path:
    """A file of ours, or of the Swagger UI that is installed."""
    from swagger_ui_bundle import swagger_ui_path  # type: ignore[import-untyped]

    return PAGES / name if (PAGES / name).exists() else Path(swagger_ui_path) / name


def _page(content: bytes, media_type: str) -> Callable[..., Any]:
    async def page(request: Request) -> Response:
        headers = {**headers_of(request), **HEADERS, "cache-control": "no-cache"}
        return Response(content, headers=headers, media_type=media_type)

    return page


def _made(request: Request, name: str, of: Callable[[Any], Any]) -> dict[str, Any]:
    """A document, made when it is first asked for."""
    made: dict[str, Any] = request.app.state.documents
    if name not in made:
        made[name] = of(documented(request.app, request.app.state.routes))
    return dict(made[name])


def _document(request: Request, document: dict[str, Any]) -> Response:
    """A document as it is: its own format has no room for the request's id but in the header."""
    return JSONResponse(document, headers=headers_of(request))
