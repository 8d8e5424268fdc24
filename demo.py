"""What a demo leaves behind, so that the next one need not make it again."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

from features.errors import InputError
from features.workspace import Workspace, publish_json

NOTE = "demo.json"


def begun(place: Workspace, stamp: dict[str, Any], again: bool) -> bool:
    """Whether there is work to do; another demo's data are cleared, nobody else's are touched."""
    note = place.root / NOTE
    if note.is_file():
        found = json.loads(note.read_text())
        if found == stamp | {"complete": True} and not again:
            return False
        if again or {**found, "complete": False} != stamp | {"complete": False}:
            for folder in (place.lake, place.rollups, place.features):
                shutil.rmtree(folder, ignore_errors=True)
    elif place.lake.exists():
        raise InputError(f"data in {place.root} that no demo made", do="Name another --workspace.")
    publish_json(note, stamp | {"complete": False})
    return True


def finished(place: Workspace, stamp: dict[str, Any]) -> None:
    """Note that the demo ran to its end."""
    publish_json(place.root / NOTE, stamp | {"complete": True})


def made_by(settings_file: Path) -> str:
    """A digest of the settings and of our own code."""
    home, parts = Path(__file__).parent, ("features", "training", "serving")
    code = sorted(path for part in parts for path in home.glob(f"{part}/**/*.py"))
    return sha256(b"".join(p.read_bytes() for p in [settings_file, *code])).hexdigest()
