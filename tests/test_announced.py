"""When an account counts as one that has announced to leave: by SQL, and the kernel the same."""

from tests.test_facts import NOW, Row, day, known, plan

AHEAD = plan(-10, "cancelled")
"""The plan ends in ten days; known today."""


def announced(*bought: Row, at: int = NOW) -> bool:
    """Whether account 'a', on the plan for 50 days, is to leave."""
    rows = [plan(50), *bought]
    (found,) = known(bought=[{"known_at": day(max(0, _age(r)))} | r for r in rows], at=(at,))
    return found["cancel_announced"]


def _age(row: Row) -> float:
    return (day(0) - row["effective_at"]).days


def test_a_cancellation_ahead_is_announced_from_when_it_is_known() -> None:
    """Not the day before; and no more once it has come."""
    assert announced(AHEAD)
    assert not announced()
    assert not announced(AHEAD, at=NOW - 1)
    assert announced(AHEAD, at=NOW + 10)
    assert not announced(AHEAD, at=NOW + 11)


def test_an_account_that_goes_on_paying_announces_nothing() -> None:
    """An add-on ends and the plan runs on; or another paid subscription does."""
    addon = plan(40, name="extra", subscription_id="t")
    assert not announced(addon, AHEAD | {"subscription_id": "t", "plan": "extra"})
    assert not announced(plan(40, subscription_id="t"), AHEAD)
    both = plan(40, subscription_id="t"), plan(-20, "cancelled", subscription_id="t")
    assert announced(*both, AHEAD)
    assert announced(plan(40, subscription_id="t", name="free"), AHEAD)
    lapsed = plan(40, subscription_id="t", term_end=day(6))
    assert announced(lapsed, AHEAD)


def test_of_one_moment_what_is_known_last_holds() -> None:
    """A cancellation that is taken back is none, from when we learn it; nor one that is not."""
    back = plan(-10, known_at=day(0))
    cancelled = AHEAD | {"known_at": day(5)}
    assert announced(cancelled, back, at=NOW - 1)
    assert not announced(cancelled, back)
    assert announced(back | {"known_at": day(5)}, AHEAD)


def test_whoever_goes_to_a_free_plan_or_comes_back_later_leaves() -> None:
    """It is a churn as `history.changes` has it: from paying to not paying, for however long."""
    assert announced(plan(-10, name="free"))
    assert announced(AHEAD, plan(-20))
    assert not announced(AHEAD, plan(-10, subscription_id="t"))


def test_only_who_pays_can_announce_to_leave() -> None:
    """The end of a trial or of what has ended already is no customer's."""
    assert not announced(plan(20, "cancelled"), AHEAD)
    assert not announced(plan(20, "trial"), AHEAD)
