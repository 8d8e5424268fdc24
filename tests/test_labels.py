import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.settings import Outcome as Timing
from training.labels import label, over
from training.outcomes import OUTCOMES

AS_OF = dt.datetime(2024, 3, 1)
FAR = dt.date(2030, 1, 1)
TICK = dt.timedelta(microseconds=1)


def labelled(changes, timing, outcome="churn", until=FAR, as_of=AS_OF):
    """Label one observation of account 'a'; None when it is left out."""
    rows = pd.DataFrame({"account_id": ["a"], "as_of": pd.to_datetime([as_of])})
    frame = pd.DataFrame(changes, columns=["account_id", "time", "kind"])
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    found = label(rows, frame, OUTCOMES[outcome], timing, until)
    return int(found["label"].iloc[0]) if len(found) else None


def test_window_is_open_at_its_start_and_closed_at_its_end():
    """A change one microsecond inside the window counts; at its start it does not."""
    timing = Timing(lead_days=7, horizon_days=30, every_days=7)
    start, end = AS_OF + dt.timedelta(days=7), AS_OF + dt.timedelta(days=37)
    assert labelled([("a", start + TICK, "churn")], timing) == 1
    assert labelled([("a", end, "churn")], timing) == 1
    assert labelled([("a", end + TICK, "churn")], timing) == 0
    assert labelled([("a", start, "churn")], timing) is None


def test_a_change_inside_the_lead_leaves_the_row_out():
    """We could not have acted in time on it, and it is no 0 either."""
    timing = Timing(lead_days=7, horizon_days=30, every_days=7)
    assert labelled([("a", AS_OF + TICK, "churn")], timing) is None


def test_a_change_at_the_observation_itself_is_past():
    """A second one may follow; who left the population with it is no observation any more."""
    timing = Timing(horizon_days=30, every_days=7)
    assert labelled([("a", AS_OF, "churn")], timing) == 0
    assert labelled([("a", AS_OF + TICK, "churn")], timing) == 1


@pytest.mark.parametrize(("name", "kind"), [("pql", "convert"), ("upgrade", "churn"),
                                            ("churn", "churn")])  # fmt: skip
def test_an_account_that_leaves_the_population_at_that_midnight_is_not_observed(name, kind):
    """Its features do not know of it, and its outcome could only be no."""
    rows = pd.DataFrame({"account_id": ["a"] * 3,
                         "as_of": [AS_OF, AS_OF + TICK, AS_OF - TICK]})  # fmt: skip
    changes = pd.DataFrame({"account_id": ["a", "a", "b"], "kind": [kind, "upgrade", kind],
                            "time": [AS_OF, AS_OF + TICK, AS_OF - TICK]})  # fmt: skip
    changes["time"] = pd.to_datetime(changes["time"], utc=True)
    assert over(rows, changes, OUTCOMES[name]).tolist() == [True, False, False]


def test_a_competing_change_ends_the_exposure_as_no():
    """A customer that left before upgrading did not upgrade, even if it came back to do so."""
    timing = Timing(horizon_days=60, every_days=7)
    left, rose = AS_OF + dt.timedelta(days=5), AS_OF + dt.timedelta(days=20)
    assert labelled([("a", left, "churn"), ("a", rose, "upgrade")], timing, "upgrade") == 0
    assert labelled([("a", left, "upgrade"), ("a", rose, "churn")], timing, "upgrade") == 1


def test_rows_whose_window_is_not_over_are_left_out():
    """Neither an early yes nor an early no is used."""
    timing = Timing(lead_days=7, horizon_days=30, every_days=7)
    end = (AS_OF + dt.timedelta(days=37)).date()
    happened = [("a", AS_OF + dt.timedelta(days=10), "churn")]
    assert labelled(happened, timing, until=end) == 1
    assert labelled(happened, timing, until=end - dt.timedelta(days=1)) is None


def test_other_accounts_and_other_kinds_do_not_count():
    """Only the account's own change of the outcome's kind makes a 1."""
    timing = Timing(horizon_days=30, every_days=7)
    soon = AS_OF + dt.timedelta(days=3)
    assert labelled([("b", soon, "churn"), ("a", soon, "downgrade")], timing) == 0


# Offsets crowd around the boundaries: whole days, and a microsecond to either side of them.
OFFSETS = st.builds(
    lambda days, ticks: dt.timedelta(days=days) + ticks * TICK,
    st.integers(-3, 50),
    st.integers(-1, 1),
)
CHANGES = st.lists(st.tuples(OFFSETS, st.sampled_from(["upgrade", "churn", "convert"])), max_size=5)


@given(CHANGES, st.integers(0, 9), st.integers(1, 30), st.integers(25, 50))
def test_labels_agree_with_a_slow_reading_of_the_definition(changes, lead, horizon, seen):
    """The vectorised labels equal those that a loop over the changes gives."""
    timing = Timing(lead_days=lead, horizon_days=horizon, every_days=7)
    until = (AS_OF + dt.timedelta(days=seen)).date()
    start, end = AS_OF + dt.timedelta(days=lead), AS_OF + dt.timedelta(days=lead + horizon)
    later = [(AS_OF + o, k) for o, k in changes if AS_OF + o > AS_OF and k != "convert"]
    first = min((t for t, _ in later), default=None)
    rose = first is not None and (first, "upgrade") in later
    if end.date() > until or (rose and first <= start):
        expected = None
    else:
        expected = int(rose and start < first <= end)
    rows = [("a", AS_OF + o, k) for o, k in changes]
    assert labelled(rows, timing, "upgrade", until) == expected


def test_labels_keep_the_rows_order_and_columns():
    """Labelling adds a column to the rows given and moves none of them."""
    days = pd.to_datetime(["2024-02-01", "2024-01-01", "2024-03-01"])
    rows = pd.DataFrame({"account_id": ["b", "a", "a"], "as_of": days, "mrr": [3.0, 1.0, 2.0]})
    changes = pd.DataFrame({"account_id": ["a"], "kind": ["churn"],
                            "time": pd.to_datetime(["2024-03-05"], utc=True)})  # fmt: skip
    timing = Timing(horizon_days=10, every_days=7)
    found = label(rows, changes, OUTCOMES["churn"], timing, FAR)
    assert found["mrr"].tolist() == [3.0, 1.0, 2.0]
    assert found["label"].tolist() == [0, 0, 1]
    assert found["label"].dtype == np.int8
