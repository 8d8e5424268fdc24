"""What runs the service asks: where things are, whether it lives, whether it is ready, figures."""

import re
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from serving.api import metrics
from serving.api.access import OPEN, opens
from serving.api.answers import answered, headers_of
from serving.api.backing import Backing
from serving.api.problems import MEDIA_TYPE, Problem, ProblemError
from serving.intake import waiting

PATH = re.compile(r"(?<![\w.])(?:/(?:[\w.@~+-]+/)*|(?:[\w.@~+-]+/){2,})([\w.@~+-]+)")
PLACES = {
    "scores": "/v1/scores",
    "openapi": "/openapi.json",
    "docs": "/docs",
    "ready": "/readyz",
    "metrics": "/metrics",
}


class Index(BaseModel):
    """Where things are: a name → an address."""

    request_id: str
    name: str
    links: dict[str, str]


class Alive(BaseModel):
    """The process answers."""

    request_id: str
    status: Literal["alive"]


class ModelReadiness(BaseModel):
    """One promoted model, or the accounts (`snapshot`)."""

    name: str
    status: Literal["ready", "degraded", "failed"]
    model_version: str = ""
    detail: str = ""


class Intake(BaseModel):
    """What became of the events that were acknowledged.

    "waiting": they are kept, and nobody takes them into the lake by itself; `detail` says who does.
    """

    status: Literal["in_the_lake", "on_their_way", "waiting"]
    bytes_waiting: int
    detail: str = ""


class Readiness(BaseModel):
    """Models answer, about the accounts of the day `as_of`.

    "degraded": something that was promoted or scored since cannot be taken over.
    """

    request_id: str
    status: Literal["ready", "degraded"]
    models: list[ModelReadiness]
    as_of: str
    snapshot: str
    accounts: int
    events: Intake


class NotReady(Problem):
    """The problem of a service that cannot answer yet, with what is known of each model."""

    models: list[ModelReadiness]
    as_of: str = ""
    snapshot: str = ""
    accounts: int = 0


NOT_READY = {503: {"description": "A model cannot answer, or the accounts are not there",
                   "content": {MEDIA_TYPE: {"schema": NotReady.model_json_schema()}}}}  # fmt: skip


def routes(backing: Backing) -> APIRouter:
    """The addresses outside `/v1`."""
    router = APIRouter()

    @router.get(
        "/", operation_id="index", summary="Where things are", response_model=Index,
        dependencies=opens("read"),
    )  # fmt: skip
    async def index(request: Request) -> Response:
        return answered(request, {"name": "Goldpan", "links": PLACES})

    @router.get(
        "/livez", operation_id="live", summary="Whether the process answers",
        response_model=Alive, dependencies=opens(OPEN),
    )  # fmt: skip
    async def live(request: Request) -> Response:
        return answered(request, {"status": "alive"})

    @router.get(
        "/readyz", operation_id="ready", summary="What answers, and what does not",
        response_model=Readiness, responses=NOT_READY,  # type: ignore[arg-type] # str keys too
        dependencies=opens(OPEN),
    )  # fmt: skip
    async def ready(request: Request) -> Response:
        now = backing.state()
        report = without_paths(now.report())
        if not now.answering:
            raise not_ready(report)
        events = await run_in_threadpool(waiting.told, backing.workspace)
        return answered(request, {**report, "events": events})

    @router.get(
        "/metrics", operation_id="metrics", summary="The service's figures for Prometheus",
        response_class=PlainTextResponse, dependencies=opens("read"),
    )  # fmt: skip
    async def figures(request: Request) -> Response:
        content = await run_in_threadpool(metrics.exposed)
        return Response(content, headers=headers_of(request), media_type=metrics.MEDIA_TYPE)

    return router


def not_ready(report: dict[str, Any]) -> ProblemError:
    """The problem that a report of readiness tells, with the report beside it."""
    failed = [model["name"] for model in report["models"] if model["status"] == "failed"]
    more = {name: value for name, value in report.items() if name != "status"}
    return ProblemError("not-ready", f"Not ready: {', '.join(failed) or 'accounts'}.", more=more)


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
