"""What was predicted and what happened: a dot for each bin, on the line where they agree."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from serving.console.drawings.svg import drawing, element
from serving.console.format import percent

SIZE, LEFT, BOTTOM, MARGIN = 320.0, 44.0, 36.0, 12.0


@dataclass(frozen=True)
class Bin:
    """Accounts of nearly one probability: its mean, the share with the outcome, its interval."""

    predicted: float
    observed: float
    low: float | None = None
    high: float | None = None
    rows: int = 0


def calibration(bins: Sequence[Bin]) -> Markup:
    """The bins on one square scale from zero to the largest share seen.

    >>> calibration([Bin(0.1, 0.12, 0.08, 0.2, 50)]).count("<circle")
    1
    """
    most = max(max(b.predicted, b.observed, b.high or 0) for b in bins) * 1.05 or 1.0
    side = SIZE - LEFT - MARGIN

    def x(share: float) -> float:
        return LEFT + share / most * side

    def y(share: float) -> float:
        return SIZE - BOTTOM - share / most * (SIZE - BOTTOM - MARGIN)

    marks = []
    for b in bins:
        if b.low is not None and b.high is not None:
            marks.append(element("line", class_="whisker", x1=x(b.predicted), x2=x(b.predicted),
                                 y1=y(b.low), y2=y(b.high)))  # fmt: skip
        told = f"predicted {percent(b.predicted)}, happened {percent(b.observed)}"
        dot = {"class_": "dot", "cx": x(b.predicted), "cy": y(b.observed), "r": 4}
        marks.append(element("circle", element("title", told), **dot))
    told = "; ".join(f"{percent(b.predicted)} → {percent(b.observed)}" for b in bins)
    return drawing(
        "Predicted against what happened", told, SIZE, SIZE,
        element("line", class_="agree", x1=x(0), y1=y(0), x2=x(most), y2=y(most)),
        element("line", class_="axis", x1=x(0), x2=x(most), y1=y(0), y2=y(0)),
        element("line", class_="axis", x1=x(0), x2=x(0), y1=y(0), y2=y(most)),
        *_ticks(x, y, most),
        *marks,
        class_="calibration",
    )  # fmt: skip


def _ticks(x: object, y: object, most: float) -> list[Markup]:
    assert callable(x)  # noqa: S101 - the drawing's own scales
    assert callable(y)  # noqa: S101
    made = []
    for share in (most / 2, most / 1.05):
        text = percent(share)
        made.append(element("text", text, class_="tick", x=x(share), y=SIZE - 18,
                            text_anchor="middle"))  # fmt: skip
        made.append(element("text", text, class_="tick", x=LEFT - 6, y=y(share) + 4,
                            text_anchor="end"))  # fmt: skip
    made.append(element("text", "predicted", class_="tick", x=SIZE - MARGIN, y=SIZE - 4,
                        text_anchor="end"))  # fmt: skip
    made.append(element("text", "happened", class_="tick", x=4, y=MARGIN, text_anchor="start"))
    return made
