"""Ask for the scores of some accounts: `python score.py ACCOUNT…`; needs no package."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

TRIES, AT_ONCE = 5, 1_000


def scores(accounts: list[str]) -> list[dict[str, Any]]:
    """The results for any number of accounts, in their order; unknown ones are left out."""
    blocks = (accounts[start : start + AT_ONCE] for start in range(0, len(accounts), AT_ONCE))
    return [
        result
        for block in blocks
        for result in post({"accounts": block, "reasons": True})["results"]
    ]


def post(body: dict[str, Any]) -> dict[str, Any]:
    """One request, tried again when the service says so. Raises RuntimeError with its problem."""
    request = urllib.request.Request(  # noqa: S310 - the address is the user's own
        os.environ["GOLDPAN_URL"] + "/v1/scores",
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['GOLDPAN_KEY']}",
            "Content-Type": "application/json",
        },
    )
    for attempt in range(1, TRIES + 1):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503) or attempt == TRIES:
                problem = json.load(error)
                raise RuntimeError(f"{problem['type']}: {problem['detail']}") from None
            time.sleep(float(error.headers.get("Retry-After", attempt)))
    raise AssertionError("unreachable")


if __name__ == "__main__":
    for found in scores(sys.argv[1:]):
        for score in found["scores"]:
            reasons = "; ".join(reason["text"] for reason in score["reasons"][:2])
            chance = f"{score['probability']:.1%} ({score['grade']})"
            print(f"{found['account_id']}  {score['model']}  {chance}  {reasons}")
