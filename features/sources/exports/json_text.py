"""What the exports have in common: tables that come out of one row, and texts inside JSON."""

from typing import NamedTuple

from features.sources.checks import quote


class Part(NamedTuple):
    """How one table comes out of an export; `once` names what only its first row tells."""

    columns: dict[str, str]
    where: str = "true"
    once: str | None = None


def inside(json: str, *path: str) -> str:
    """The text at a path inside JSON text."""
    return f"json_extract_string(CAST({json} AS VARCHAR), {_path(path)})"


def first_inside(json: str, *path: str) -> str:
    """The text at a path, or the first of a list of texts there."""
    kind = f"json_type(CAST({json} AS VARCHAR), {_path(path)})"
    one = f"json_extract_string(CAST({json} AS VARCHAR), {_path(path, '[0]')})"
    return f"CASE WHEN {kind} = 'ARRAY' THEN {one} ELSE {inside(json, *path)} END"


def _path(keys: tuple[str, ...], end: str = "") -> str:
    return quote("$" + "".join(f'."{key}"' for key in keys) + end)


def number(json: str, *path: str) -> str:
    """The number at a path inside JSON text; null where there is none."""
    return f"TRY_CAST({inside(json, *path)} AS DOUBLE)"


def without(json: str, *keys: str) -> str:
    """JSON text without some keys: what differs between two copies of one event, and addresses."""
    nothing = ", ".join(f'"{key}": null' for key in keys)
    return f"json_merge_patch(CAST({json} AS VARCHAR), {quote('{' + nothing + '}')})"


def joined(*texts: str) -> str:
    """Texts as one, null ones left out."""
    return f"concat_ws(':', {', '.join(texts)})"
