"""Ways to be wrong: small patches of the pipeline that leak the future or are off by one.

Each names a function, what to read instead of one of its lines, and the features that must differ
from the reference for it. `tests/test_mutants.py` shows that every one of them is caught.
"""

import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Mutant:
    """A mistake: in `function` (module:name) each text of `patches` gives way to the other."""

    name: str
    function: str
    patches: tuple[tuple[str, str], ...]
    seen_in: tuple[str, ...]

    @contextmanager
    def alive(self) -> Iterator[None]:
        """For a while the pipeline makes the mistake."""
        path, name = self.function.split(":")
        module = importlib.import_module(f"features.{path}")
        original = getattr(module, name)
        source = textwrap.dedent(inspect.getsource(original))
        for old, new in self.patches:
            assert source.count(old) == 1, (
                f"mutant '{self.name}' replaces a text that stands {source.count(old)} times in "
                f"{self.function}; write it anew: {old!r}"
            )
            source = source.replace(old, new)
        wrong: dict[str, object] = {}
        exec(compile(source, self.name, "exec"), vars(module), wrong)  # noqa: S102 - our own text
        with pytest.MonkeyPatch.context() as patch:
            for user in [m for n, m in sys.modules.items() if n.startswith("features")]:
                if getattr(user, name, None) is original:
                    patch.setattr(user, name, wrong[name])
            yield


def mutant(name: str, function: str, old: str, new: str, *seen_in: str) -> Mutant:
    """A mistake of one line."""
    return Mutant(name, function, ((old, new),), seen_in)


# fmt: off
MUTANTS = (
    # What a midnight may see.
    mutant("an event at midnight counts for the day that ends", "rollups.daily:known_events",
           "(events.event_us // DAY_US)", "((events.event_us - 1) // DAY_US)", "logins_28d"),
    mutant("a day sees its own events: milestones of the future", "rollups.daily:known_events",
           "greatest(day + 1,", "greatest(day,", "milestones_reached"),
    mutant("events known later are seen at once", "rollups.daily:known_events",
           'ibis.greatest(day + 1, morning(_.known_us).cast("int64"))', "day + 1", "logins_28d"),
    mutant("what is learnt in the instant of a midnight is not seen at it",
           "rollups.daily:known_events",
           "morning(_.known_us)", "morning(_.known_us + 1)", "core_use_cases_28d"),
    mutant("events that come late are dropped", "compute.windows:windowed",
           "parts.union(_late(rollup, points, wanted, keys).select(columns))", "parts",
           "logins_28d"),
    mutant("events that come late are seen before they come", "compute.windows:_late",
           "(_.visible_from <= _.as_of_day) & ", "", "logins_28d"),
    mutant("what turned out to be another account's is kept", "rollups.daily:_changes",
           "added.union(taken)", "added", "core_use_cases_28d"),
    mutant("a day late in one session changes only itself", "rollups.daily:late_user_days",
           'days.union(days.mutate(day=(_.day + 1).cast("int64")))', "days",
           "sessions_90d", "minutes_90d"),
    # Rows of accounts, users and subscriptions.
    mutant("today's plan: what is known of it later holds before", "facts.known:visible",
           "(_.known_us <= _.midnight) & ", "", "plan_name", "mrr_now"),
    mutant("today's seats: those of the row that was learnt last", "facts.subscriptions:_changes",
           '["begins_us", "order_us", "row_id"]', '["order_us", "begins_us", "row_id"]', "seats"),
    mutant("a plan is in force before it takes effect", "facts.known:visible",
           "(_.begins_us < _.midnight) & ", "", "plan_name", "mrr_now"),
    mutant("a plan that takes effect at midnight is in force at it", "facts.known:visible",
           "(_.begins_us < _.midnight)", "(_.begins_us <= _.midnight)", "plan_name"),
    mutant("a row that is learnt at midnight is not known at it", "facts.known:visible",
           "(_.known_us <= _.midnight)", "(_.known_us < _.midnight)", "plan_name", "mrr_now"),
    mutant("a term lapses in the instant in which its grace ends", "facts.subscriptions:_lapsed",
           "< states.midnight", "<= states.midnight", "plan_name", "mrr_now"),
    mutant("whoever leaves stays", "facts.people:_steps",
           "members.filter(_.to_day.notnull())", "members.filter(_.to_day.isnull() & False)",
           "users_joined"),
    # Who an event belongs to.
    Mutant("future membership: everybody always was who they are known to be now",
           "identity.resolve:_followed",
           (('ibis.greatest(both.known_us, ibis.coalesce(both["_known_us"], LONG_AGO))',
             "both.known_us"),
            ("kept.filter(_.known_us < _.until_us)", "kept.filter(_.until_us == NEVER)")),
           ("core_use_cases_90d",)),
    mutant("everybody always was where they are in the end", "identity.resolve:_followed",
           'there["_from_us"] <= rows.event_us, there["_to_us"] > rows.event_us',
           'there["_to_us"] == NEVER', "core_use_cases_90d"),
    mutant("the plan of a merged account is lost", "identity.resolve:merged",
           '_followed(rows.mutate(**_known(rows)), links.merges, "account_id", "account_id")',
           "rows.mutate(**_known(rows))", "mrr_now", "users_joined"),
    # Sessions.
    mutant("look-ahead sessions: booked on the earlier event's day", "rollups.daily:_sessions",
           "_.first_us - _.last_us.lag().over(order)", "_.first_us.lead().over(order) - _.last_us",
           "sessions_7d", "minutes_7d"),
    mutant("a pause of just 30 minutes ends a session", "rollups.daily:_sessions",
           "gaps.gap > GAP_US", "gaps.gap >= GAP_US", "sessions_90d"),
    mutant("the minutes of a pause of just 30 minutes are lost", "rollups.daily:_sessions",
           "gaps.gap <= GAP_US", "gaps.gap < GAP_US", "minutes_90d"),
    # Windows.
    mutant("windows are one day too long", "compute.leaves:_measured",
           "Windowed(measure, window.days, window.back)",
           "Windowed(measure, window.days + 1, window.back)", "logins_28d"),
    mutant("windows are one day too short", "compute.leaves:_measured",
           "Windowed(measure, window.days, window.back)",
           "Windowed(measure, window.days - 1, window.back)", "logins_28d"),
    mutant("the last use is looked for in one day less", "compute.leaves:_measured",
           "RING_DAYS, reducer", "RING_DAYS - 1, reducer", "days_since_use"),
    mutant("pauses are looked for in one day more", "compute.leaves:_measured",
           'SPAN, reducer="days"', 'SPAN - 1, reducer="days"', "longest_gap_28d"),
    # The working week.
    mutant("the weekend is that of UTC", "rollups.daily:known_events",
           "local_microseconds(events.event_us, settings.calendar.zone, *span)",
           "events.event_us", "weekend_share_28d", "office_hours_share_28d"),
    mutant("clocks are never changed", "zones:local_microseconds",
           "if len(periods) == 1:", "if periods:", "weekend_share_28d", "office_hours_share_28d"),
    # Ties, limits, peers, milestones.
    mutant("of equally busy champions the last by name", "compute.leaves:_of_busiest",
           "level[keys.by].min()", "level[keys.by].max()", "champion_actions_28d",
           "champion_days_quiet"),
    mutant("a limit that is just reached is not", "compute.days:days_over",
           '>= sums.threshold', '> sums.threshold', "limit_shares_days_near_28d",
           "limit_shares_days_at_28d", "limit_reports_days_at_28d"),
    mutant("a plan used up just now lasts a while", "compute.sql:_days_to_reach",
           "(use >= limit, 0.0)", "(use > limit, 0.0)", "days_to_limit_shares",
           "days_to_limit_reports"),
    mutant("peers are everybody", "compute.peers:peer_ranks",
           'keys = ["as_of_day", *(_group(f) for f in among), number]',
           'keys = ["as_of_day", number]', "cbi_frequency"),
    mutant("peers are those of all days", "compute.peers:peer_ranks",
           'keys = ["as_of_day", *', "keys = [*", "cbi_frequency"),
    mutant("a milestone asks for one time more", "facts.journeys:reached_milestones",
           "so_far >= daily.enough", "so_far > daily.enough", "milestones_reached"),
)
# fmt: on
