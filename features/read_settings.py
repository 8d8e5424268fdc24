"""Reading `goldpan.toml`: an error names the key, what was found and what is allowed.

Secrets are never written there: `${NAME}` in a path is read from the environment.
"""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from features.errors import SettingsError
from features.plays import check_plays
from features.settings import Settings


def load_settings(path: Path) -> Settings:
    """Read and check a settings file.

    Raises SettingsError naming the key, what was found and what is allowed.
    """
    if not path.is_file():
        raise SettingsError(
            f"no settings file at {path}", do="Name one with --settings, or run where it stands."
        )
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"text in {path.name} that is not TOML: {error}", do="Correct that line."
        ) from None
    return parse_settings(values, path.name)


def parse_settings(values: dict[str, Any], name: str = "goldpan.toml") -> Settings:
    """Check settings given as plain values; errors as in `load_settings`."""
    try:
        settings = Settings.model_validate(_tuples(values))
    except ValidationError as error:
        lines = "\n  ".join(_explain(e, values) for e in error.errors())
        raise SettingsError(
            f"{error.error_count()} thing(s) in {name} that cannot be meant:\n  {lines}\n",
            do="Correct them and run the command again.",
        ) from None
    check_plays(settings)
    return settings


def resolve_path(path: str, *, workspace: Path, base: Path) -> Path:
    """A source's path with `{workspace}` and `${NAME}` filled in; relative ones start at `base`."""

    def environment(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            raise SettingsError(
                f"a source path that needs the environment variable {match[1]}, which is not set",
                do=f"Set {match[1]} and run the command again.",
            )
        return value

    filled = re.sub(r"\$\{(\w+)\}", environment, path.replace("{workspace}", str(workspace)))
    return base / filled


def _tuples(value: Any) -> Any:
    """TOML arrays as tuples, which strict validation of immutable sections asks for."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _explain(error: ErrorDetails, values: dict[str, Any]) -> str:
    """One line: the key, what was found, what is allowed."""
    location = error["loc"]
    key = _key(location)
    if error["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(_fields_at(location[:-1])))
        return f"{key}: found an unknown key; allowed here: {allowed}"
    if error["type"] == "missing":
        return f"{key}: found nothing; this key is needed"
    found = error["input"]
    shown = "" if isinstance(found, dict) else f"found {found!r}; "
    return f"{key or 'settings'}: {shown}{error['msg'].removeprefix('Value error, ')}"


def _key(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _fields_at(location: Sequence[int | str]) -> set[str]:
    """The keys that the section at `location` knows."""
    section: type[BaseModel] = Settings
    for part in location:
        if isinstance(part, str) and part in section.model_fields:
            section = _section_of(section.model_fields[part].annotation) or section
    return set(section.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := _section_of(inner):
            return found
    return None
