"""A small line without axes: how a figure went, its last value marked; its peers' dashed behind."""

from collections.abc import Sequence
from itertools import groupby

from markupsafe import Markup

from serving.console.drawings.svg import drawing, element, path

SIZE, MARGIN = (96.0, 24.0), 3.0
Pair = tuple[float, float]
Values = Sequence[float | None]


def sparkline(
    values: Values,
    title: str,
    told: str,
    peers: Values = (),
    ends: Pair | None = None,
    size: Pair = SIZE,
) -> Markup:
    """A line through the values, the first at the left; None leaves a gap. At least one is known.

    `ends`: the least and the most of the scale; without, what there is fills it.

    >>> sparkline([1, 3, None, 2, 4], "Logins", "1 to 4").count("<path")
    2
    """
    every = [v for v in (*values, *peers) if v is not None]
    low, high = ends or (min(every), max(every))
    width, height = (side - 2 * MARGIN for side in size)

    def lines(of: Values) -> list[list[Pair]]:
        step = width / (len(of) - 1 or 1)
        places = [
            None if v is None
            else (MARGIN + i * step, MARGIN + height * (1 - (v - low) / (high - low or 1.0)))
            for i, v in enumerate(of)
        ]  # fmt: skip
        return [[p for p in run if p] for known, run in groupby(places, bool) if known]

    drawn = lines(values)
    x, y = drawn[-1][-1]
    return drawing(
        title, told, *size,
        *(element("path", class_="peers", d=path(part)) for part in lines(peers)),
        *(element("path", class_="line", d=path(part)) for part in drawn),
        element("circle", class_="dot", cx=x, cy=y, r=2.5),
        class_="spark",
    )  # fmt: skip
