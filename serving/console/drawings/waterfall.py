"""The bars of a waterfall, one drawing a row, so that the words beside them flow on any screen."""

from collections.abc import Sequence

from markupsafe import Markup
from scipy.special import expit

from serving.console.drawings.svg import element
from serving.console.format import percent
from serving.console.views.account import Step

WIDTH, HEIGHT = 100.0, 24.0
MARGIN = 2.0


class Scale:
    """From log-odds to a place across: equal steps of log-odds are equal lengths."""

    def __init__(self, values: Sequence[float]) -> None:
        self.low, self.high = min(values), max(values)

    def __call__(self, value: float) -> float:
        """The place of a value, from the left.

        >>> Scale([-2.0, 2.0])(0.0)
        50.0
        """
        width = self.high - self.low or 1.0
        return MARGIN + (value - self.low) / width * (WIDTH - 2 * MARGIN)


def scale(base: float, steps: Sequence[Step]) -> Scale:
    """The scale on which all steps of a waterfall lie."""
    return Scale([base, *(step.end for step in steps)])


def bar(step: Step, across: Scale) -> Markup:
    """One step: a bar from where the probability was to where it goes, and the line onwards."""
    left, right = sorted((across(step.start), across(step.end)))
    direction = "raises" if step.end >= step.start else "lowers"
    told = f"from {percent(float(expit(step.start)))} to {percent(float(expit(step.end)))}"
    return _row(
        told,
        element("line", class_="onwards", x1=across(step.end), x2=across(step.end),
                y1=12.0, y2=HEIGHT + 12, vector_effect="non-scaling-stroke"),
        element("line", class_="onwards", x1=across(step.start), x2=across(step.start),
                y1=-12.0, y2=12.0, vector_effect="non-scaling-stroke"),
        element("rect", class_=direction, x=left, y=4.0, height=HEIGHT - 8,
                width=max(right - left, 0.6)),
    )  # fmt: skip


def level(value: float, across: Scale, *, first: bool) -> Markup:
    """Where the waterfall begins or ends: a mark at a probability."""
    place, (top, bottom) = across(value), (12.0, HEIGHT + 12) if first else (-12.0, 12.0)
    return _row(
        percent(float(expit(value))),
        element("line", class_="onwards", x1=place, x2=place, y1=top, y2=bottom,
                vector_effect="non-scaling-stroke"),
        element("rect", class_="level", x=place - 0.75, y=2.0, width=1.5, height=HEIGHT - 4),
    )  # fmt: skip


def _row(told: str, *children: Markup) -> Markup:
    return element(
        "svg", element("title", told), *children, class_="drawing step", role="img",
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", preserveAspectRatio="none", aria_label=told,
    )  # fmt: skip
