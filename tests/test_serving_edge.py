"""The edge: what never reaches a route, how it is told, and that nothing can hold a connection."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from serving_process import Service, running
from test_serving_world import authorization, served

from features.errors import InputError
from serving.api.limits import Limits, limits_of
from serving.api.problems import MEDIA_TYPE, Problem, ProblemError

ACCOUNT = "acc_1"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """One worker, so that its memory is that of all."""
    with running(served().workspace, GOLDPAN_IN_FLIGHT="8") as service:
        yield service


def head(*lines: str, method: str = "POST", path: str = "/v1/scores") -> bytes:
    """The head of a request with a good key."""
    key = f"Authorization: {authorization()['authorization']}"
    first = [f"{method} {path} HTTP/1.1", "Host: x", key]
    return ("\r\n".join([*first, *lines]) + "\r\n\r\n").encode("latin-1")


def raw(service: Service, sent: bytes, *, wait: float = 20.0) -> tuple[int, dict[str, Any], float]:
    """Bytes on a socket of one's own: status and body of the answer, and when the end came."""
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=wait) as connection:
        connection.sendall(sent)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
    seconds = time.monotonic() - begun
    if not found:
        return 0, {}, seconds
    top, _, body = found.partition(b"\r\n\r\n")
    assert MEDIA_TYPE.encode() in top.lower()
    return int(top.split()[1]), json.loads(body), seconds


JSON = ("Content-Type: application/json", "Connection: close")
BODY = b'{"accounts": ["acc_1"]}'
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = b"17\r\n" + BODY + b"\r\n0\r\n\r\n"
REFUSED = {
    "length and chunks": (head(*JSON, LENGTH, "Transfer-Encoding: chunked") + CHUNKED, 400),
    "chunks and length": (head(*JSON, "Transfer-Encoding: chunked", LENGTH) + CHUNKED, 400),
    "two lengths": (head(*JSON, LENGTH, "Content-Length: 3") + BODY, 400),
    "a negative length": (head(*JSON, "Content-Length: -1") + BODY, 400),
    "a length in hex": (head(*JSON, "Content-Length: 0x17") + BODY, 400),
    "an unknown encoding": (head(*JSON, "Transfer-Encoding: gzip, chunked") + CHUNKED, 400),
    "two keys": (head(*JSON, LENGTH, "Authorization: Bearer x") + BODY, 400),
    "two types": (head(*JSON, LENGTH, "Content-Type: text/plain") + BODY, 400),
    "a broken chunk": (head(*JSON, "Transfer-Encoding: chunked") + b"ZZ\r\n", 400),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100, 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 30, 400),
    "no such method": (head(method="JUMP"), 400),
    "CONNECT": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 400),
    "a NUL in a header": (head("X: a\x00b", *JSON, LENGTH) + BODY, 400),
    "a folded header": (head("X: a\r\n b\x01", *JSON, LENGTH) + BODY, 400),
    "a space before the colon": (head("X : a", *JSON, LENGTH) + BODY, 400),
    "a raw NUL in a path": (head(path="/v1/\x00", method="GET"), 400),
    "a path of bytes": (head(path="/v1/\xff", method="GET"), 400),
    "many headers": (head(*(f"X-{n}: a" for n in range(150)), *JSON, LENGTH) + BODY, 431),
    "large headers": (head("X: " + "a" * 40_000, *JSON, LENGTH) + BODY, 431),
    "headers without an end": (b"GET / HTTP/1.1\r\n" + b"X: aaaaaaaa\r\n" * 60_000, 431),
    "a long path": (head("Connection: close", path="/" + "a" * 1100, method="GET"), 414),
    "a long query": (head("Connection: close", path="/?" + "a" * 4100, method="GET"), 414),
    "NUL in the path": (head("Connection: close", path="/v1/%00", method="GET"), 404),
    "a slash in the path": (head("Connection: close", path="/v1%2Fscores", method="GET"), 404),
    "a backslash": (head("Connection: close", path="/v1%5cscores", method="GET"), 404),
    "CRLF in the path": (head("Connection: close", path="/v1/%0d%0aX", method="GET"), 404),
    "no UTF-8 in the path": (head("Connection: close", path="/v1/%ff", method="GET"), 404),
    "twice encoded": (head("Connection: close", path="/v1/%2573cores", method="GET"), 404),
    "dots": (head("Connection: close", path="/v1/../livez", method="GET"), 404),
    "NUL in the query": (head("Connection: close", path="/?a=%00", method="GET"), 422),
    "no UTF-8 in the query": (head("Connection: close", path="/?a=%fe", method="GET"), 422),
    "a body of a GET": (
        head("Connection: close", "Content-Type: text/plain", LENGTH, method="GET") + BODY, 415,
    ),
    "another charset": (
        head("Content-Type: application/json; charset=utf-16", "Connection: close", LENGTH) + BODY,
        415,
    ),
}  # fmt: skip


@pytest.fixture(params=REFUSED, name="case")
def _case(request: pytest.FixtureRequest) -> tuple[bytes, int]:
    return REFUSED[request.param]


def test_what_is_malformed_is_refused_as_a_problem(
    service: Service, case: tuple[bytes, int]
) -> None:
    """Each line of the table: its status, problem+json, a request's id, and the end at once."""
    sent, expected = case
    status, body, seconds = raw(service, sent)
    assert (status, body["status"]) == (expected, expected)
    assert Problem.model_validate(body).request_id
    assert seconds < 5


def test_ids_in_paths_may_be_encoded(service: Service) -> None:
    """`%2E`, `%40` and `%73` stand for what they encode."""
    with service.asking(authorization()) as client:
        assert client.get("/live%7A").status_code == 200
        assert client.get("/v1/openapi-3%2E0.json").status_code == 200


def test_an_upgrade_is_not_made(service: Service) -> None:
    """A request for a WebSocket is answered as the request that it is."""
    lines = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")  # fmt: skip
    assert raw(service, head(*lines, method="GET", path="/nowhere"))[0] == 404
    assert raw(service, head("Upgrade: h2c", *JSON, LENGTH) + b'{"accounts": ["nobody"]}')[0] == 400


def test_who_leaves_while_requests_are_waiting_is_no_fault_of_ours(service: Service) -> None:
    """Many requests at once on a connection that ends at once: some answers, and no error."""
    many = 8 * head(method="GET", path="/v1/accounts/acc_0001/reviews")
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(many)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            while connection.recv(65536):
                pass
    assert [line for line in service.log() if line["level"] in ("error", "critical")] == []


CHUNKS = (*JSON[:1], "Transfer-Encoding: chunked")


def test_what_follows_a_body_is_no_header_and_has_an_end(service: Service) -> None:
    """Trailers are not kept: a key among them opens nothing; without an end they are cut off."""
    bare = b"POST /v1/scores HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    bare += b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    key = f"Authorization: {authorization()['authorization']}\r\n\r\n".encode()
    assert raw(service, bare + CHUNKED[:-2] + key)[0] == 401
    before = service.workers()[0].memory_info().rss
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(head(*CHUNKS) + CHUNKED[:-2])
        endless = b"X-Much: " + b"a" * 100_000_000
        with pytest.raises(ConnectionError):
            connection.sendall(endless)
    assert service.workers()[0].memory_info().rss < before + (32 << 20)


def test_a_body_may_come_in_small_chunks(service: Service) -> None:
    """A byte at a time, with as long a frame as a chunk may sensibly have."""
    body = b'{"accounts": [%s"acc_0001"]}' % (b" " * 200_000)
    pieces = b"".join(b"%02x\r\n%c\r\n" % (1, byte) for byte in body) + b"0\r\n\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(head(*CHUNKS, "Connection: close") + pieces)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def slow(pieces: list[bytes], pause: float) -> Callable[[Service], tuple[int, float]]:
    """A client that sends piece after piece; the status it got, and when it was cut off."""

    def run(service: Service) -> tuple[int, float]:
        begun = time.monotonic()
        with socket.create_connection(("127.0.0.1", service.port), timeout=40) as connection:
            found = b""
            connection.settimeout(pause)
            for piece in [*pieces, *([b""] * 40)]:
                try:
                    connection.sendall(piece)
                    if chunk := connection.recv(65536):
                        found += chunk
                    else:
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
        status = int(found.split()[1]) if found else 0
        return status, time.monotonic() - begun

    return run


SLOW = {
    "says nothing": slow([], 1.0),
    "half a head": slow([b"GET /livez HTTP/1.1\r\nHo"], 1.0),
    "a head a byte a second": slow([bytes([byte]) for byte in b"GET /livez HTTP/1.1\r\n" * 3], 1.0),
    "no body": slow([head(*JSON, "Content-Length: 100")], 1.0),
    "a body a byte a second": slow([head(*JSON, "Content-Length: 100"), *[b" "] * 40], 1.0),
    "an idle connection": slow([b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"], 1.0),
    "a refused body without an end": slow(
        [head("Content-Type: text/plain", "Content-Length: 1000"), *[b" "] * 40], 1.0
    ),
}


def test_nobody_holds_a_connection_by_being_slow(service: Service) -> None:
    """Each kind of slowness is told or cut off in 16 s, while others are answered at once."""
    with ThreadPoolExecutor(len(SLOW)) as pool, service.asking(authorization()) as client:
        running = {name: pool.submit(client_, service) for name, client_ in SLOW.items()}
        for _ in range(10):
            assert client.get("/").elapsed.total_seconds() < 5
        found = {name: future.result() for name, future in running.items()}
    assert {name: status for name, (status, _) in found.items()} == {
        "says nothing": 0,
        "half a head": 408,
        "a head a byte a second": 408,
        "no body": 408,
        "a body a byte a second": 408,
        "an idle connection": 200,
        "a refused body without an end": 415,
    }
    assert max(seconds for _, seconds in found.values()) < 17


@pytest.mark.parametrize("declared", [True, False])
def test_large_bodies_are_refused_without_being_kept(service: Service, declared: bool) -> None:
    """Four bodies of 60 MB: 413 each, and the worker grows by less than 20 MB."""
    [worker] = service.workers()
    before, most = worker.memory_info().rss, 0
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(sends_60_mb, service, declared) for _ in range(4)]
        while not all(one.done() for one in asked):
            most = max(most, worker.memory_info().rss)
            time.sleep(0.01)
    assert [one.result() for one in asked] == [413] * 4
    assert most - before < 20 << 20


def sends_60_mb(service: Service, declared: bool) -> int:
    """Send 60 MB, with a length or in chunks."""
    size, block = 60 << 20, b" " * (1 << 16)
    headers = {"content-type": "application/json", **authorization()}
    if declared:
        headers["content-length"] = str(size)
    with service.asking(headers) as client:
        blocks = (block for _ in range(size // len(block)))
        return client.post("/v1/scores", content=blocks).status_code


def test_a_hundred_slow_bodies_do_not_keep_others_out(service: Service) -> None:
    """Only whole requests count as being answered."""
    waiting = []
    for _ in range(100):
        connection = socket.create_connection(("127.0.0.1", service.port))
        connection.sendall(head(*JSON, "Content-Length: 1000") + b"{")
        waiting.append(connection)
    with service.asking(authorization()) as client:
        assert client.get("/").status_code == 200
    for connection in waiting:
        connection.close()


def test_under_overload_every_request_is_answered(service: Service) -> None:
    """200, or 429 with Retry-After; health is told throughout; then all is as before."""
    [account] = [ACCOUNT]
    ids = [account] * 1000

    def many(_: int) -> list[httpx.Response]:
        with service.asking(authorization()) as client:
            return [client.post("/v1/scores", json={"accounts": ids}) for _ in range(2)]

    known = json.dumps({"accounts": ids})
    assert known
    with ThreadPoolExecutor(24) as pool, service.asking() as client:
        asked = [pool.submit(many, n) for n in range(24)]
        alive = [client.get("/livez").status_code for _ in range(5)]
        answers = [answer for one in asked for answer in one.result()]
    assert set(alive) <= {200, 429}
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {200, 404, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["type"] == "urn:goldpan:problem:overloaded"
    with service.asking(authorization()) as client:
        assert client.get("/").status_code == 200


def test_an_answer_tells_what_is_left(service: Service) -> None:
    """In the IETF's draft and as it was of old."""
    with service.asking(authorization("read")) as client:
        headers = client.get("/").headers
    assert headers["ratelimit-policy"] == '"key";q=1200;w=2'
    assert headers["ratelimit"] == '"key";r=1199;t=1'
    left = [headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")]
    assert left == ["1200", "1199", "1"]


def test_a_key_that_asks_too_often_is_told_when_to_come_back() -> None:
    """Another key is not concerned, and after the wait the first one is let in."""
    limits = Limits(rate=1, burst=3)
    left = [limits.asked("a")["ratelimit-remaining"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    with pytest.raises(ProblemError) as told:
        limits.asked("a")
    assert (told.value.kind, told.value.headers["retry-after"]) == ("rate-limited", "1")
    assert limits.asked("b")["ratelimit-remaining"] == "2"
    limits.buckets["a"].filled_at -= 1
    assert limits.asked("a")["ratelimit-remaining"] == "0"


def test_a_hundred_requests_a_second_never_meet_the_limit() -> None:
    """Two minutes of them, ten at once."""
    limits, now = Limits(), 0.0
    for second in range(120):
        for _ in range(100):
            limits.asked("a")
        now = float(second)
        limits.buckets["a"].filled_at -= 1
    assert now == 119


@pytest.mark.parametrize("said", ["0", "-1", "nan", "inf", "many"])
def test_a_limit_that_is_no_number_is_an_error(said: str) -> None:
    """It names the variable and what may stand there."""
    with pytest.raises(InputError, match=rf"GOLDPAN_BURST={said}; expected a number of 1 or more"):
        limits_of({"GOLDPAN_BURST": said})
