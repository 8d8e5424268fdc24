"""A reason that is shown gives way only to one that beats it by a margin."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_serving_world import served

from serving.ledger.database import opened
from serving.ledger.shown import keep_shown, shown_until
from serving.models.model import load_bundle, promoted
from serving.scoring.accounts import load_snapshot
from serving.scoring.leading import leading
from serving.scoring.scorer import bind
from serving.scoring.steady import MARGIN, PLACES, shown
from serving.scoring.steady import leading as lead

NAMES, CONTEXT = "abcdefghijkl", "aceg"
PARTS = st.dictionaries(st.sampled_from(NAMES), st.floats(-0.4, 0.4))


@pytest.mark.parametrize(
    ("parts", "former", "told"),
    [
        ({"a": 0.3, "b": 0.39}, ["+a", "+b"], ["+a", "+b"]),  # larger, by less than the margin
        ({"a": 0.3, "b": 0.41}, ["+a", "+b"], ["+b", "+a"]),  # by more
        ({"a": 0.3, "b": 0.39}, [], ["+b", "+a"]),
        ({"a": -0.3, "b": 0.39}, ["+a", "+b"], ["+b", "-a"]),  # another sign is another reason
        ({"a": 0.0, "b": 0.2}, ["+a"], ["+b"]),  # the model does not use it now
        ({"b": 0.2}, ["+a", "-gone"], ["+b"]),
        ({"a": -0.3, "b": 0.35}, ["-a", "+b"], ["-a", "+b"]),  # also between the two signs
        ({"a": -0.3, "b": 0.41}, ["-a", "+b"], ["+b", "-a"]),
    ],
)
def test_a_place_is_lost_only_to_a_part_that_is_larger_by_the_margin(
    parts: dict[str, float], former: list[str], told: list[str]
) -> None:
    """0.1 log-odds, of what the model uses now with the same sign."""
    assert shown(parts, former) == told


def test_of_six_raising_signals_the_last_shown_stays_until_it_is_beaten() -> None:
    """The sixth comes in when it is larger than the fifth by more than 0.1, not before."""
    parts = dict(zip("abcdef", (0.9, 0.8, 0.7, 0.6, 0.5, 0.59), strict=True))
    former = [f"+{name}" for name in "abcde"]
    assert shown(parts, former) == former
    assert shown(parts | {"f": 0.61}, former) == ["+a", "+b", "+c", "+d", "+f"]


@given(PARTS, PARTS)
def test_what_gives_way_was_beaten_by_more_than_the_margin(
    before: dict[str, float], now: dict[str, float]
) -> None:
    """Each signal that was shown, and is used now with the same sign, is shown or beaten."""
    former = shown(before, [], CONTEXT)
    told = shown(now, former, CONTEXT)
    for name in told:
        assert (now[name[1:]] > 0) == (name[0] == "+")
        assert now[name[1:]] != 0
    for name in set(former) - set(told):
        size = now.get(name[1:], 0.0) * (1 if name[0] == "+" else -1)
        alike = [n for n in told if n[0] == name[0] and (n[1:] in CONTEXT) == (name[1:] in CONTEXT)]
        new = [abs(now[n[1:]]) for n in alike if n not in former]
        assert size <= 0 or max(new, default=0.0) > size + MARGIN - 1e-12
    assert shown(now, told, CONTEXT) == told


@given(st.lists(PARTS, min_size=1, max_size=5), PARTS)
def test_a_queues_reasons_are_the_first_raising_ones_of_every_list(
    accounts: list[dict[str, float]], before: dict[str, float]
) -> None:
    """Whatever was shown before."""
    parts = np.array([[of.get(name, 0.0) for name in NAMES] for of in accounts])
    former, context = shown(before, [], CONTEXT), np.array([n in CONTEXT for n in NAMES])
    for mine in (context, ~context):
        tops = lead(np.where(mine, parts, 0), NAMES, [former] * len(accounts), 2)
        for top, of in zip(tops, accounts, strict=True):
            told = [name[1:] for name in shown(of, former, CONTEXT) if name[0] == "+"]
            expected = [name for name in told if mine[NAMES.index(name)]][:2]
            assert [NAMES[i] for i in top if i >= 0] == expected


def test_context_takes_no_place_from_what_one_can_act_on() -> None:
    """However large: five of each are held, and each gives way only to its own kind."""
    parts = {"plan": 2.0, "renewal": 1.9, "tenure": 1.8, "use": 0.3, "seats": 0.25}
    context = {"plan", "renewal", "tenure"}
    told = shown(parts, ["+seats", "+use"], context)
    assert told[:3] == ["+plan", "+renewal", "+tenure"]
    assert told[3:] == ["+seats", "+use"]  # use is larger, by less than the margin


def test_the_night_the_queue_and_the_api_show_the_same_reasons() -> None:
    """The snapshot holds what the ledger holds; the answers and the queue follow it."""
    world = served()
    snapshot = load_snapshot(world.snapshot)
    kept = shown_until(
        opened(world.workspace), "churn", dt.date.fromisoformat(snapshot.table.as_of)
    )
    assert kept == snapshot.shown["churn"]
    scorer = bind(load_bundle(promoted(world.workspace)["churn"]), snapshot)
    rows = [r for r in range(len(snapshot.table.ids)) if scorer.why_not(r) is None][:40]
    told, queue = scorer.answers(scorer.scores(rows)), leading(scorer).top
    for row, answer in zip(rows, told, strict=True):
        names = kept[snapshot.table.ids[row]]
        signs = {"raises": "+", "lowers": "-"}
        assert [signs[r["direction"]] + r["signal"] for r in answer["reasons"]] == names[:PLACES]
        raising = [name[1:] for name in names if name[0] == "+"]
        act = [name for name in raising if name not in scorer.context][:2]
        context = [name for name in raising if name in scorer.context][:1]
        assert [scorer.model.signals[i] for i in queue[row] if i >= 0] == [*act, *context]


def test_a_night_keeps_its_day_and_reads_the_last_one_before() -> None:
    """A day scored again replaces itself; a day that is scored late does not see later ones."""
    ledger = opened(served().workspace)
    first, second = dt.date(2020, 1, 1), dt.date(2020, 1, 3)
    keep_shown(ledger, "made-up", first, {"a": ["+x"], "b": ["-y"]})
    keep_shown(ledger, "made-up", second, {"a": ["+z"]})
    keep_shown(ledger, "made-up", second, {"a": ["+w"]})
    assert shown_until(ledger, "made-up", dt.date(2020, 1, 2)) == {"a": ["+x"], "b": ["-y"]}
    assert shown_until(ledger, "made-up", second) == {"a": ["+w"]}
    assert shown_until(ledger, "made-up", dt.date(2019, 12, 31)) == {}
