"""SHAP in its own form: the page's numbers are the model's own contributions."""

import re
from html import unescape

import numpy as np
import pytest
from asked import state_of
from scipy.special import expit
from test_serving_world import served

from serving.console.views.desk import desk
from serving.console.views.shap import ACCOUNTS, LANES, swarm
from serving.scoring.score import by_signal
from serving.state import State
from tests.console_asked import Browser, InProcess


@pytest.fixture(scope="module")
def state() -> State:
    """The shared world's models and accounts."""
    return state_of(served().workspace)


@pytest.fixture(scope="module")
def browser(state: State) -> Browser:
    """Somebody signed in."""
    return InProcess(served().workspace, state).as_("viewer")


def told(page: str, name: str) -> float:
    """One number that stands on a page exactly."""
    [found] = re.findall(rf'data-{name}="([^"]+)"', page)
    return float(found)


@pytest.mark.parametrize("model", ["churn", "pql"])
def test_every_feature_stands_on_the_page_with_the_models_own_contribution(
    browser: Browser, state: State, model: str
) -> None:
    """To 1e-9; base and parts sum to the log-odds, which are the shown probability."""
    scorer = state.scorers[model]
    rows = np.flatnonzero(~np.isnan(scorer.chances))[::12]
    raw = scorer.model.contributions(scorer.encoder.rows(scorer.snapshot.table, rows))
    for row, contributions in zip(rows.tolist(), raw, strict=True):
        account = scorer.snapshot.table.ids[row]
        page = unescape(browser.page(f"/console/shap/{model}/{account}"))
        assert re.search(r"meet at the score, [^;]+; dashed: the average, .+%", page)
        parts = re.findall(r'data-feature="([^"]+)" data-part="([^"]+)"', page)
        shown = {name: float(part) for name, part in parts}
        for name, part in zip(scorer.model.names, contributions[:-1].tolist(), strict=True):
            assert shown.get(name, 0.0) == pytest.approx(part, abs=1e-9)
        sizes = [abs(part) for part in shown.values()]
        assert sizes == sorted(sizes, reverse=True)
        base, log_odds = told(page, "base"), told(page, "sum")
        assert base == pytest.approx(float(contributions[-1]), abs=1e-9)
        assert base + sum(shown.values()) == pytest.approx(log_odds, abs=1e-9)
        assert expit(log_odds) == pytest.approx(told(page, "probability"), abs=1e-9)
        assert told(page, "probability") == pytest.approx(float(scorer.chances[row]), abs=1e-9)


@pytest.mark.parametrize("model", ["churn", "pql", "upgrade"])
def test_a_point_of_the_swarm_is_an_accounts_contribution_of_a_signal(
    browser: Browser, state: State, model: str
) -> None:
    """At most 15 signals, the weightiest first, and 2,000 points; each the model's own number."""
    scorer, page = state.scorers[model], unescape(browser.page(f"/console/shap/{model}"))
    lanes = re.findall(r'<tr data-signal="([^"]+)">(.*?)</tr>', page, flags=re.DOTALL)
    points = {
        (signal, account): float(part)
        for signal, lane in lanes
        for part, account in re.findall(r'data-part="([^"]+)" data-account="([^"]+)"', lane)
    }
    assert 0 < len(lanes) <= LANES
    assert len(points) == len({account for _, account in points}) * len(lanes) <= 2000
    rows = np.array(sorted({scorer.snapshot.table.row_of[account] for _, account in points}))
    inputs = scorer.encoder.rows(scorer.snapshot.table, rows)
    parts = by_signal(scorer.model, scorer.model.contributions(inputs))
    for (signal, account), part in points.items():
        at = int(np.searchsorted(rows, scorer.snapshot.table.row_of[account]))
        expected = parts[at, scorer.model.signals.index(signal)]
        assert part == pytest.approx(float(expected), abs=1e-9)
    sizes = np.abs(parts).mean(axis=0)
    weightiest = [scorer.model.signals[i] for i in np.argsort(-sizes, kind="stable")[:LANES]]
    assert [signal for signal, _ in lanes] == weightiest[: len(lanes)]


def test_a_long_queue_is_sampled_evenly(state: State) -> None:
    """From its first account to its last."""
    found = swarm(desk(state), "churn")
    order = desk(state).queues.ordered("churn", "probability").rows
    ids = [state.snapshot.table.ids[row] for row in order]  # type: ignore[union-attr] # it is there
    assert found.accounts == min(ACCOUNTS, len(order))
    accounts = [dot.account for dot in found.lanes[0].dots]
    assert (accounts[0], accounts[-1]) == (ids[0], ids[-1])


@pytest.mark.parametrize("place", ["churn/nobody", "nothing", "nothing/acc"])
def test_what_there_is_not_is_told(browser: Browser, place: str) -> None:
    """Another model, another account: not found, with a sentence."""
    answer = browser.ask("GET", f"/console/shap/{place}")
    assert answer.status_code == 404
    assert "says nothing of" in answer.text or "no promoted model" in answer.text
