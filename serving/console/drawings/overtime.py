"""A figure of 0 to 100 from week to week, beside its peers' median."""

import datetime as dt
from collections.abc import Sequence

from markupsafe import Markup

from serving.console.drawings.svg import drawing, element, path
from serving.console.format import day, whole

WIDTH, HEIGHT = 320.0, 140.0
LEFT, RIGHT, TOP, BOTTOM = 26.0, 44.0, 10.0, 24.0
LEVELS = (0.0, 50.0, 100.0)
Point = tuple[dt.date, float]


def over_time(points: Sequence[Point], peers: Sequence[Point], label: str) -> Markup:
    """A line through the account's points, a dashed one through its peers'; two points at least.

    >>> days = [(dt.date(2026, 6, 24), 40.0), (dt.date(2026, 7, 1), 52.0)]
    >>> over_time(days, days, "Customer Behavior Index").count("<path")
    3
    """
    first, last = points[0][0], points[-1][0]

    def at(point: Point) -> tuple[float, float]:
        across = (point[0] - first).days / ((last - first).days or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), _height(point[1])

    line, theirs = [at(p) for p in points], [at(p) for p in peers if p[0] >= first]
    area = [*line, (line[-1][0], _height(0)), (line[0][0], _height(0))]
    told = "; ".join(f"{value:.0f} on {day(when)}" for when, value in (points[0], points[-1]))
    return drawing(
        f"{label} from week to week", told + (f"; peers {peers[-1][1]:.0f}" if peers else ""),
        WIDTH, HEIGHT,
        *(mark for level in LEVELS for mark in _level(level)),
        element("path", class_="area", d=path(area)),
        *([element("path", class_="peers", d=path(theirs))] if theirs else []),
        element("path", class_="line", d=path(line)),
        *_ends(points[-1][1], line[-1], theirs[-1] if theirs else None),
        element("text", day(first), class_="tick", x=LEFT, y=HEIGHT - 6),
        element("text", day(last), class_="tick", x=WIDTH - RIGHT, y=HEIGHT - 6, text_anchor="end"),
        class_="curve overtime",
    )  # fmt: skip


def _height(value: float) -> float:
    return HEIGHT - BOTTOM - value / 100 * (HEIGHT - TOP - BOTTOM)


def _level(value: float) -> list[Markup]:
    """A line across, with its number."""
    y = _height(value)
    return [
        element("line", class_="level", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y),
        element("text", whole(value), class_="tick", x=LEFT - 6, y=y + 4, text_anchor="end"),
    ]


def _ends(
    value: float, place: tuple[float, float], peers: tuple[float, float] | None
) -> list[Markup]:
    """The last value, and the word "peers" beside the end of their line where there is room."""
    x, y = place
    marks = [
        element("circle", class_="dot", cx=x, cy=y, r=4),
        element("text", whole(value), class_="figure", x=x + 9, y=y + 4),
    ]
    if peers and abs(peers[1] - y) > 14:
        marks.append(element("text", "peers", class_="tick", x=peers[0] + 6, y=peers[1] + 4))
    return marks
