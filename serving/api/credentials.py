"""Where a request carries its key."""

import base64
import binascii


def key_in(authorization: str) -> str | None:
    """The key in an `Authorization` header; None when there is none.

    `Bearer <key>`, or `Basic` with the key as the user's name, as Segment's clients send theirs.

    >>> key_in("Bearer gp_1_x"), key_in("Basic Z3BfMV94Og=="), key_in("Digest x")
    ('gp_1_x', 'gp_1_x', None)
    """
    kind, _, text = authorization.partition(" ")
    if kind.lower() == "bearer":
        return text.strip() or None
    if kind.lower() != "basic":
        return None
    try:
        return base64.b64decode(text.strip(), validate=True).decode("ascii").partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return None
