"""What runs the service asks: where things are, whether it lives, whether it is ready, figures."""

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from serving.api import metrics
from serving.api.access import OPEN, opens
from serving.api.answers import answered, request_id
from serving.api.backing import Backing

PATH = re.compile(r"(?<![\w.])(?:/(?:[\w.@~+-]+/)*|(?:[\w.@~+-]+/){2,})([\w.@~+-]+)")


def routes(backing: Backing) -> APIRouter:
    """The addresses outside `/v1`."""
    router = APIRouter()

    @router.get("/", operation_id="index", summary="Where things are", dependencies=opens("read"))
    async def index(request: Request) -> Response:
        places = {"scores": "/v1/scores", "openapi": "/openapi.json", "ready": "/readyz"}
        return answered(request, {"name": "Goldpan", "links": places})

    @router.get(
        "/livez", operation_id="live", summary="Whether the process answers",
        dependencies=opens(OPEN),
    )  # fmt: skip
    async def live(request: Request) -> Response:
        return answered(request, {"status": "alive"})

    @router.get(
        "/readyz", operation_id="ready", summary="Whether every promoted model answers",
        dependencies=opens(OPEN),
    )  # fmt: skip
    async def ready(request: Request) -> Response:
        now = backing.state()
        return answered(request, without_paths(now.report()), 200 if now.ready else 503)

    @router.get(
        "/metrics", operation_id="metrics", summary="The service's figures for Prometheus",
        dependencies=opens("read"),
    )  # fmt: skip
    async def figures(request: Request) -> Response:
        headers = {"x-request-id": request_id(request), "cache-control": "no-store"}
        content = await run_in_threadpool(metrics.exposed)
        return Response(content, headers=headers, media_type=metrics.MEDIA_TYPE)

    return router


def without_paths(report: Any) -> Any:
    """A report as anybody may see it: files by their names, not by where they lie.

    >>> without_paths({"detail": "Found sha256 1 of /srv/w/bundles/churn/1/model.txt; run 1/2"})
    {'detail': 'Found sha256 1 of model.txt; run 1/2'}
    """
    if isinstance(report, dict):
        return {name: without_paths(value) for name, value in report.items()}
    if isinstance(report, list):
        return [without_paths(value) for value in report]
    return PATH.sub(r"\1", report) if isinstance(report, str) else report
