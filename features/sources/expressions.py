"""Expressions of the settings: what they may say, and the closed room in which they run."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import duckdb

from features.errors import SettingsError

_ALLOWED = {
    "BETWEEN",
    "CASE",
    "CAST",
    "COLUMN_REF",
    "COMPARISON",
    "CONJUNCTION",
    "CONSTANT",
    "FUNCTION",
    "OPERATOR",
    "TYPE",
}
_MACROS = {"date_add", "days_in_month", "fdiv", "fmod", "if", "nullif", "split_part"}
_EMPTY_CLAUSES = ("modifiers", "where_clause", "group_expressions", "having", "sample", "qualify")
_DO = (
    "Write one DuckDB expression over the columns of the file, such as lower(name) or 'active'; "
    'a column whose name is an SQL word or holds a space stands in double quotes ("at").'
)


@cache
def _functions() -> frozenset[str]:
    """The names of DuckDB's functions whose answer depends on nothing but their arguments."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT lower(function_name) FROM duckdb_functions() "
            "WHERE function_type = 'scalar' GROUP BY ALL "
            "HAVING bool_and(stability = 'CONSISTENT')"
        ).fetchall()
    return frozenset(name for (name,) in rows) | _MACROS


def closed_room(memory: str = "512MB") -> duckdb.DuckDBPyConnection:
    """A DuckDB connection that reaches no file, no network and no variable of ours; UTC.

    Its settings cannot be changed any more.
    """
    room = duckdb.connect(config={"memory_limit": memory, "threads": 2, "temp_directory": ""})
    room.execute("SET TimeZone = 'UTC'; SET python_enable_replacements = false")
    room.execute("SET enable_external_access = false; SET lock_configuration = true")
    return room


class Guard:
    """Tells expressions from everything else that SQL can say.

    Only functions that give the same answer for the same row are let through: no subquery, no
    aggregate, no window, no clock, no chance, nothing that reads settings or files.
    """

    def __init__(self, room: duckdb.DuckDBPyConnection) -> None:
        self._room = room
        self._functions = _functions()

    def columns(self, expression: str, where: str) -> list[str]:
        """The columns that a sound expression names, in order of appearance.

        `where` says in which setting it stands. Raises SettingsError for anything else than one
        expression.
        """
        node = self._parse(expression, where)
        named: dict[str, None] = {}
        for part in _parts(node):
            self._check(part, expression, where)
            if part["class"] == "COLUMN_REF":
                named[part["column_names"][0]] = None
        return list(named)

    def _parse(self, expression: str, where: str) -> dict[str, Any]:
        text = self._room.execute(
            "SELECT json_serialize_sql($1)", [f"SELECT {expression}\n"]
        ).fetchall()[0][0]
        parsed = json.loads(text)
        if parsed["error"]:
            raise _refused(where, expression, str(parsed.get("error_message", "")))
        nodes = [statement["node"] for statement in parsed["statements"]]
        if len(nodes) != 1 or not _bare(nodes[0]):
            raise _refused(where, expression, "more than one expression")
        selected: dict[str, Any] = nodes[0]["select_list"][0]
        return selected

    def _check(self, part: dict[str, Any], expression: str, where: str) -> None:
        if part["class"] not in _ALLOWED or part["type"] == "GROUPING_FUNCTION":
            raise _refused(where, expression, f"a {part['type'].lower().replace('_', ' ')}")
        if part["class"] == "FUNCTION":
            name = part["function_name"].lower()
            if name not in self._functions or part.get("schema") or part.get("catalog"):
                raise _refused(where, expression, f"the function {name}")


def bare_name(expression: str) -> str:
    """An expression that is one word is the column of that name, also where SQL has a use for it.

    >>> bare_name("at"), bare_name("lower(at)"), bare_name("true")
    ('"at"', 'lower(at)', 'true')
    """
    word = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*", expression)
    if word is None or word[1].lower() in ("true", "false", "null"):
        return expression
    return quoted(word[1])


def quoted(column: str) -> str:
    """A column's name as SQL writes it, whatever it holds."""
    return '"' + column.replace('"', '""') + '"'


def _refused(where: str, expression: str, what: str) -> SettingsError:
    return SettingsError(
        f"{what} in {where} = {json.dumps(expression, ensure_ascii=False)}",
        expected="an expression over one row",
        do=_DO,
    )


def _bare(node: dict[str, Any]) -> bool:
    """Whether a parsed SELECT holds one nameless expression and nothing else."""
    return (
        node["type"] == "SELECT_NODE"
        and node["from_table"]["type"] == "EMPTY"
        and len(node["select_list"]) == 1
        and not node["select_list"][0]["alias"]
        and not node["cte_map"]["map"]
        and not any(node.get(clause) for clause in _EMPTY_CLAUSES)
    )


def _parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every node of an expression's tree that has a class."""
    if isinstance(node, dict):
        if "class" in node:
            yield node
        for value in node.values():
            yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)
