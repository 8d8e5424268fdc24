"""How HubSpot signs what it sends: versions 1, 2 and 3 of its request signature.

Source: HubSpot's pages on validating requests. Version 1 comes with notifications of CRM objects,
version 2 with custom workflow actions, version 3 with all that is newer; only it tells a replay.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

OLDEST_SECONDS = 300
DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'",
    "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
"""What version 3 signs decoded; all else of an address is signed as it was sent."""


@dataclass(frozen=True)
class Signed:
    """What is signed: the method, the whole public address with its query, and the body."""

    method: str
    uri: str
    body: bytes


def refusal(
    secret: str, request: Signed, headers: Mapping[str, str], now_ms: int
) -> tuple[str, str] | None:
    """Why a request is not HubSpot's: what was found and what expected; None when it is.

    `headers`: by their names in small letters. Version 3 decides where it is there.
    """
    if (third := headers.get("x-hubspot-signature-v3")) is not None:
        return _third_refusal(secret, request, third, headers, now_ms)
    given, version = headers.get("x-hubspot-signature"), headers.get("x-hubspot-signature-version")
    if given is None:
        return "no signature", "X-HubSpot-Signature-v3, or X-HubSpot-Signature and its version"
    expected = {"v1": first, "v2": second}.get(version or "")
    if expected is None:
        return "a signature of another version", "X-HubSpot-Signature-Version v1 or v2"
    if not _same(expected(secret, request), given.lower()):
        return f"a signature ({version}) that is not of this request", "the app's client secret"
    return None


def first(secret: str, request: Signed) -> str:
    """Version 1: the secret and the body, hashed."""
    return hashlib.sha256(secret.encode() + request.body).hexdigest()


def second(secret: str, request: Signed) -> str:
    """Version 2: the secret, the method, the address and the body, hashed."""
    said = f"{secret}{request.method}{request.uri}".encode()
    return hashlib.sha256(said + request.body).hexdigest()


def third(secret: str, request: Signed, timestamp: str) -> str:
    """Version 3: the method, the address, the body and the time, by the secret as HMAC's key."""
    said = f"{request.method}{decoded(request.uri)}".encode() + request.body + timestamp.encode()
    return base64.b64encode(hmac.digest(secret.encode(), said, "sha256")).decode()


def decoded(uri: str) -> str:
    """An address as version 3 signs it.

    >>> decoded("https://a.example/x?to=b%40c%20d")
    'https://a.example/x?to=b@c%20d'
    """
    for code, sign in DECODED.items():
        uri = uri.replace(code, sign).replace(code.lower(), sign)
    return uri


def _third_refusal(
    secret: str, request: Signed, given: str, headers: Mapping[str, str], now_ms: int
) -> tuple[str, str] | None:
    timestamp = headers.get("x-hubspot-request-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        return "no time of the request", "X-HubSpot-Request-Timestamp in milliseconds"
    if abs(now_ms - int(timestamp)) > 1000 * OLDEST_SECONDS:
        age = (now_ms - int(timestamp)) // 1000
        return f"a request {age} seconds old", f"one of at most {OLDEST_SECONDS} seconds"
    if not _same(third(secret, request, timestamp), given):
        return "a signature (v3) that is not of this request", "the app's client secret"
    return None


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace"))
