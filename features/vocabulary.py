"""Whether the settings and the data call events by the same names."""

from collections.abc import Iterator
from difflib import get_close_matches

import duckdb

from features import lake
from features.settings import Settings
from features.workspace import Workspace

SHOWN = 8


def unheard(workspace: Workspace, settings: Settings) -> list[str]:
    """A sentence for each event name in the settings that no event of the lake bears.

    Such a name is not an error, for what is rare may be yet to come; misspelt, it makes features
    that are zero everywhere.
    """
    heard = names(workspace)
    places: dict[str, list[str]] = {}
    for name, place in _named(settings):
        places.setdefault(name, []).append(place)
    return [
        f"no event is called '{name}' ({', '.join(at)}); {_instead(name, heard)}"
        for name, at in places.items()
        if name not in heard
    ]


def names(workspace: Workspace) -> list[str]:
    """The names of the events in the lake, the most frequent first."""
    files = lake.table_files(workspace, "events")
    if not files:
        return []
    query = "SELECT event FROM read_parquet(?) GROUP BY event ORDER BY count(*) DESC, event"
    with duckdb.connect(config={"threads": 2}) as con:
        return [str(name) for (name,) in con.execute(query, [files]).fetchall()]


def _named(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each event name in the settings with the key where it stands."""
    for key, listed in settings.events:
        for name in listed:
            yield name, f"events.{key}"
    for name in settings.words:
        yield name, "words"
    for milestone in settings.milestones:
        yield milestone.event, f"milestone {milestone.name}"
    for limit in settings.plans.limits:
        for name in limit.events:
            yield name, f"limit {limit.name}"


def _instead(name: str, heard: list[str]) -> str:
    if close := get_close_matches(name, heard, n=1):
        return f"did you mean '{close[0]}'?"
    more = f" and {len(heard) - SHOWN} more" if len(heard) > SHOWN else ""
    return f"there are {', '.join(heard[:SHOWN])}{more}"
