"""The past cases that are most like an account, and how they ended."""

import json
import re
import shutil
from dataclasses import replace
from datetime import date
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from asked import state_of
from test_serving_world import seal, served

from features.errors import InputError
from features.pseudonym import pseudonym
from serving.console.views.account import account
from serving.console.views.desk import desk
from serving.console.views.similar import GONE, similar
from serving.models import cases as serving_cases
from serving.models.cases import FEWEST, NEAREST, Cases
from serving.models.model import load_bundle
from serving.state import State
from tests.console_asked import InProcess
from training.records import cases as training_cases


@pytest.fixture(scope="module")
def state() -> State:
    """The shared world, whose churn model has 400 cases."""
    return state_of(served().workspace)


def made(count: int, signals: int = 3) -> Cases:
    """Cases of two observations an account, their parts on a line."""
    parts = np.repeat(np.arange(count, dtype=np.float32)[:, None], signals, axis=1)
    names = tuple(pseudonym(f"a{row // 2}") for row in range(count))
    days = (date(2026, 1, 5),) * count
    return Cases(tuple("xyz")[:signals], names, days, np.arange(count) % 4 == 0, parts)


def test_the_nearest_are_by_distance_one_an_account_and_never_its_own() -> None:
    """On a line of cases they are the neighbours to both sides, the account itself left out."""
    found = made(200).nearest(np.array([100.0, 100.0, 100.0]), "a50")
    assert len(found) == NEAREST
    assert len({c.account for c in found}) == NEAREST
    assert pseudonym("a50") not in {c.account for c in found}
    assert [c.account for c in found[:4]] == [pseudonym(f"a{n}") for n in (49, 51, 48, 52)]
    assert [c.happened for c in found[:4]] == [False, False, False, True]


def test_what_makes_two_alike_is_what_both_are_moved_by_the_same_way() -> None:
    """The largest products of parts; a signal that moved them apart is not named."""
    cases = replace(made(120), parts=np.tile(np.float32([2.0, -1.0, 0.5]), (120, 1)))
    [first, *_] = cases.nearest(np.array([1.0, 3.0, 1.0]), "nobody")
    assert first.shared == ("x", "z")


def test_too_few_cases_say_nothing() -> None:
    """Under a hundred there is no list at all."""
    assert made(FEWEST - 1).nearest(np.zeros(3), "nobody") == []


def test_training_and_serving_call_an_account_the_same() -> None:
    """They share one function for it; a file of the one is read by the other."""
    for name in ("acc_1", "Größe", "a/b c", "\ud800"):
        assert training_cases.pseudonym(name) == serving_cases.pseudonym(name) == pseudonym(name)


def test_a_page_counts_how_the_most_similar_ended_and_links_to_who_is_here(state: State) -> None:
    """The numbers are those of the distances; whoever is gone has no name and no link."""
    ready, scorer = desk(state), state.scorers["churn"]
    row = next(r for r in range(120) if scorer.why_not(r) is None)
    name = state.snapshot.table.ids[row]
    found = account(ready, name, "churn")
    told = similar(ready, scorer.model, name, {c.signal: c.part for c in found.why.contributions})
    parts, cases = scorer.scores([row]).parts[0][:-1], scorer.model.cases
    order = np.argsort(((cases.parts - parts) ** 2).sum(axis=1), kind="stable")
    nearest: dict[str, bool] = {}
    for place in order:
        if cases.accounts[place] != pseudonym(name):
            nearest.setdefault(cases.accounts[place], bool(cases.happened[place]))
    ends = list(nearest.values())[:NEAREST]
    assert told.text == f"Of the 50 most similar past cases {sum(ends)} left within 30 days."
    assert list(told.ends) == ends
    here = {pseudonym(i): i for i in state.snapshot.table.ids}
    assert [e.account for e in told.nearest] == [here.get(d, "") for d in list(nearest)[:5]]
    assert all((e.name == GONE) == (not e.account) for e in told.nearest)
    page = InProcess(served().workspace, state).as_("viewer").page(f"/console/accounts/{name}")
    assert told.text in " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())
    for ended in told.nearest:
        assert not ended.account or f'/console/accounts/{ended.account}?model=churn"' in page


def test_a_bundle_without_cases_is_whole_and_one_with_wrong_ones_is_refused(
    tmp_path: Path,
) -> None:
    """Bundles of earlier versions load; another signal, a length, a number, a byte do not."""
    folder = tmp_path / "churn" / "1"
    shutil.copytree(served().workspace.bundles / "churn" / "1", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(load_bundle(folder).cases.accounts) == 400
    good = json.loads((folder / "cases.json").read_text())
    for wrong in (
        {"signals": good["signals"][::-1]}, {"outcome": good["outcome"][1:]}, {"parts": "AAAA"},
        {"outcome": [2, *good["outcome"][1:]]}, {"as_of": ["?", *good["as_of"][1:]]},
        {"parts": "!" + good["parts"][1:]}, {"parts": "AHw=" + good["parts"][4:]},
    ):  # fmt: skip
        (folder / "cases.json").write_text(json.dumps(good | wrong))
        with pytest.raises(InputError, match="sha256"):
            load_bundle(folder)
        seal(folder, manifest)
        with pytest.raises(InputError, match="cannot be read"):
            load_bundle(folder)
    (folder / "cases.json").unlink()
    seal(folder, manifest)
    assert load_bundle(folder).cases is None
