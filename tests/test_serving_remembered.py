import math
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asked import Asked
from fastapi import APIRouter, Request
from test_events_api import copied
from test_serving_world import promote, served

from features.workspace import Workspace
from serving.api.access import OPEN, opens
from serving.api.answers import encoded
from serving.api.straight import plain
from serving.scoring.remembered import Remembered


@pytest.fixture
def own(tmp_path: Path) -> Asked:
    """An application over a copy of the serving tests' world."""
    return Asked(Workspace(copied(served().workspace, tmp_path / "copy")), "score", "read")


def told(asked: Asked, **more: Any) -> Any:
    """What is said of some account, without the request's name."""
    account = asked.state.snapshot.table.ids[0]  # type: ignore[union-attr]
    return asked.post("/v1/scores", accounts=[account], **more)["results"]


def only_the_console(predict: Callable[..., Any]) -> Callable[..., Any]:
    """Computes for the thread that prepares the console; whoever else asks, fails."""

    def asked(*rows: Any, **how: Any) -> Any:
        assert threading.current_thread().name == "console"
        return predict(*rows, **how)

    return asked


def test_an_answer_is_the_same_when_it_is_remembered_and_when_it_is_made_anew(own: Asked) -> None:
    """Asked twice, with reasons and without; the second time nothing is computed."""
    assert own.state.snapshot is not None
    first, bare = told(own), told(own, reasons=False)
    assert first != bare
    for scorer in own.state.scorers.values():
        assert len(scorer.told.answers) in (0, 2)
        scorer.model.booster.predict = only_the_console(scorer.model.booster.predict)
    assert (told(own), told(own, reasons=False)) == (first, bare)
    own.renew()
    assert (told(own), told(own, reasons=False)) == (first, bare)


def test_a_new_model_is_not_answered_for_by_the_former_one(own: Asked) -> None:
    """What was remembered goes with the model that said it."""
    before = told(own)
    shutil.rmtree(own.workspace.bundles / "churn")
    shutil.rmtree(own.workspace.bundles / "pql")
    for name in ("churn", "pql"):
        promote(own.workspace, served().settings, name, seed=9, version="2")
    own.renew()
    after = told(own)
    assert [s["score_id"] for s in after[0]["scores"]] != [
        s["score_id"] for s in before[0]["scores"]
    ]


def test_as_many_answers_are_remembered_as_one_says() -> None:
    """Those asked for longest ago go first; with 0 none is kept."""
    kept, none = Remembered(most=2), Remembered(most=0)
    for row in range(3):
        kept.keep(row, True, {"row": row})
        none.keep(row, True, {"row": row})
        kept.find(0, True)
    assert [row for row, _ in kept.answers] == [2, 0]
    assert not none.answers


def test_what_json_has_no_number_for_is_no_answer() -> None:
    """NaN is an error of ours, also where a text says NaN; a text alone may."""
    assert encoded({"a": "NaN"}) == b'{"a":"NaN"}'.replace(b":", b": ")
    for wrong in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            encoded({"a": "NaN", "b": wrong})


def test_only_what_the_framework_need_not_read_goes_straight() -> None:
    """A parameter, a query or a second dependency: the framework reads them."""
    router = APIRouter()

    async def one(request: Request) -> None: ...
    async def two(request: Request, limit: int) -> None: ...

    router.add_api_route("/a", one, dependencies=opens(OPEN))
    router.add_api_route("/a/{b}", one, dependencies=opens(OPEN))
    router.add_api_route("/b", two, dependencies=opens(OPEN))
    router.add_api_route("/c", one, dependencies=[*opens(OPEN), *opens("score")])
    router.add_api_route("/d", one)
    assert [plain(route) for route in router.routes] == [True, False, False, False, False]
