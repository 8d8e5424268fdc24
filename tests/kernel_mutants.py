"""Ways in which the kernel can be wrong: the twins of those mutants that only SQL can have.

Whose an event is, is one code for both engines: its mutants, in `tests/mutants.py`, are seen
through the kernel as they are.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from numba.core.dispatcher import Dispatcher

from features import kernel
from tests.mutants import MUTANTS, Mutant, mutant

ONLY_SQL = (
    "compute.windows", "compute.leaves", "compute.days", "compute.sql", "compute.peers",
    "rollups.daily", "zones", "facts.", "identity.resolve:merged",
)  # fmt: skip
"""What the kernel does not run: a mistake there cannot be one of its own."""
SHARED = tuple(m for m in MUTANTS if not m.function.startswith(ONLY_SQL))


@contextmanager
def interpreted() -> Iterator[None]:
    """For a while the kernel is plain Python, so that a function can be changed under another."""
    names = [f"features.kernel.{m.name}" for m in pkgutil.iter_modules(kernel.__path__)]
    with pytest.MonkeyPatch.context() as patch:
        for module in map(importlib.import_module, names):
            for name, value in list(vars(module).items()):
                if isinstance(value, Dispatcher):
                    patch.setattr(module, name, value.py_func)
            if hasattr(module, "compiled"):
                patch.setattr(module, "compiled", lambda function: function)
        yield


def kernel_mutant(name: str, function: str, old: str, new: str, *seen_in: str) -> Mutant:
    """A mistake of one line of the kernel."""
    return mutant(name, f"kernel.{function}", old, new, *seen_in)


# fmt: off
OWN = (
    # What a midnight may see.
    kernel_mutant("events that come late are dropped", "windows:_hold",
                  "rows.visible[row] <= as_of", "rows.visible[row] <= rows.day[row] + 1",
                  "logins_28d"),
    kernel_mutant("events that come late are seen before they come", "windows:_hold",
                  "if rows.visible[row] <= as_of:", "if True:", "logins_28d"),
    kernel_mutant("users who come late are seen before they come", "keys:_hold",
                  "if rows.visible[row] <= as_of:", "if True:", "active_users_28d"),
    kernel_mutant("tickets that come late are seen before they come", "windows:totals",
                  "if rows.visible[row] <= points.as_of[point]:", "if True:", "tickets_open"),
    kernel_mutant("a day sees its own events", "windows:sums",
                  "points.as_of[point] - 1 - spans.nearest", "points.as_of[point] - spans.nearest",
                  "logins_28d"),
    kernel_mutant("windows over users are one day too long", "keys:_hold",
                  "segment_of[latest - day]", "segment_of[max(latest - day - 1, 0)]",
                  "active_users_28d"),
    # What a day's sums are, and who sees them from when on.
    kernel_mutant("an event at midnight counts for the day that ends", "events:known_events",
                  "time // DAY_US", "(time - 1) // DAY_US", "logins_28d"),
    kernel_mutant("a day sees its own events: milestones of the future", "events:known_events",
                  "np.maximum(day + 1,", "np.maximum(day,", "milestones_reached"),
    kernel_mutant("events known later are seen at once", "events:known_events",
                  'np.maximum(day + 1, morning(whole(rows["known_us"])))', "day + 1",
                  "logins_28d"),
    kernel_mutant("what is learnt in the instant of a midnight is not seen at it",
                  "events:known_events",
                  'morning(whole(rows["known_us"]))', 'morning(whole(rows["known_us"]) + 1)',
                  "core_use_cases_28d"),
    kernel_mutant("what turned out to be another account's is kept", "rolled:_changed",
                  "events.until < LAST", "events.until < 0", "core_use_cases_28d"),
    kernel_mutant("a day late in one session changes only itself", "sessions:_late",
                  "days.late | (_follows(days) & np.append(False, days.late[:-1]))", "days.late",
                  "sessions_90d", "minutes_90d"),
    kernel_mutant("look-ahead sessions: booked on the earlier event's day", "sessions:_on_time",
                  "~changes(uses.pair) & (gap <= GAP_US)",
                  "np.append((~changes(uses.pair) & (gap <= GAP_US))[1:], False)", "sessions_7d"),
    kernel_mutant("a pause of just 30 minutes ends a session", "sessions:_on_time",
                  "gap <= GAP_US", "gap < GAP_US", "sessions_90d"),
    kernel_mutant("the minutes of a pause of just 30 minutes are lost", "sessions:_on_time",
                  "np.where(goes_on, gap, 0)", "np.where(goes_on & (gap < GAP_US), gap, 0)",
                  "minutes_90d"),
    kernel_mutant("the same in a session that comes late", "sessions:_state",
                  "uses.time[i] - uses.time[last] <= GAP_US",
                  "uses.time[i] - uses.time[last] < GAP_US", "sessions_90d"),
    kernel_mutant("of a late day only what came first is seen", "sessions:_mornings",
                  "if uses.visible[i] > first:", "if False:", "sessions_90d"),
    kernel_mutant("a user who is there again is counted twice", "rolled:_first_shown",
                  "(so_far - use[\"events\"] > 0)", "0.0", "active_days_28d"),
    kernel_mutant("the weekend is that of UTC", "events:working_week",
                  "time + _offsets(time, settings.calendar.zone, span)", "time",
                  "weekend_share_28d", "office_hours_share_28d"),
    kernel_mutant("clocks are never changed", "events:_offsets",
                  'np.searchsorted(np.array(until[:-1], dtype=np.int64), time, side="right")',
                  "np.zeros(len(time), dtype=np.int64)", "weekend_share_28d",
                  "office_hours_share_28d"),
    # Rows of accounts, users and subscriptions.
    kernel_mutant("today's plan: what is known of it later holds before", "records:seen",
                  "np.maximum(_after(begins), morning(known))", "_after(begins)",
                  "plan_name", "mrr_now"),
    kernel_mutant("today's seats: those of the row that was learnt last", "records:_bought",
                  '"effective_at", "known_at"', '"known_at", "effective_at"', "seats"),
    kernel_mutant("a plan is in force before it takes effect", "records:seen",
                  "np.maximum(_after(begins), morning(known))", "morning(known)",
                  "plan_name", "mrr_now"),
    kernel_mutant("a plan that takes effect at midnight is in force at it", "records:seen",
                  "_after(begins)", "_after(begins - 1)", "plan_name"),
    kernel_mutant("a row that is learnt at midnight is not known at it", "records:seen",
                  "morning(known)", "morning(known + 1)", "plan_name", "mrr_now"),
    kernel_mutant("a term lapses in the instant in which its grace ends", "bought:_lapsed",
                  "< midnight", "<= midnight", "plan_name", "mrr_now"),
    kernel_mutant("whoever leaves stays", "people:_count",
                  "min(users.left[row], as_of + 1)", "as_of + 1", "users_joined"),
    kernel_mutant("who is told of anew counts twice", "people:present",
                  "users.user[row + 1] != users.user[row]", "True", "users_joined"),
    kernel_mutant("the plan of a merged account is lost", "records:merged",
                  "if not links.merges.num_rows:", "if True:", "mrr_now", "users_joined"),
    kernel_mutant("a milestone asks for one time more", "journeys:reached",
                  "steps.enough[step]", "steps.enough[step] + 1", "milestones_reached"),
    # Windows.
    kernel_mutant("windows are one day too long", "leaves:_spans",
                  "w.back + w.days - nearest", "w.back + w.days + 1 - nearest", "logins_28d"),
    kernel_mutant("windows are one day too short", "leaves:_spans",
                  "w.back + w.days - nearest", "w.back + w.days - 1 - nearest", "logins_28d"),
    kernel_mutant("the last use is looked for in one day less", "windows:used_days",
                  "latest - RING_DAYS", "latest - RING_DAYS + 1", "days_since_use"),
    kernel_mutant("pauses are looked for in one day more", "windows:runs_of_days",
                  "range(SPAN)", "range(SPAN - 1)", "longest_gap_28d"),
    # Ties, limits, peers.
    kernel_mutant("of equally busy champions the last by name", "keys:_busiest",
                  "x[i] > most", "x[i] >= most and x[i] > 0", "champion_actions_28d",
                  "champion_days_quiet"),
    kernel_mutant("users are in no order of their names", "rows:ranks",
                  "coded(texts)[0]", "-coded(texts)[0]", "champion_actions_28d",
                  "champion_days_quiet"),
    kernel_mutant("a limit that is just reached is not", "windows:_reached",
                  "age + days) >= threshold", "age + days) > threshold",
                  "limit_shares_days_near_28d", "limit_shares_days_at_28d",
                  "limit_reports_days_at_28d"),
    kernel_mutant("a plan used up just now lasts a while", "combine:_days_to_reach",
                  "np.where(use >= limit, 0.0", "np.where(use > limit, 0.0",
                  "days_to_limit_shares", "days_to_limit_reports"),
    kernel_mutant("peers are everybody", "peers:_peers", "for fact in among:", "for fact in ():",
                  "cbi_frequency"),
    kernel_mutant("peers are those of all days", "peers:_peers",
                  'groups["as_of_day"] - groups["as_of_day"].min()', 'groups["as_of_day"] * 0',
                  "cbi_frequency"),
)
# fmt: on
