"""`POST /v1/hubspot/score`: workflows of HubSpot ask, known by their signature instead of a key."""

import asyncio
import json
import os
import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from serving.api.access import SIGNED, opens
from serving.api.answers import headers_of
from serving.api.backing import Backing
from serving.api.bodies import ScoresRequest, parse_strictly
from serving.api.problems import PROBLEMS, ProblemError
from serving.api.reading import body_of
from serving.api.routes.scores import answer
from serving.crm.hubspot import Outputs, changed_accounts, outputs, read_action, unknown
from serving.crm.signatures import Signed, refusal
from serving.ledger import crm_answers

SECRET = "GOLDPAN_HUBSPOT_SECRET"  # noqa: S105 - the variable's name
PUBLIC_URL = "GOLDPAN_PUBLIC_URL"
ACCOUNT_FIELD = "GOLDPAN_HUBSPOT_ACCOUNT_FIELD"
ADDRESS = "/v1/hubspot/score"
ACTION = {
    "type": "object",
    "title": "HubspotAction",
    "description": "A custom workflow action, or a workflow's webhook, as HubSpot sends it.",
    "properties": {
        "callbackId": {"type": "string"},
        "origin": {"type": "object"},
        "context": {"type": "object"},
        "object": {"type": "object"},
        "inputFields": {"type": "object"},
        "properties": {"type": "object"},
    },
}
REQUEST_BODY = {"required": True, "content": {"application/json": {"schema": ACTION}}}


def routes(backing: Backing) -> APIRouter:
    """HubSpot's address."""
    router = APIRouter()

    @router.post(
        ADDRESS,
        operation_id="scoreForHubspot",
        summary="Score one account for a HubSpot workflow; signed by HubSpot instead of a key",
        responses=PROBLEMS,
        dependencies=opens(SIGNED),  # the signature is checked before anything is read
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def score_for_hubspot(request: Request) -> Response:
        content = await body_of(request)
        _check_signature(request, content)
        return _answered(request, await _told(backing, parse_strictly(content)))

    return router


async def _told(backing: Backing, body: Any) -> bytes:
    """The answer's bytes: for an action that was answered before, the same again."""
    field = os.environ.get(ACCOUNT_FIELD) or "account_id"
    if isinstance(body, list):
        accounts, others = changed_accounts(body, field)
        results = [await _outputs(backing, account) for account in accounts]
        return _bytes({"results": results, "ignored": others})
    asked = read_action(body, field)
    if asked.call is None:
        return _bytes({"outputFields": await _outputs(backing, asked.account)})
    former = await asyncio.to_thread(crm_answers.found, backing.ledger, asked.call)
    if former is not None:
        return former
    new = _bytes({"outputFields": await _outputs(backing, asked.account)})
    return await asyncio.to_thread(crm_answers.kept, backing.ledger, asked.call, new)


async def _outputs(backing: Backing, account: str) -> Outputs:
    asked = ScoresRequest(accounts=[account])
    try:
        told = await answer(backing, asked)
    except ProblemError as problem:
        if problem.kind != "unknown-account":
            raise
        return unknown(account)
    return outputs(told["results"][0])


def _check_signature(request: Request, content: bytes) -> None:
    """ProblemError unless the request is signed by the client secret of our app."""
    secret = os.environ.get(SECRET)
    if not secret:
        raise ProblemError("not-ready", f"HubSpot is not set up here: {SECRET} is not set.")
    signed = Signed(request.method, _public_address(request), content)
    headers = {name.lower(): value for name, value in request.headers.items()}
    why = refusal(secret, signed, headers, time.time_ns() // 1_000_000)
    if why is not None:
        found, expected = why
        detail = f"Found {found}; expected a request signed by HubSpot ({expected})."
        raise ProblemError("unauthorized", detail, "signature", found, expected)


def _public_address(request: Request) -> str:
    """The address that HubSpot called: behind a proxy not the one that we see."""
    public = os.environ.get(PUBLIC_URL, "").rstrip("/")
    base = public or f"{request.url.scheme}://{request.url.netloc}"
    query = request.url.query
    return f"{base}{ADDRESS}?{query}" if query else f"{base}{ADDRESS}"


def _answered(request: Request, body: bytes) -> Response:
    return Response(body, 200, headers=headers_of(request), media_type="application/json")


def _bytes(body: dict[str, Any]) -> bytes:
    return json.dumps(body, ensure_ascii=False, sort_keys=True).encode()
