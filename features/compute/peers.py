"""Ranks and medians among the peers of the day."""

from collections.abc import Iterable
from hashlib import sha256

import ibis
from ibis import _

from features.algebra import Expression, PeerMedian, PeerRank
from features.compute.sql import compile_expression, peer_column
from features.points import POINT

Compared = PeerRank | PeerMedian


def comparisons(expression: Expression) -> list[Compared]:
    """The comparisons with peers inside an expression."""
    return [e for e in expression.walk() if isinstance(e, Compared)]


def peer_values(panel: ibis.Table, compared: Iterable[Compared]) -> ibis.Table:
    """What is compared: the numbers of each point of the panel, and the facts that make peers.

    In: the leaves of all that is compared and the facts of every `among`. Out: account_id,
    as_of_day, one column for each of those facts, and one for each number, rounded to 6 decimals
    so that ties are ties.
    """
    compared = list(compared)
    numbers = {_number(e): compile_expression(e.of, panel) for e in compared}
    rounded = {name: value.fill_null(0.0).round(6) for name, value in numbers.items()}
    among = dict.fromkeys(fact for e in compared for fact in e.among)
    return panel.select(*POINT, **{_group(f): _told(panel[f]) for f in among}, **rounded)


def peer_ranks(panel: ibis.Table, points: ibis.Table, compared: Iterable[Compared]) -> ibis.Table:
    """Compare the points with their peers of the panel.

    In: `panel` as `peer_values` makes it. Out: account_id, as_of_day, one column a comparison: a
    rank from 0 to 100 or a median.
    """
    together: dict[tuple[str, tuple[str, ...]], list[Compared]] = {}
    for e in dict.fromkeys(compared):
        together.setdefault((_number(e), e.among), []).append(e)
    result = panel.semi_join(points, POINT)
    names = [peer_column(e) for mine in together.values() for e in mine]
    for (number, among), mine in together.items():
        keys = ["as_of_day", *(_group(f) for f in among), number]
        standing = _standings(panel, keys, mine)
        result = result.join(standing, keys)
    return result.select(*POINT, *names)


def _standings(panel: ibis.Table, keys: list[str], mine: list[Compared]) -> ibis.Table:
    """One row for each different number among each group of peers, with where it stands."""
    *peers, number = keys
    counts = panel.group_by(keys).agg(equal=_.count())
    up_to = counts.equal.sum().over(ibis.cumulative_window(group_by=peers, order_by=number))
    every = counts.equal.sum().over(group_by=peers)
    placed = counts.mutate(up_to=up_to, every=every)
    # The middle one or two: where the peers up to a number first are half of all, and more.
    middle = [
        ibis.ifelse(reached, placed[number], ibis.null()).min().over(group_by=peers)
        for reached in (2 * placed.up_to >= placed.every, 2 * placed.up_to > placed.every)
    ]
    rank = 100.0 * (placed.up_to - placed.equal / 2.0) / placed.every
    median = (middle[0] + middle[1]) / 2.0
    columns = {peer_column(e): rank if isinstance(e, PeerRank) else median for e in mine}
    return placed.select(*keys, **columns)


def _number(e: Compared) -> str:
    return f"number_{sha256(repr(e.of).encode()).hexdigest()[:16]}"


def _group(fact: str) -> str:
    return f"among_{fact}"


def _told(fact: ibis.Column) -> ibis.Column:
    """A fact as text that is never null, so that missing agrees with missing and nothing else."""
    return ibis.ifelse(fact.isnull(), "missing", ibis.literal("is ") + fact.cast("string"))
