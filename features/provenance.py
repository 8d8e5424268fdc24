"""What a feature table was made of: the settings that give features meaning, and the lake then."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from features import lake
from features.catalog import catalogue
from features.errors import NotReadyError
from features.events import CONTRACT
from features.settings import Settings
from features.workspace import Workspace

KEY = "goldpan"
"""Where the stamp stands in a feature table's Parquet metadata: they cannot be parted."""
OURS = "catalogue"


def meaning(settings: Settings) -> dict[str, str]:
    """Section of the settings → digest, for all that decides what a feature's number means."""
    said = {
        "calendar": settings.calendar,
        "events": settings.events,
        "people": settings.people,
        "milestones": settings.milestones,
        "journeys": settings.journeys,
        "plans": settings.plans,
        "subscriptions": settings.subscriptions.lapse_after_days,
        OURS: catalogue(settings).hash(),
    }
    return {name: sha256(repr(value).encode()).hexdigest()[:16] for name, value in said.items()}


def stamp(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """The settings' meaning and the state of the contract's tables, as they are now."""
    states = {name: lake.table_state(workspace, name) for name in CONTRACT}
    return {"meaning": meaning(settings), "lake": states}


def other_parts(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The parts in which two meanings or two states of the lake differ.

    The catalogue follows from the settings, so it is told only when nothing else differs.

    >>> other_parts({"plans": "a", "catalogue": "b"}, {"plans": "c", "catalogue": "d"})
    ['plans']
    """
    found = sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
    return [name for name in found if name != OURS] or found


def in_words(parts: list[str]) -> str:
    """Parts of a meaning as a person knows them.

    >>> in_words(["events", "plans"])
    'other [events], [plans] in the settings'
    """
    if parts == [OURS]:
        return "other definitions of the features (another version of Goldpan)"
    return f"other {', '.join(f'[{name}]' for name in parts)} in the settings"


def check_current(made: Mapping[str, Any] | None, workspace: Workspace, settings: Settings) -> None:
    """Raise NotReadyError when a table's stamp is of other settings or of another lake."""
    now = stamp(workspace, settings)
    if made is None:
        found = "a feature table that does not say what it was made of"
    elif parts := other_parts(made["meaning"], now["meaning"]):
        found = f"a feature table made under {in_words(parts)}"
    elif parts := other_parts(made["lake"], now["lake"]):
        found = f"a feature table made before {', '.join(parts)} changed in the lake"
    else:
        return
    raise NotReadyError(
        found, expected="one made of what there is now", do="Run `goldpan build` again."
    )
