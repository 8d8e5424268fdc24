"""The probability by 30, 60 and 90 days, with its interval where one is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from serving.console.drawings.svg import drawing, element, path
from serving.console.format import percent

WIDTH, HEIGHT = 320.0, 160.0
LEFT, RIGHT, TOP, BOTTOM = 8.0, 40.0, 24.0, 24.0


@dataclass(frozen=True)
class By:
    """How probable the outcome is by so many days from now."""

    days: int
    probability: float
    low: float | None = None
    high: float | None = None


def curve(points: Sequence[By], happens: str) -> Markup:
    """A line from zero days and no probability through each point.

    >>> print(curve([By(30, 0.1), By(60, 0.2)], "leaves")[:40])
    <svg class="drawing curve" role="img" vi
    """
    most = max(p.high or p.probability for p in points) or 1.0
    last = points[-1].days
    told = "; ".join(f"{percent(p.probability)} by day {p.days}" for p in points)

    def at(days: float, probability: float) -> tuple[float, float]:
        across = LEFT + days / last * (WIDTH - LEFT - RIGHT)
        return across, HEIGHT - BOTTOM - probability / most * (HEIGHT - TOP - BOTTOM)

    line = [at(0, 0), *(at(p.days, p.probability) for p in points)]
    ground = [at(last, 0), at(0, 0)]
    floor = HEIGHT - BOTTOM
    marks = [mark for p in points for mark in _marked(p, *at(p.days, p.probability))]
    return drawing(
        f"Probability that it {happens}, by day", told, WIDTH, HEIGHT,
        element("path", class_="area", d=path([*line, *ground])),
        element("line", class_="axis", x1=LEFT, x2=WIDTH - RIGHT, y1=floor, y2=floor),
        element("path", class_="line", d=path(line)),
        *_band(points, at),
        *marks,
        class_="curve",
    )  # fmt: skip


def _band(points: Sequence[By], at: object) -> list[Markup]:
    assert callable(at)  # noqa: S101 - the drawing's own scale
    known = [p for p in points if p.low is not None and p.high is not None]
    return [
        element("line", class_="whisker", x1=at(p.days, p.low)[0], x2=at(p.days, p.low)[0],
                y1=at(p.days, p.low)[1], y2=at(p.days, p.high)[1])
        for p in known
    ]  # fmt: skip


def _marked(point: By, x: float, y: float) -> list[Markup]:
    return [
        element("circle", class_="dot", cx=x, cy=y, r=4),
        element("text", percent(point.probability), class_="figure", x=x, y=y - 10,
                text_anchor="middle"),
        element("text", f"{point.days} d", class_="tick", x=x, y=HEIGHT - 6, text_anchor="middle"),
    ]  # fmt: skip
