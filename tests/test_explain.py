"""Contributions become reasons that a person understands, each with the account's own fact."""

import math
from dataclasses import replace

import pytest

from serving.scoring.explain import Fact, Wording, number, reasons, sentence

LOGINS = Wording("logins", "Logins", "now", "before", "logins in 28 days", "count", "act")
MINUTES = Wording("m", "Time in use", "now", "before", "minutes in 28 days", "minutes", "act")
SEATS = Wording("s", "Seats in use", "now", None, "of the seats are in use", "share", "act")
PRICE = Wording("p", "Price", "now", "before", "a month", "money", "context")
AGE = Wording("a", "Time since sign-up", "now", None, "since sign-up", "days", "context")
RENEWAL = Wording("r", "Renewal date", "now", None, "to the renewal", "days", "context")
INDUSTRY = Wording("i", "Industry", "now", None, "is the industry", "category", "fixed")
TREND = Wording("t", "Trend of actions", "now", None, "a week", "trend", "act")
GAP = Wording("g", "Actions compared with similar accounts", "now", "before", "in 28 days", "gap",
              "act")  # fmt: skip
SEEN = Wording("c", "Champion last seen", "now", "before", "ago", "days", "act")
SHARES = Wording("e", "Shares", "now", "before", "times 'shares' in 28 days", "count", "act")


@pytest.mark.parametrize(
    ("wording", "now", "before", "peer", "text"),
    [
        (LOGINS, 3.0, 14.0, 11.0, "Logins fell from 14 to 3 in 28 days; peers 11"),
        (LOGINS, 14.0, 3.0, 11.0, "Logins rose from 3 to 14 in 28 days; peers 11"),
        (LOGINS, 939.0, 1371.0, 48.0, "Logins: 939 in 28 days; high beside peers' 48"),
        (LOGINS, 4.0, 3.0, 11.0, "Logins: 4 in 28 days; low beside peers' 11"),
        (LOGINS, 22.0, 24.0, 11.0, "Logins: 22 in 28 days; high beside peers' 11"),
        (LOGINS, 21.0, 24.0, 11.0, "Logins fell from 24 to 21 in 28 days; peers 11"),
        (LOGINS, 3.0, 14.0, 1.0, "Logins fell from 14 to 3 in 28 days; peers 1"),
        (LOGINS, 3.0, 0.0, 11.0, "Logins rose from 0 to 3 in 28 days; peers 11"),
        (LOGINS, 1.0, 2.0, 0.0, "Logins fell from 2 to 1 in 28 days; peers 0"),
        (LOGINS, 5.0, 5.0, 11.0, "Logins stayed at 5 in 28 days; peers 11"),
        (LOGINS, 0.0, 0.0, 0.0, "Logins stayed at 0 in 28 days; peers 0"),
        (LOGINS, math.nan, 14.0, 11.0, "Logins: no data, 14 before; peers 11"),
        (LOGINS, None, None, None, "Logins: no data"),
        (LOGINS, 3.0, None, 11.0, "Logins: 3 in 28 days; peers 11"),
        (LOGINS, 12345.0, 1.04, math.nan, "Logins rose from 1 to 12,345 in 28 days"),
        (MINUTES, 30.25, 140.0, 52.44,
         "Time in use fell from 140 to 30.2 minutes in 28 days; peers 52.4"),
        (SEATS, 0.4, None, 0.555, "Seats in use: 40 % of the seats are in use; peers 55.5 %"),
        (PRICE, 1200.0, 99.5, 450.0, "Price rose from 99.5 to 1,200 USD a month; peers 450"),
        (AGE, 1.0, None, 280.0, "Time since sign-up: 1 day; peers 280"),
        (RENEWAL, 23.0, None, None, "Renewal date: 23 days to the renewal"),
        (INDUSTRY, "retail", None, None, "Industry: retail"),
        (INDUSTRY, None, None, None, "Industry: not known"),
        (replace(MINUTES, phrase="in 28 days"), 90.0, 1240.0, 600.0,
         "Time in use fell from 20.7 to 1.5 hours in 28 days; peers 10"),
        (TREND, -0.034, None, 0.01, "Trend of actions: down 3.4 % a week; peers up 1 %"),
        (TREND, 0.0, None, None, "Trend of actions: flat"),
        (GAP, 12.0, -3.0, -30.0, "Actions compared with similar accounts: 12 fewer in 28 days, "
                                 "3 more before; peers 30 more"),
        (SEEN, 9.0, 2.0, 1.0, "Champion last seen: 9 days ago, 2 before; peers 1"),
        (SEEN, 0.0, None, 1.0, "Champion last seen: today; peers 1"),
        (SEEN, 1.0, 1.0, None, "Champion last seen: 1 day ago, as before"),
        (SHARES, 2.0, 5.0, 1.0, "Shares fell from 5 to 2 times in 28 days; peers 1"),
    ],
)  # fmt: skip
def test_a_reason_states_the_accounts_own_fact_in_plain_words(
    wording: Wording, now: Fact, before: Fact, peer: float | None, text: str
) -> None:
    """Rising, falling, unchanged, missing and named values each read as a sentence."""
    assert sentence(wording, {"now": now, "before": before}, {"now": peer}, "USD") == text


def test_a_signal_without_a_figure_of_its_own_says_so() -> None:
    """No fact is invented for a signal that no single feature states."""
    trend = Wording("t", "Trend", None, None, "", "ratio", "act")
    assert sentence(trend, {}, {}, "USD") == "Trend: several measures together"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.04, "ratio", "under 0.1"),
        (-0.0, "count", "0"),
        (99.96, "count", "100"),
        (-3.0, "days", "-3"),
        (1.0, "share", "100 %"),
        (0.0004, "share", "under 0.1 %"),
    ],
)
def test_numbers_have_at_most_one_decimal(value: float, unit: str, text: str) -> None:
    """A small figure is not shown as nothing, and a share is in per cent."""
    assert number(value, unit) == text


def test_the_five_largest_signals_are_told_in_the_order_of_their_size() -> None:
    """Either sign counts by its size; direction and share are those of the probability."""
    parts = {"a": 0.1, "b": -0.4, "c": 0.0, "d": 0.2, "e": 0.05, "f": 0.15, "g": -0.1}
    wordings = {name: Wording(name, name.upper(), None, None, "", "count", "act") for name in parts}
    found = reasons(parts, wordings, {}, {})
    assert [r.signal for r in found] == ["b", "d", "f", "a", "g"]
    assert [r.direction for r in found] == ["lowers", "raises", "raises", "raises", "lowers"]
    assert found[0].contribution == -0.4
    assert found[0].share == pytest.approx(0.4)


def test_a_signal_that_the_model_did_not_use_is_never_a_reason() -> None:
    """No reason at all is better than a reason with a contribution of nothing."""
    assert reasons({"logins": 0.0}, {"logins": LOGINS}, {"now": 3.0}, {}) == []
