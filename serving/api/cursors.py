"""Where a page ends, as a text that only we read."""

import base64
import binascii
import json
from typing import Any

from serving.api.problems import ProblemError, shown, unfit

MOST_LETTERS = 1_000


def cursor(*place: Any) -> str:
    """A place in a list as an opaque text."""
    text = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("utf-8")).decode("ascii").rstrip("=")


def place(text: str, *kinds: type) -> list[Any]:
    """The place that a cursor names: as many values as `kinds`, each of its kind.

    Raises ProblemError for a text that is no cursor of this list.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        found = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # half a letter is none
        if isinstance(found, list) and [type(value) for value in found] == list(kinds):
            return found
    except (binascii.Error, ValueError, RecursionError):
        pass
    raise unusable(text)


def unusable(text: str) -> ProblemError:
    """The error for a cursor of another list."""
    expected = "the `next` of a page of the same list, with the same filters"
    return unfit("cursor", shown(text), expected)
