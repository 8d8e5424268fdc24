"""The OpenAPI 3.1 document: what the routes declare, and what the guard does around all of them."""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.api.access import OPEN, SIGNED, scope_of
from serving.api.problems import MEDIA_TYPE, PROBLEMS, TITLES, FieldError, Problem, kinds
from serving.ledger.keys import SCOPES

Document = dict[str, Any]

FROM_FASTAPI = ("HTTPValidationError", "ValidationError")
REFERENCE = "#/components/schemas/"
ANYWHERE = (401, 403, 404, 422, 429, 500, 503, 504)
WITH_BODY = (400, 408, 409, 413, 415)
KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key that `goldpan key create` printed. Its scopes are some of "
    + ", ".join(SCOPES) + "; each operation says which one it needs.",
}  # fmt: skip
HEADERS = {
    "x-request-id": ("The request's name, as in the body.", {"type": "string"}),
    "ratelimit": ('What is left, as `"key";r=1187;t=1`.', {"type": "string"}),
    "ratelimit-policy": ('The limit, as `"key";q=1200;w=2`.', {"type": "string"}),
    "retry-after": ("Seconds to wait.", {"type": "integer", "minimum": 1}),
}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of the caller's for this request. Sent again within 24 hours with the "
    "same body, the first answer is given again, byte for byte, and nothing is done twice.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"},
    "example": "9f1c1c0e-3c9b-4f7e-a0a5-5f6f6e0a2b11",
}
EXAMPLES: Mapping[str, Any] = {
    "scoreAccounts": {"accounts": ["acc_2023", "acc_7"], "models": ["churn"], "reasons": True},
}


def documented(app: FastAPI, routes: Mapping[tuple[str, str], Any]) -> Document:
    """The document of the application's routes: (method, path) → route."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    document["servers"] = [{"url": "/"}]
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for (method, path), route in routes.items():
        operation = document["paths"].get(path, {}).get(method.lower())
        if operation is not None:
            _complete(operation, method, str(scope_of(route)))
            _name_body(operation, schemas)
    _hoist(document, schemas)
    for name in FROM_FASTAPI:
        schemas.pop(name, None)
    document["components"] |= {
        "securitySchemes": {"key": KEY},
        "responses": {f"Problem{status}": _problem(status) for status in PROBLEMS},
        "headers": {n: {"description": d, "schema": s} for n, (d, s) in HEADERS.items()},
    }
    return document


def _complete(operation: Document, method: str, scope: str) -> None:
    """What holds for every operation: its key, its headers, its errors."""
    takes_body = method == "POST"
    keyless = scope in (OPEN, SIGNED)
    operation["security"] = [] if keyless else [{"key": []}]
    if not keyless:
        needs = f"Needs a key with the scope `{scope}`."
        operation["description"] = "\n\n".join(filter(None, [operation.get("description"), needs]))
    for response in operation["responses"].values():
        response.setdefault("headers", {}).update(_headers("x-request-id"))
    statuses = (*ANYWHERE, *(WITH_BODY if takes_body else ()))
    for status in sorted(statuses if not keyless or takes_body else (429, 500, 503, 504)):
        if status == 422 or str(status) not in operation["responses"]:
            reference = f"#/components/responses/Problem{status}"
            operation["responses"][str(status)] = {"$ref": reference}
    operation["responses"] = dict(sorted(operation["responses"].items()))
    if takes_body:
        operation.setdefault("parameters", []).append(dict(IDEMPOTENCY))


def _name_body(operation: Document, schemas: Document) -> None:
    """A body's schema among the components, with an example where we have one."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    if title := content["schema"].get("title"):
        schemas.setdefault(title, content["schema"])
        content["schema"] = {"$ref": REFERENCE + title}
    if operation["operationId"] in EXAMPLES:
        content["example"] = EXAMPLES[operation["operationId"]]


def _hoist(document: Document, schemas: Document) -> None:
    """Definitions that a schema brought along go to the components, and what refers to them."""
    for model in (Problem, FieldError):
        schemas.setdefault(model.__name__, model.model_json_schema())
    for node in list(_nodes(document)):
        for name, schema in node.pop("$defs", {}).items():
            schemas.setdefault(name, schema)
    for node in _nodes(document):
        reference = node.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/$defs/"):
            node["$ref"] = REFERENCE + reference.removeprefix("#/$defs/")


def _nodes(value: Any) -> Iterator[Document]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list):
            yield from _nodes(part)


def _problem(status: int | str) -> Document:
    """The response of an error, with an example of each of its types."""
    named = kinds(int(status))
    headers = _headers("x-request-id", *(["retry-after"] if status in (409, 429, 503) else []))
    content = PROBLEMS[status]["content"][MEDIA_TYPE]
    return {
        "description": PROBLEMS[status]["description"],
        "headers": headers,
        "content": {
            MEDIA_TYPE: content | {"examples": {kind: {"value": _example(kind)} for kind in named}}
        },
    }


def _example(kind: str) -> Document:
    status, title = TITLES[kind]
    name = "b3fa1e87b49c460180c4e83d4c27283d"
    problem = Problem(
        type=f"urn:goldpan:problem:{kind}", title=title, status=status, detail=title,
        request_id=name,
    )  # fmt: skip
    return problem.model_dump(exclude_defaults=True)


def _headers(*names: str) -> Document:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
