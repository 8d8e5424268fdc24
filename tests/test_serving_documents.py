"""The API's documents: complete, valid, and such that Salesforce's External Services take them."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate
from serving_process import Service, running, until
from test_serving_world import authorization, served

from serving.api.app import AREAS
from serving.api.backing import Backing
from serving.api.openapi_30 import APEX, MOST_DESCRIPTION, for_salesforce, in_30
from serving.api.problems import MEDIA_TYPE, TITLES
from serving.ledger.database import opened
from serving.state import State

Document = dict[str, Any]
FORBIDDEN = {"anyOf", "oneOf", "not", "const", "discriminator", "examples", "$defs",
             "patternProperties", "prefixItems"}  # fmt: skip
CHROMIUM = shutil.which("chromium")
REQUIRED = "chromium" in os.environ.get("GOLDPAN_REQUIRE", "").replace(",", " ").split()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A running service."""
    with running(served().workspace) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[httpx.Client]:
    """A client that may read."""
    with service.asking(authorization("read")) as client:
        yield client


@pytest.fixture(scope="module")
def full(client: httpx.Client) -> Document:
    """The 3.1 document."""
    return dict(client.get("/openapi.json").json())


@pytest.fixture(scope="module")
def for_crm(client: httpx.Client) -> Document:
    """The 3.0.3 document."""
    return dict(client.get("/v1/openapi-3.0.json").json())


def operations(document: Document) -> list[tuple[str, str, Document]]:
    """(path, method, operation) of all."""
    return [(p, m, o) for p, item in document["paths"].items() for m, o in item.items()]


def nodes(value: Any, where: str = "") -> Iterator[tuple[str, Document]]:
    """Every object of a document, and where it stands."""
    if isinstance(value, dict):
        yield where, value
        for name, part in value.items():
            yield from nodes(part, f"{where}/{name}")
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from nodes(part, f"{where}/{place}")


def schemas(document: Document) -> list[tuple[str, Document]]:
    """Every schema: the named ones, those of contents and parameters, and their parts."""
    tops = {f"#/{n}": s for n, s in document["components"]["schemas"].items()}
    for where, node in nodes(document["paths"]):
        if isinstance(node.get("schema"), dict):
            tops[where] = node["schema"]
    found = []
    for top, schema in tops.items():
        waiting = [(top, schema)]
        while waiting:
            where, one = waiting.pop()
            found.append((where, one))
            waiting += [(f"{where}.{n}", s) for n, s in one.get("properties", {}).items()]
            waiting += [(f"{where}[]", one[k]) for k in ("items", "additionalProperties")
                        if isinstance(one.get(k), dict)]  # fmt: skip
            waiting += [(f"{where}&", part) for part in one.get("allOf", [])]
    return found


def test_both_documents_are_valid(full: Document, for_crm: Document) -> None:
    """By the standards' own schemas."""
    assert full["openapi"].startswith("3.1.")
    assert for_crm["openapi"] == "3.0.3"
    validate(full)
    validate(for_crm)
    validate(in_30(full))


def test_every_route_is_documented_with_its_key_and_its_errors(full: Document) -> None:
    """Security, the request's id, every status that may come, each a problem with examples."""
    backing = Backing(State, opened(served().workspace), served().workspace)
    routes = [r for area in AREAS for r in area.routes(backing).routes if r.include_in_schema]
    assert {(r.path, m.lower()) for r in routes for m in r.methods} == {
        (path, method) for path, method, _ in operations(full)
    }
    schemes = full["components"]["securitySchemes"]
    assert schemes["key"]["type"] == "http"
    assert schemes["key"]["scheme"] == "bearer"
    for path, method, operation in operations(full):
        open_ = path in ("/livez", "/readyz") or "hubspot" in path
        assert operation["security"] == ([] if open_ else [{"key": []}]), path
        assert operation["operationId"]
        assert operation["summary"]
        wanted = {"500", "503", "504"} | (set() if open_ else {"401", "403", "429"})
        wanted |= {"400", "408", "413", "415", "422"} if method == "post" else set()
        assert wanted <= operation["responses"].keys(), path
    for status, response in full["components"]["responses"].items():
        examples = response["content"][MEDIA_TYPE]["examples"]
        kinds = {kind for kind, (its, _) in TITLES.items() if f"Problem{its}" == status}
        assert examples.keys() == kinds
        for kind, example in examples.items():
            assert example["value"]["type"] == f"urn:goldpan:problem:{kind}"


def test_the_request_for_scores_says_all_its_limits(full: Document) -> None:
    """The pattern of ids, how many, an example, and the header that names a request."""
    post = full["paths"]["/v1/scores"]["post"]
    content = post["requestBody"]["content"]["application/json"]
    assert content["example"]["accounts"]
    body = full["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    accounts = body["properties"]["accounts"]
    assert accounts["items"]["pattern"] == r"^[A-Za-z0-9_.:@-]{1,200}$"
    assert (accounts["minItems"], accounts["maxItems"]) == (1, 1000)
    assert body["additionalProperties"] is False
    assert "Idempotency-Key" in {p["name"] for p in post["parameters"]}


def test_the_crms_document_has_nothing_that_external_services_refuse(for_crm: Document) -> None:
    """No null, no union, no mapping, one type, JSON alone; closed schemas or maps."""
    assert len(schemas(for_crm)) > 30
    for where, schema in schemas(for_crm):
        assert not FORBIDDEN & schema.keys(), where
        assert not isinstance(schema.get("type"), list), where
        assert schema.get("type") != "null", where
        assert schema.get("default", 0) is not None, where
        assert None not in schema.get("enum", []), where
        assert not isinstance(schema.get("exclusiveMinimum", False), float), where
        if schema.get("type") == "array":
            assert "items" in schema, where
    for path, _, operation in operations(for_crm):
        for response in operation["responses"].values():
            assert response["content"].keys() == {"application/json"}, path
            assert "headers" not in response
        assert {"200", "201", "202"} & operation["responses"].keys(), path
    assert "null" not in {node.get("type") for _, node in nodes(for_crm) if "type" in node
                          and isinstance(node["type"], str)}  # fmt: skip


def test_names_in_the_crms_document_are_apex_identifiers(for_crm: Document) -> None:
    """Operations, schemas, properties and parameters of paths and queries; and no name twice."""
    names = [o["operationId"] for _, _, o in operations(for_crm)]
    assert len(set(names)) == len(names)
    names += list(for_crm["components"]["schemas"])
    names += [n for _, schema in schemas(for_crm) for n in schema.get("properties", {})]
    names += [
        p["name"] for _, _, o in operations(for_crm) for p in o.get("parameters", [])
        if p["in"] != "header"
    ]  # fmt: skip
    assert [name for name in names if not APEX.match(name)] == []


def test_descriptions_in_the_crms_document_are_kept_whole(for_crm: Document) -> None:
    """None is longer than what is kept of it."""
    texts = [node["description"] for _, node in nodes(for_crm)
             if isinstance(node.get("description"), str)]  # fmt: skip
    assert texts
    assert max(map(len, texts)) <= MOST_DESCRIPTION


def test_the_crms_document_holds_what_a_crm_calls(for_crm: Document, service: Service) -> None:
    """Scores and readiness, on a server with an address; a GET has no body."""
    assert {"/v1/scores", "/readyz"} <= for_crm["paths"].keys()
    assert not [p for p in for_crm["paths"] if p in ("/metrics", "/docs", "/")]
    [server] = for_crm["servers"]
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", server["url"])
    assert not [p for p, m, o in operations(for_crm) if m == "get" and "requestBody" in o]


HARD = {
    "Nothing": {"type": "null"},
    "Cat": {"type": "object", "required": ["kind", "lives"],
            "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}},
    "Dog": {"type": "object", "required": ["kind"],
            "properties": {"kind": {"const": "dog"}, "name": {"type": "string"}}},
    "Pet": {"oneOf": [{"$ref": "#/components/schemas/Cat"}, {"$ref": "#/components/schemas/Dog"}],
            "discriminator": {"propertyName": "kind", "mapping": {"cat": "x"}}},
    "Maybe": {"anyOf": [{"$ref": "#/components/schemas/Cat"}, {"type": "null"}]},
    "Bound": {"type": "number", "exclusiveMinimum": 0, "examples": [1, 2]},
    "Either": {"type": ["string", "null"], "enum": ["a", None], "default": None},
    "Any": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
}  # fmt: skip


def test_what_31_says_and_30_cannot_is_said_as_well_as_it_can() -> None:
    """Unions become one object that may have all fields; a bound says that it is left out."""
    content = {"application/json": {"schema": {
        "type": "object",
        "properties": {n: {"$ref": f"#/components/schemas/{n}"} for n in HARD if n != "Nothing"},
    }}}  # fmt: skip
    document = {
        "openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "servers": [{"url": "/"}],
        "paths": {"/v1/x": {"get": {"operationId": "x", "responses": {
            "200": {"description": "", "content": content}}}}},
        "components": {"schemas": HARD, "securitySchemes": {}},
    }  # fmt: skip
    made = for_salesforce(document)
    validate(made)
    found = made["components"]["schemas"]
    assert found["Pet"] == {
        "type": "object",
        "properties": {"kind": {"type": "string", "enum": ["cat", "dog"]},
                       "lives": {"type": "integer"}, "name": {"type": "string"}},
        "required": ["kind"],
    }  # fmt: skip
    assert found["Maybe"] == {"$ref": "#/components/schemas/Cat"}
    assert found["Bound"] == {
        "type": "number", "minimum": 0, "exclusiveMinimum": True, "example": 1
    }  # fmt: skip
    assert found["Either"] == {"type": "string", "enum": ["a"]}
    assert found["Any"] == {"type": "string"}


def test_the_page_loads_nothing_from_elsewhere_and_runs_nothing_inline(service: Service) -> None:
    """Its files are open, hold no data, and a strict policy says what they may do."""
    with service.asking() as client:
        page = client.get("/docs")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in re.sub(r"http-equiv", "", page.text)
        assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", page.text)
        for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
            assert client.get(path).status_code == 200, path
        assert client.get("/docs/openapi.json").status_code == 401


@pytest.mark.skipif(
    not CHROMIUM and not REQUIRED, reason="Chromium is not here: install Debian's chromium"
)
def test_the_page_shows_the_api_in_a_browser(service: Service, tmp_path: Path) -> None:
    """A browser refuses a bad key in words, then shows every operation; nothing is blocked."""
    from playwright.sync_api import sync_playwright

    said: list[str] = []
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.on("requestfailed", lambda request: said.append(request.url))
        page.goto(f"{service.url}/docs")
        page.fill("#key", "gp_not_one")
        page.click("button")
        # Playwright's own waiting evaluates text in the page again, which its policy forbids.
        until(lambda: page.evaluate("document.getElementById('said').textContent.includes('key')"))
        page.fill("#key", authorization("read")["authorization"].removeprefix("Bearer "))
        page.click("button")
        page.wait_for_selector("body[data-shown=yes] .opblock")
        shown = page.inner_text("#document")
        page.screenshot(path=str(tmp_path / "docs.png"))
        browser.close()
    for path in ("/v1/scores", "/readyz", "/metrics"):
        assert path in shown
    assert "Unable to render" not in shown
    assert [line for line in said if "401" not in line] == []
