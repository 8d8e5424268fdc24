"""A small line without axes: how a figure went, its last value marked."""

from collections.abc import Sequence

from markupsafe import Markup

from serving.console.drawings.svg import drawing, element, path

WIDTH, HEIGHT, MARGIN = 96.0, 24.0, 3.0


def sparkline(values: Sequence[float], title: str, told: str) -> Markup:
    """A line through the values, the first at the left; at least two of them.

    >>> sparkline([1, 3, 2], "Logins", "1, 3, 2").count("<path")
    1
    """
    low, high = min(values), max(values)
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    size = HEIGHT - 2 * MARGIN
    points = [
        (MARGIN + i * step, MARGIN + size * (1 - (v - low) / (high - low or 1.0)))
        for i, v in enumerate(values)
    ]
    x, y = points[-1]
    line = element("path", class_="line", d=path(points))
    last = element("circle", class_="dot", cx=x, cy=y, r=2.5)
    return drawing(title, told, WIDTH, HEIGHT, line, last, class_="spark")
