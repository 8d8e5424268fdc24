"""The lanes of a timeline: each its own drawing, so that the words beside them stay readable."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from serving.console.drawings.svg import element, path
from serving.console.format import day, percent
from serving.console.views.timeline import Happened, Timeline, Week

WIDTH, HEIGHT = 1000.0, 40.0
LOW, MARK, GAP = 20.0, 7.0, 5.0


def bars(told: Timeline, of: Callable[[Week], float], label: str) -> Markup:
    """A bar a week, the highest fills the lane; each tells its week."""
    most = max((of(week) for week in told.weeks), default=0.0) or 1.0
    return _lane(label, HEIGHT, (_bar(told, week, of(week), most) for week in told.weeks))


def marks(told: Timeline, kinds: Sequence[str], label: str) -> Markup:
    """A mark for each thing of some kinds."""
    mine = [m for m in told.marks if m.kind in kinds]
    every = "; ".join(f"{m.text} on {day(m.day)}" for m in mine)
    return _lane(f"{label}: {every}" if every else label, LOW, (_mark(told, m) for m in mine))


def line(told: Timeline, label: str) -> Markup:
    """The score from day to day, on a scale from nothing to its highest."""
    most = max((p for _, p in told.scored), default=0.0) or 1.0
    points = [
        (_across(told, when), HEIGHT - 3 - p / most * (HEIGHT - 6)) for when, p in told.scored
    ]
    ends = [told.scored[0], told.scored[-1]] if told.scored else []
    text = "; ".join(f"{percent(p)} on {day(when)}" for when, p in ends)
    drawn = [element("path", class_="line", d=path(points), vector_effect="non-scaling-stroke")]
    single = [element("rect", class_="verdict", x=x - MARK / 2, y=y - 3, width=MARK, height=6)
              for x, y in points[:1]]  # fmt: skip
    return _lane(f"{label}: {text}", HEIGHT, drawn if len(points) > 1 else single)


def _across(told: Timeline, when: dt.date) -> float:
    return (when - told.start).days / ((told.end - told.start).days or 1) * WIDTH


def _bar(told: Timeline, week: Week, count: float, most: float) -> Markup:
    left, right = _across(told, week.start), _across(told, week.end)
    high = count / most * HEIGHT
    text = f"{count:,.0f} in the week to {day(week.end - dt.timedelta(days=1))}"
    return element(
        "rect", element("title", text), class_="bar", x=left + GAP, y=HEIGHT - high,
        width=right - left - 2 * GAP, height=high,
    )  # fmt: skip


def _mark(told: Timeline, happened: Happened) -> Markup:
    place = min(max(_across(told, happened.day), MARK), WIDTH - MARK)
    return element(
        "rect", element("title", f"{happened.text}, {day(happened.day)}"), class_=happened.kind,
        x=place - MARK / 2, y=3.0, width=MARK, height=LOW - 6, rx=2,
    )  # fmt: skip


def _lane(label: str, height: float, children: Iterable[Markup]) -> Markup:
    base = element("line", class_="axis", x1=0, x2=WIDTH, y1=height, y2=height,
                   vector_effect="non-scaling-stroke")  # fmt: skip
    return element(
        "svg", element("title", label), base, *children, class_="drawing lane", role="img",
        aria_label=label, viewBox=f"0 0 {WIDTH:.0f} {height:.0f}", preserveAspectRatio="none",
    )  # fmt: skip
