"""How a probability went from day to day."""

import datetime as dt
from collections.abc import Sequence

from markupsafe import Markup

from serving.console.drawings.svg import drawing, element, path
from serving.console.format import day, percent

WIDTH, HEIGHT = 360.0, 120.0
LEFT, RIGHT, TOP, BOTTOM = 26.0, 26.0, 26.0, 24.0
Point = tuple[dt.date, float]


def history(points: Sequence[Point], ends: Sequence[dt.date]) -> Markup:
    """A line through at least two days' probabilities; those of `ends` are marked and told.

    >>> days = [(dt.date(2026, 7, 1), 0.1), (dt.date(2026, 7, 8), 0.2)]
    >>> history(days, [days[1][0]]).count("<circle")
    1
    """
    first, last = points[0][0], points[-1][0]
    most = max(p for _, p in points) or 1.0

    def at(point: Point) -> tuple[float, float]:
        across = (point[0] - first).days / ((last - first).days or 1)
        return (
            LEFT + across * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - point[1] / most * (HEIGHT - TOP - BOTTOM),
        )

    floor = HEIGHT - BOTTOM
    line = [at(point) for point in points]
    marks = [m for point in points if point[0] in ends for m in _marked(point, *at(point))]
    told = "; ".join(f"{percent(p)} on {day(when)}" for when, p in (points[0], points[-1]))
    return drawing(
        "The probability from day to day", told, WIDTH, HEIGHT,
        element("path", class_="area", d=path([*line, (line[-1][0], floor), (LEFT, floor)])),
        element("line", class_="axis", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor),
        element("path", class_="line", d=path(line)),
        element("text", day(first), class_="tick", x=2, y=HEIGHT - 6),
        element("text", day(last), class_="tick", x=WIDTH - 2, y=HEIGHT - 6, text_anchor="end"),
        *marks, class_="curve history",
    )  # fmt: skip


def _marked(point: Point, x: float, y: float) -> list[Markup]:
    told = percent(point[1])
    return [
        element("circle", class_="dot", cx=x, cy=y, r=4),
        element("text", told, class_="figure", x=x, y=y - 10, text_anchor="middle"),
    ]
