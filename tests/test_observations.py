import datetime as dt

import numpy as np
import pandas as pd
import pytest
from made_up import made_up_settings

from features.errors import InputError, RefusedError
from features.settings import Outcome as Timing
from training.observations import History, schedule
from training.outcomes import OUTCOMES, chosen, eligible

FIRST, UNTIL = dt.date(2024, 1, 1), dt.date(2024, 7, 1)


def utc(*moments):
    """Moments as a UTC index."""
    return pd.DatetimeIndex([pd.Timestamp(m, tz="UTC") for m in moments], tz="UTC")


def history(created="2024-01-10 15:00", terms=()):
    """One account, one internal account, and the terms of the first."""
    accounts = pd.DataFrame(
        {
            "account_id": ["a", "ours"],
            "created_at": utc(created, "2024-01-01"),
            "is_internal": [False, True],
            "first": 0,
            "end": 10**6,
        }
    )
    starts, ends = [t[0] for t in terms], [t[1] for t in terms]
    spans = pd.DataFrame(
        {"account_id": ["a"] * len(terms), "start": utc(*starts), "end": utc(*ends)}
    )
    changes = pd.DataFrame({"account_id": [], "time": utc(), "kind": []})
    return History(accounts, changes, spans, FIRST, UNTIL)


def days(pairs):
    """The observation days as text."""
    assert set(pairs["account_id"]) <= {"a"}
    return pairs["as_of"].dt.strftime("%m-%d").tolist()


def test_calendar_grid_ends_on_the_last_day_whose_window_is_known():
    """Days lie whole steps from a Monday long ago, so that outcomes share them; windows fit in."""
    timing = Timing(lead_days=1, horizon_days=30, every_days=30)
    found = days(schedule(history(), timing, "churn"))
    assert found == ["02-21", "03-22", "04-21", "05-21"]


def test_calendar_grid_waits_for_the_accounts_age():
    """No observation before the account is old enough."""
    timing = Timing(horizon_days=30, every_days=10, min_age_days=60)
    first = schedule(history(), timing, "pql")["as_of"].min()
    assert first >= pd.Timestamp("2024-01-10 15:00") + pd.Timedelta(days=60)


def test_age_is_reached_at_the_first_midnight_after():
    """An account of the 10th, 15:00, is seven days old at midnight of the 18th."""
    timing = Timing(horizon_days=30, at_age_days=(7,), min_age_days=7)
    assert days(schedule(history(), timing, "pql")) == ["01-18"]
    assert days(schedule(history("2024-01-10"), timing, "pql")) == ["01-17"]


def test_renewals_are_looked_at_so_many_days_before_the_known_term_end():
    """Only within the term: a day before it began is no observation."""
    timing = Timing(horizon_days=10, before_renewal_days=(5, 40))
    spans = [("2024-02-01", "2024-03-01 08:00"), ("2024-03-01", "2024-04-30")]
    assert days(schedule(history(terms=spans), timing, "churn")) == ["02-25", "03-21", "04-25"]


def test_data_shorter_than_the_horizon_are_refused_with_both_figures():
    """The message names the days found and the days needed."""
    timing = Timing(lead_days=5, horizon_days=200, every_days=7)
    with pytest.raises(
        RefusedError, match=r"Found 182 days of data .*'churn'; expected at least 233"
    ):
        schedule(history(), timing, "churn")


def test_an_outcome_that_is_not_declared_is_named():
    """The error quotes it and lists what is declared."""
    with pytest.raises(InputError, match="outcome 'love'; expected one of pql, upgrade, churn"):
        chosen(made_up_settings(), ["love"])


def rows(**changed):
    """One eligible customer on the team plan, with changes."""
    usual = {"population": "customer", "plan": "team", "is_internal": False,
             "cancel_announced": False, "age_days": np.float32(30)}  # fmt: skip
    return pd.DataFrame([usual | changed])


@pytest.mark.parametrize(
    ("outcome", "changed", "expected"),
    [
        ("churn", {}, True),
        ("churn", {"cancel_announced": True}, False),
        ("churn", {"population": "former"}, False),
        ("churn", {"is_internal": True}, False),
        ("upgrade", {}, True),
        ("upgrade", {"cancel_announced": True}, False),
        ("upgrade", {"plan": "pro"}, False),
        ("upgrade", {"plan": "pro", "seats": 5.0}, True),
        ("pql", {}, False),
        ("pql", {"population": "prospect"}, True),
        ("pql", {"population": "prospect", "age_days": np.float32(2.9)}, False),
    ],
)
def test_eligibility_follows_what_was_known_on_the_day(outcome, changed, expected):
    """Population, plan, announced cancellations, age and internal accounts decide."""
    settings = made_up_settings()
    timing = settings.outcomes.declared()[outcome]
    assert eligible(OUTCOMES[outcome], rows(**changed), settings, timing).tolist() == [expected]


def test_schedules_of_two_outcomes_stay_apart():
    """An outcome's own rows can be told from the union."""
    one = schedule(history(), Timing(horizon_days=30, every_days=7), "churn")
    other = schedule(history(), Timing(horizon_days=30, at_age_days=(9,)), "pql")
    assert len(other) == 1
    assert len(one.merge(other)) in (0, 1)
