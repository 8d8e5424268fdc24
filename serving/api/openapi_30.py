"""The same API as OpenAPI 3.0.3, in the part of it that Salesforce's External Services take.

They take no null, no union at a schema's top, no mapping of a discriminator, no `not`, no media
type but JSON; names must be Apex identifiers, and of a description 1,333 characters are kept. They
read no response headers and no security: a Named Credential sends the key.
"""

import copy
import re
from typing import Any

Document = dict[str, Any]

MOST_DESCRIPTION = 1_333
APEX = re.compile(r"^[A-Za-z](?:_?[A-Za-z0-9])*$")
JSON = "application/json"
# Pages and figures are for people and Prometheus; HubSpot signs what it sends by itself.
LEFT_OUT = re.compile(r"^/(?!v1/|readyz$)|^/v1/(?:hubspot|openapi)")
LACKING = ("$schema", "$id", "const", "contentEncoding", "contentMediaType", "discriminator",
           "examples", "not", "patternProperties", "prefixItems", "propertyNames")  # fmt: skip


def for_salesforce(document: Document) -> Document:
    """What a CRM calls, as 3.0.3."""
    paths = {p: item for p, item in document["paths"].items() if not LEFT_OUT.match(p)}
    return in_30({**document, "paths": paths})


def in_30(document: Document) -> Document:
    """The 3.0.3 document that follows from a 3.1 one."""
    made = copy.deepcopy(document)
    paths = made["paths"]
    components = made["components"]
    schemas = {name: _schema(s, components["schemas"]) for name, s in components["schemas"].items()}
    for item in paths.values():
        for operation in item.values():
            _operation(operation, components)
    used = _used({"paths": paths}, schemas)
    return {
        "openapi": "3.0.3",
        "info": made["info"],
        "servers": made["servers"],
        "paths": paths,
        "components": {
            "schemas": {name: schemas[name] for name in sorted(used)},
            "securitySchemes": components["securitySchemes"],
        },
    }


def _operation(operation: Document, components: Document) -> None:
    """Responses in place of references to them; JSON everywhere; schemas as 3.0 has them."""
    operation["description"] = operation.get("description", "")[:MOST_DESCRIPTION]
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _schema(parameter["schema"], components["schemas"])
        parameter.pop("examples", None)
    if body := operation.get("requestBody"):
        body["content"] = _content(body["content"], components)
    for status, response in operation["responses"].items():
        found = response
        if "$ref" in response:
            found = copy.deepcopy(components["responses"][response["$ref"].rpartition("/")[2]])
        found.pop("headers", None)
        found["content"] = _content(found.get("content", {}), components)
        operation["responses"][status] = found


def _content(content: Document, components: Document) -> Document:
    """The media type that there is, called JSON: the only one External Services take."""
    media: Document = next(iter(content.values()), {})
    kept = {"schema": _schema(media.get("schema", {}), components["schemas"])}
    if "example" in media:
        kept["example"] = media["example"]
    return {JSON: kept}


def _schema(schema: Any, named: Document) -> Any:
    """A schema without what 3.0 or External Services lack."""
    made = _without_unions(dict(schema), named) if isinstance(schema, dict) else {}
    if "$ref" in made:
        return {"$ref": made["$ref"]}
    _plain_type(made)
    _bounds(made)
    for name in LACKING:
        made.pop(name, None)
    _parts(made, named)
    if "description" in made:
        made["description"] = made["description"][:MOST_DESCRIPTION]
    if made.get("type") == "array":
        made.setdefault("items", {})
    return made


def _parts(schema: Document, named: Document) -> None:
    """The schemas inside one."""
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _schema(schema[key], named)
    if "properties" in schema:
        schema["properties"] = {n: _schema(s, named) for n, s in schema["properties"].items()}
    if "allOf" in schema:
        schema["allOf"] = [_schema(part, named) for part in schema["allOf"]]


def _without_unions(schema: Document, named: Document) -> Document:
    """Of a union with null the rest; of a union of objects one that may have all their fields."""
    for keyword in ("anyOf", "oneOf"):
        members = [m for m in schema.pop(keyword, []) if m.get("type") != "null"]
        if len(members) == 1:
            schema = members[0] | schema
        elif members:
            schema |= _merged([_resolved(m, named) for m in members])
    return schema


def _merged(members: list[Document]) -> Document:
    """What every member allows: all properties, of which those are required that all require."""
    objects = [m for m in members if m.get("type") == "object" or "properties" in m]
    if len(objects) < len(members):
        types = [m.get("type") for m in members]
        return {"type": "number"} if set(types) == {"integer", "number"} else {"type": "string"}
    properties: Document = {}
    for member in objects:
        for name, schema in member.get("properties", {}).items():
            known = properties.get(name, {})
            both = [*known.get("enum", _constant(known)), *schema.get("enum", _constant(schema))]
            properties[name] = schema if not both else {"type": "string", "enum": sorted(set(both))}
    required = set.intersection(*(set(m.get("required", [])) for m in objects))
    merged = {"type": "object", "properties": properties}
    return merged | ({"required": sorted(required)} if required else {})


def _constant(schema: Document) -> list[Any]:
    return [schema["const"]] if "const" in schema else []


def _resolved(schema: Document, named: Document) -> Document:
    reference = schema.get("$ref")
    return dict(named[reference.rpartition("/")[2]]) if reference else schema


def _plain_type(schema: Document) -> None:
    """One type, not a list; a constant as an enumeration of one."""
    if isinstance(schema.get("type"), list):
        kept = [kind for kind in schema["type"] if kind != "null"]
        schema["type"] = kept[0] if kept else "string"
    if "const" in schema:
        schema["enum"] = [schema["const"]]
    if "enum" in schema:
        schema.setdefault("type", "string")
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    if schema.get("default", 0) is None:
        schema.pop("default")
    if isinstance(schema.get("examples"), list) and schema["examples"]:
        schema["example"] = schema["examples"][0]


def _bounds(schema: Document) -> None:
    """3.0 says beside a bound whether it is left out; 3.1 has a bound of its own for that."""
    for name, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(name), int | float) and not isinstance(schema[name], bool):
            schema[bound] = schema[name]
            schema[name] = True


def _used(part: Any, schemas: Document) -> set[str]:
    """The names of the schemas that a part refers to, and of those that these refer to."""
    found: set[str] = set()
    waiting = [part]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name in schemas and name not in found:
                found.add(name)
                waiting.append(schemas[name])
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
    return found
