"""Files that are believed only when their sha256 is the one in their folder's manifest."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from features.errors import InputError

MANIFEST = "manifest.json"


def read_verified(
    folder: Path, names: Iterable[str], *, do: str, also: Iterable[str] = ()
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The named files of a folder as bytes, with its manifest, each file equal to its sha256.

    `also`: files that are read only where the manifest names them. What is returned is what was
    checked: nothing is read twice. Raises InputError (ending with
    `do`) for a missing file, a manifest that is not JSON or does not name it, a wrong sha256.
    """
    manifest = parse_json(_read(folder / MANIFEST, do), folder / MANIFEST)
    digests = manifest.get("sha256")
    if not isinstance(digests, dict):
        digests = {}
    contents = {}
    for name in (*names, *(name for name in also if name in digests)):
        contents[name] = _read(folder / name, do)
        expected = digests.get(name)
        if (found := digest(contents[name])) != expected:
            raise InputError(
                f"sha256 {found} for {folder / name}", expected=f"{expected} by its manifest", do=do
            )
    return contents, manifest


def fingerprint(folder: Path) -> str:
    """What tells a folder from all others: the sha256 of its manifest, which holds its files'.

    Raises InputError when there is no manifest.
    """
    return digest(_read(folder / MANIFEST, "Make the folder again."))


def digest(content: bytes) -> str:
    """The sha256 of some bytes in hexadecimal.

    >>> digest(b"gold")[:8]
    '24d7f03d'
    """
    return hashlib.sha256(content).hexdigest()


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """The JSON object in `content`; `path` is for the error."""
    try:
        value = json.loads(content)
    except ValueError as error:
        raise InputError(f"text in {path} that is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"a {type(value).__name__} in {path}", expected="a JSON object")
    return value


def _read(path: Path, do: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise InputError(f"no readable file {path}", expected="a complete folder", do=do) from None
