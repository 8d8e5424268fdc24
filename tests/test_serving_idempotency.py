"""`Idempotency-Key` over HTTP: done once by two real workers, told again byte for byte."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from serving_process import Service, running
from test_serving_world import authorization, served

from serving.api.problems import Problem
from serving.ledger import idempotency
from serving.ledger.database import opened
from serving.ledger.idempotency import IDEMPOTENCY, Claim

URL = "/v1/scores"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Two workers that share nothing but the ledger."""
    with running(served().workspace, workers=2) as service:
        yield service


def an_account() -> str:
    """One that is scored."""
    table = pq.read_table(served().snapshot / "scores.parquet", columns=["account_id"])
    return str(table["account_id"][0].as_py())


def ask(service: Service, name: str | None, body: bytes, key: str = "") -> httpx.Response:
    """A request on a connection of its own, under a name."""
    headers = {"content-type": "application/json"} | authorization()
    headers |= {"authorization": key} if key else {}
    headers |= {"idempotency-key": name} if name else {}
    with service.asking(headers) as client:
        return client.post(URL, content=body)


def a_body(account: str = "") -> bytes:
    """A request for scores."""
    return f'{{"accounts": ["{account or an_account()}"]}}'.encode()


def test_the_same_request_again_gets_the_same_bytes(service: Service) -> None:
    """From either worker: status, body and the first request's id; and it says that it is one."""
    first = ask(service, "again", a_body())
    assert first.status_code == 200
    assert "idempotency-replayed" not in first.headers
    for _ in range(10):
        answer = ask(service, "again", a_body())
        assert (answer.status_code, answer.content) == (200, first.content)
        assert answer.headers["x-request-id"] == first.headers["x-request-id"]
        assert answer.headers["idempotency-replayed"] == "true"
    assert ask(service, None, a_body()).json()["request_id"] != first.json()["request_id"]


def test_an_error_of_the_callers_is_kept_too(service: Service) -> None:
    """What was not found the first time is not found, in the same words."""
    first = ask(service, "an-error", a_body("nobody"))
    again = ask(service, "an-error", a_body("nobody"))
    assert (first.status_code, again.status_code) == (404, 404)
    assert again.content == first.content


def test_another_body_under_the_same_name_is_refused(service: Service) -> None:
    """422, whatever the body; and the first answer stays."""
    first = ask(service, "other", a_body())
    refused = ask(service, "other", a_body() + b" ")
    problem = Problem.model_validate_json(refused.content)
    assert refused.status_code == 422
    assert problem.type == "urn:goldpan:problem:idempotency-key-reused"
    assert problem.field == "idempotency-key"
    assert ask(service, "other", a_body()).content == first.content


def test_each_api_key_has_its_own_names(service: Service) -> None:
    """Another key's answers are never told."""
    first = ask(service, "shared", a_body())
    other = ask(service, "shared", a_body(), authorization("score")["authorization"])
    assert other.status_code == 200
    assert other.json()["request_id"] != first.json()["request_id"]


def test_a_key_without_the_scope_keeps_nothing(service: Service) -> None:
    """403 each time, and no row."""
    key = authorization("read")["authorization"]
    for _ in range(2):
        assert ask(service, "forbidden", a_body(), key).status_code == 403
    assert rows("forbidden") == 0


@pytest.mark.parametrize("name", ["a b", "é", "x" * 201, "a\tb"])
def test_a_name_that_is_none_is_refused(service: Service, name: str) -> None:
    """It says what a name is."""
    headers = {"content-type": "application/json", **authorization()}
    with service.asking(headers) as client:
        raw = [*client.headers.raw, (b"Idempotency-Key", name.encode())]
        answer = client.post(URL, content=a_body(), headers=raw)
    assert answer.status_code == 422
    problem = Problem.model_validate_json(answer.content)
    assert problem.expected == "1 to 200 printable ASCII characters without spaces"


def test_of_many_at_once_one_does_the_work(service: Service) -> None:
    """Twenty at once, to both workers: the same bytes for all."""
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: ask(service, "at-once", a_body()), range(20)))
    assert {answer.status_code for answer in found} == {200}
    assert len({answer.content for answer in found}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in found) == 1


def test_who_waits_too_long_is_told_to_come_back(service: Service) -> None:
    """While another does the work: 409 with Retry-After, after at most some seconds."""
    assert ask(service, "held", a_body()).status_code == 200
    ledger, text = opened(served().workspace), "held"
    with ledger.begin() as connection:
        held = IDEMPOTENCY.c.name == text
        values = {"status": None, "begun_at": datetime.now(UTC)}
        connection.execute(IDEMPOTENCY.update().where(held).values(values))
    answer = ask(service, text, a_body())
    assert answer.status_code == 409
    assert answer.headers["retry-after"] == "1"
    assert Problem.model_validate_json(answer.content).type.endswith("idempotency-key-in-use")


def test_without_the_header_the_ledger_is_not_asked(service: Service) -> None:
    """No row is written."""
    before = rows()
    assert ask(service, None, a_body()).status_code == 200
    assert rows() == before


def rows(name: str = "") -> int:
    """How many answers are kept."""
    count = sa.select(sa.func.count()).select_from(IDEMPOTENCY)
    count = count.where(IDEMPOTENCY.c.name == name) if name else count
    with opened(served().workspace).connect() as connection:
        return int(connection.execute(count).scalar_one())


def test_a_claim_says_all_that_a_request_says() -> None:
    """Claims are equal only when the key, the name and the digest are."""
    ledger = opened(served().workspace)
    one = Claim("aaaaaaaaaaaa", "n", "1" * 64)
    assert isinstance(idempotency.claim(ledger, one), str)
    assert isinstance(idempotency.claim(ledger, one), idempotency.Running)
