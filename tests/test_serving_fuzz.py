"""Hostile input: cases made from our own document, and junk on a raw socket. No 5xx, no hang."""

import json
import os
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import hypothesis
import pyarrow.parquet as pq
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from serving_process import Service, running
from test_serving_world import authorization, served

from serving.api.problems import MEDIA_TYPE, Problem

LONG = int(os.environ.get("GOLDPAN_EXAMPLES", "5")) >= 100
CASES, JUNK = (20_000, 5_000) if LONG else (2_000, 500)
SECONDS = 20.0
PROBLEM = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Two workers, without a limit on how often one key asks, and with HubSpot set up."""
    told = {"GOLDPAN_RATE": "1000000", "GOLDPAN_BURST": "1000000", "GOLDPAN_HUBSPOT_SECRET": "x"}
    with running(served().workspace, workers=2, **told) as service:
        yield service


@pytest.fixture(scope="module")
def accounts() -> list[str]:
    """Accounts that there are."""
    table = pq.read_table(served().snapshot / "scores.parquet", columns=["account_id"])
    return sorted(set(table["account_id"].to_pylist()))


def known(case: Any, accounts: list[str], place: int) -> Any:
    """The case with an account that there is, so that not all end at a 404."""
    account = accounts[place % len(accounts)]
    if "account_id" in (case.path_parameters or {}):
        case.path_parameters["account_id"] = account
    if isinstance(case.body, dict) and isinstance(case.body.get("accounts"), list):
        case.body["accounts"] = [account, *case.body["accounts"][:3]]
    return case


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_the_document_allows_or_forbids_is_answered_as_it_says(
    service: Service, accounts: list[str], mode: GenerationMode
) -> None:
    """No 5xx, no hang, every error a problem, and each answer as the document declares it."""
    with service.asking(authorization("admin")) as client:
        document = client.get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    session, found = requests.Session(), Counter[int]()
    session.trust_env = False
    headers = authorization("admin")

    def asked(case: Any) -> None:
        answer = case.call(base_url=service.url, session=session, headers=headers, timeout=SECONDS)
        found[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == [MEDIA_TYPE]
            problem = Problem.model_validate_json(answer.content)
            assert answer.headers["x-request-id"] == [problem.request_id]
        if answer.status_code not in (404, 405, 414):  # a path that was made up is another's
            case.validate_response(answer, checks=[
                checks.status_code_conformance, checks.content_type_conformance,
                checks.response_schema_conformance,
            ])  # fmt: skip

    each = CASES // 2 // len(operations) + 1
    for operation in operations:
        fuzz(operation.as_strategy(generation_mode=mode), asked, accounts, each)
    print(mode, dict(sorted(found.items())))
    assert sum(found.values()) >= CASES // 4


def fuzz(cases: Any, asked: Any, accounts: list[str], each: int) -> None:
    """Ask so many cases; half of them about accounts that there are."""

    @hypothesis.given(case=cases, place=st.integers(0, 199))
    @hypothesis.settings(
        max_examples=each, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    def run(case: Any, place: int) -> None:
        asked(known(case, accounts, place) if place % 2 else case)

    # An operation without parameters has nothing to be wrong in.
    with suppress(hypothesis.errors.Unsatisfiable):
        run()


def valid_requests(accounts: list[str]) -> list[bytes]:
    """Good requests as bytes, to be spoiled."""
    key = f"Authorization: {authorization('admin')['authorization']}\r\n".encode()
    made = [b"GET %s HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path, key) for path in (
        b"/", b"/readyz", b"/v1/accounts", b"/v1/accounts/%s" % accounts[0].encode(),
        b"/openapi.json?x=1", b"/v1/models",
    )]  # fmt: skip
    body = json.dumps({"accounts": accounts[:2]}).encode()
    post = b"POST /v1/scores HTTP/1.1\r\nHost: x\r\n%bContent-Type: application/json\r\n" % key
    made.append(post + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    made.append(
        post + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    )
    return made


def spoiled(good: list[bytes], dice: random.Random) -> bytes:
    """One piece of junk: random bytes, or a good request cut, changed, doubled or mixed."""
    base = bytearray(dice.choice(good))
    kind = dice.randrange(7)
    if kind == 0:
        return dice.randbytes(dice.randrange(1, 2000))
    if kind == 1:
        return bytes(base[: dice.randrange(len(base))])
    if kind == 2:
        for _ in range(dice.randrange(1, 8)):
            base[dice.randrange(len(base))] = dice.randrange(256)
    elif kind == 3:
        place = dice.randrange(len(base))
        base[place:place] = dice.randbytes(dice.randrange(1, 40))
    elif kind == 4:
        return bytes(base + dice.choice(good))
    elif kind == 5:
        lines = bytes(base).split(b"\r\n")
        dice.shuffle(lines)
        return b"\r\n".join(lines)
    else:
        place = dice.randrange(len(base))
        token = dice.choice([b"\r\n", b"\x00", b"%00", b"/../", b"\xff" * 9, b"A" * 9000, b"-1",
                             b"Transfer-Encoding: chunked\r\n", b"Content-Length: 99999\r\n",
                             b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n"])  # fmt: skip
        base[place:place] = token
    return bytes(base)


def thrown(service: Service, junk: bytes, *, close: bool) -> tuple[bytes, float]:
    """All that comes back for it, and how long until the connection ended."""
    begun, found = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", service.port), timeout=SECONDS) as connection:
        try:
            connection.sendall(junk)
            if close:
                time.sleep(0.05)
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                found += chunk
        except ConnectionError:
            pass
    return found, time.monotonic() - begun


def test_junk_on_a_socket_is_told_or_cut_off(service: Service, accounts: list[str]) -> None:
    """No 5xx, no hang, every error a problem; afterwards the service answers as before."""
    dice = random.Random(5)  # noqa: S311 - junk, not secrets
    good = valid_requests(accounts)
    pieces = [(spoiled(good, dice), dice.random() < 0.9) for _ in range(JUNK)]
    with ThreadPoolExecutor(48) as pool:
        answers = list(pool.map(lambda one: thrown(service, one[0], close=one[1]), pieces))
    statuses = Counter[int]()
    for found, seconds in answers:
        assert seconds < SECONDS
        for top in PROBLEM.finditer(found):
            status = int(top[1])
            statuses[status] += 1
            assert status < 500, found
            assert status < 400 or MEDIA_TYPE.encode() in top[2].lower(), found
    print("junk", dict(sorted(statuses.items())), max(seconds for _, seconds in answers))
    assert statuses[400] > JUNK / 10
    with service.asking(authorization()) as client:
        assert client.get("/").status_code == 200
    faults = [line for line in service.log() if line["level"] in ("error", "critical")]
    assert faults == []
