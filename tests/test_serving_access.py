"""Who gets in: every route, asked with every kind of key, of a real service of two workers."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from serving_process import Service, running
from test_serving_world import served

from serving.api.access import OPEN, SIGNED, declared, open_to_all, opens, scope_of
from serving.api.app import AREAS
from serving.api.backing import Backing
from serving.api.problems import MEDIA_TYPE, Problem
from serving.console import app as console
from serving.ledger.database import opened
from serving.ledger.keys import SCOPES, create, revoke
from serving.state import State

FRAMEWORKS = ("/metrics", "/docs.json", "/schema.json", "/healthz", "/static_content/index.css",
              "/docs/oauth2-redirect", "/redoc", "/no/such", "/v1", "/assets")  # fmt: skip
NEEDS_NO_KEY = {"/livez", "/readyz"}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Two workers, so that what one knows the other must know too."""
    with running(served().workspace, workers=2) as service:
        yield service


def every_route() -> list[tuple[str, str, str]]:
    """(method, path, scope) of all routes of all areas; for the console's see its own tests."""
    backing = Backing(State, opened(served().workspace), served().workspace)
    routes = [route for area in AREAS if area is not console
              for route in area.routes(backing).routes]  # fmt: skip
    return [(m, r.path, str(scope_of(r))) for r in routes for m in r.methods]


def authorization(*scopes: str, **given: Any) -> dict[str, str]:
    """The header of a new key."""
    text, _ = create(opened(served().workspace), "access", scopes, **given)
    return {"authorization": f"Bearer {text}"}


def keys_that_open_nothing() -> dict[str, dict[str, str]]:
    """Headers with no key, a bad one, a revoked one, an expired one, and another scheme."""
    ledger = opened(served().workspace)
    text, key = create(ledger, "revoked", SCOPES)
    revoke(ledger, key.id)
    past = datetime.now(UTC) - timedelta(seconds=1)
    good = authorization(*SCOPES)["authorization"]
    return {
        "none": {},
        "bad": {"authorization": "Bearer gp_000000000000_" + "A" * 43},
        "junk": {"authorization": "Bearer é".encode("latin-1")},
        "empty": {"authorization": "Bearer"},
        "basic": {"authorization": good.replace("Bearer", "Basic")},
        "half": {"authorization": good[:-1]},
        "revoked": {"authorization": f"Bearer {text}"},
        "expired": authorization(*SCOPES, expires_at=past),
    }


def ask(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    """A request to a route's template, its parts that vary filled in."""
    path = path.replace("{", "").replace("}", "")
    return client.request(method, path, headers={"content-type": "application/json", **headers},
                          content=b"{}" if method == "POST" else None)  # fmt: skip


def test_without_a_valid_key_nothing_opens_but_what_is_meant_to(service: Service) -> None:
    """Every route × every kind of no key: 401 as a problem, which says Bearer."""
    asked = 0
    with service.asking() as client:
        for method, path, scope in every_route():
            for kind, headers in keys_that_open_nothing().items():
                answer = ask(client, method, path, headers)
                asked += 1
                if scope == OPEN:
                    assert answer.status_code == 200, (method, path, kind)
                elif scope == SIGNED:  # 503: HubSpot is not set up in this service
                    assert answer.status_code in (401, 503), (method, path, kind)
                else:
                    refused(answer, 401, "unauthorized")
                    assert answer.headers["www-authenticate"] == 'Bearer realm="goldpan"'
    assert asked >= 6 * len(keys_that_open_nothing())


def test_each_scope_opens_its_own_routes_and_no_others(service: Service) -> None:
    """Every route × each scope: 403 names the scope that lacks; admin opens everything."""
    keys = {scope: authorization(scope) for scope in SCOPES}
    with service.asking() as client:
        for method, path, needed in every_route():
            for scope, headers in keys.items():
                if needed == SIGNED:
                    continue
                answer = ask(client, method, path, headers)
                if needed in (OPEN, scope) or scope == "admin":
                    assert answer.status_code not in (401, 403), (method, path, scope)
                else:
                    problem = refused(answer, 403, "forbidden")
                    assert problem.expected == f"a key with the scope {needed}"


@pytest.mark.parametrize("path", FRAMEWORKS)
def test_what_is_unknown_is_401_without_a_key_and_404_with_one(service: Service, path: str) -> None:
    """Whoever has no key learns nothing of what there is; the framework's own routes are not."""
    ours = {p for _, p, _ in every_route()}
    with service.asking() as client:
        refused(client.get(path), 401, "unauthorized")
        if path not in ours:
            refused(client.get(path, headers=authorization("read")), 404, "not-found")
        refused(client.request("PROPFIND", path), 401, "unauthorized")


def test_only_health_is_open(service: Service) -> None:
    """And it tells versions, not places."""
    data = {path for _, path, scope in every_route() if scope == OPEN and "docs" not in path}
    assert data == NEEDS_NO_KEY
    with service.asking() as client:
        report = client.get("/readyz")
    assert [m.keys() for m in report.json()["models"]] == [{"name", "status", "model_version"}] * 3
    assert str(served().workspace.root) not in report.text


def test_a_revoked_key_is_refused_within_a_second_by_every_worker(service: Service) -> None:
    """Both workers answered with it just before; a second later neither does."""
    text, key = create(opened(served().workspace), "to be ended", ["read"])
    headers = {"authorization": f"Bearer {text}"}
    before = [answer_of_a_new_connection(service, headers) for _ in range(40)]
    assert set(before) == {200}
    revoke(opened(served().workspace), key.id)
    time.sleep(1)
    assert {answer_of_a_new_connection(service, headers) for _ in range(40)} == {401}


def test_a_new_key_is_taken_though_it_was_refused_just_before(service: Service) -> None:
    """What is believed of a text that is no key is forgotten as fast."""
    ledger = opened(served().workspace)
    text, _ = create(ledger, "to come", ["read"])
    headers = {"authorization": f"Bearer {text}"}
    assert answer_of_a_new_connection(service, headers) == 200


def answer_of_a_new_connection(service: Service, headers: dict[str, str]) -> int:
    """The status of a small request; a new connection, since the kernel deals those out."""
    with service.asking(headers) as client:
        return client.get("/").status_code


def refused(answer: httpx.Response, status: int, kind: str) -> Problem:
    """The problem that an answer tells, checked for what all have in common."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = Problem.model_validate_json(answer.content)
    assert problem.type == f"urn:goldpan:problem:{kind}"
    assert answer.headers["x-request-id"] == problem.request_id
    return problem


def test_a_route_that_does_not_say_who_may_call_it_is_no_route() -> None:
    """Making the application fails."""
    router = APIRouter()

    @router.get("/forgotten")
    async def forgotten() -> None:
        """Nothing."""

    with pytest.raises(TypeError, match=r"without a scope; expected dependencies=opens"):
        declared(router)


def test_what_is_open_to_all_has_no_part_that_varies() -> None:
    """What the guard lets pass is a list of whole addresses."""
    router = APIRouter()

    @router.get("/pages/{name}", dependencies=opens(OPEN))
    async def page(name: str) -> None:
        """Nothing."""

    with pytest.raises(TypeError, match=r"/pages/\{name\} open to all; expected a path without"):
        open_to_all(router.routes)
