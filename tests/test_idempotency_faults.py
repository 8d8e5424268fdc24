"""A request that named itself is not done twice when keeping its answer goes wrong."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from features.workspace import Workspace
from serving.api import idempotency as middle
from serving.api.idempotency import Idempotent
from serving.api.problems import ProblemError
from serving.ledger import idempotency
from serving.ledger.database import opened
from serving.ledger.keys import Key

Work = Callable[[], None]


class Asked:
    """The middleware around work that is done in a thread; asked by one key, under one name."""

    def __init__(self, root: Path, work: Work) -> None:
        self.work, self.done = work, 0
        self.middle = Idempotent(self.answer, opened(Workspace(root)))

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        """Do the work, then say so."""
        await asyncio.to_thread(self.count)
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})

    def count(self) -> None:
        """What must not happen twice."""
        self.work()
        self.done += 1

    def ask(self, seconds: float = 30.0) -> list[Any]:
        """What is sent to who asks; raises what the middleware does."""
        return asyncio.run(self._ask(seconds))

    async def _ask(self, seconds: float) -> list[Any]:
        sent: list[Any] = []
        key = Key("aaaaaaaaaaaa", "a test", ("score",), None)  # type: ignore[arg-type]
        state = {"headers": {"idempotency-key": "n"}, "key": key, "body": b"", "request_id": "r"}
        scope = {"method": "POST", "path": "/", "query_string": b"", "state": state}

        async def send(message: Any) -> None:
            sent.append(message)

        async with asyncio.timeout(seconds):
            await self.middle(scope, None, send)  # type: ignore[arg-type]
        return sent


@pytest.fixture(autouse=True)
def _not_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middle, "WAIT_SECONDS", 0.1)


def test_what_was_done_and_could_not_be_kept_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 the first time; then, until the claim is abandoned, that it is still being answered."""

    def fail(*arguments: Any) -> None:
        raise OperationalError("UPDATE", {}, Exception("no connection"))

    asked = Asked(tmp_path, lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "keep", fail)
        with pytest.raises(ProblemError, match="does not answer"):
            asked.ask()
    with pytest.raises(ProblemError, match="still being answered"):
        asked.ask()
    assert asked.done == 1


def test_what_was_cut_off_while_its_thread_wrote_is_not_done_again(tmp_path: Path) -> None:
    """The time limit cancels the waiting, not the thread."""
    asked = Asked(tmp_path, lambda: time.sleep(0.5))
    with pytest.raises(TimeoutError):
        asked.ask(seconds=0.2)
    with pytest.raises(ProblemError, match="still being answered"):
        asked.ask()
    assert asked.done == 1


def test_a_fault_of_ours_gives_the_claim_up(tmp_path: Path) -> None:
    """Asking again is right at once, and is then answered."""

    def work() -> None:
        if not tried:
            tried.append(1)
            raise KeyError("x")

    tried: list[int] = []
    asked = Asked(tmp_path, work)
    with pytest.raises(KeyError):
        asked.ask()
    first, again = asked.ask(), asked.ask()
    assert (first[0]["status"], again[1]["body"], asked.done) == (201, b"done", 1)
