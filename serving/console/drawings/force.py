"""The force drawing: what raises a score pushes from the left, what lowers it from the right."""

from collections.abc import Sequence

from markupsafe import Markup

from serving.console.drawings.svg import drawing, element
from serving.console.format import percent

WIDTH, HEIGHT, TOP = 900.0, 64.0, 22.0
THIN = 0.15


def force(
    base: float, log_odds: float, parts: Sequence[tuple[str, float]], chance: tuple[float, float]
) -> Markup:
    """Both forces meet at the score: each feature a piece as long as its part, the largest nearest.

    `parts`: feature → log-odds, the largest first; `chance`: base and score as probabilities.
    """
    raising = [(name, part) for name, part in parts if part > 0]
    lowering = [(name, -part) for name, part in parts if part < 0]
    up, down = (sum(part for _, part in of) for of in (raising, lowering))
    low, high = log_odds - up, log_odds + down
    scale = (WIDTH - 8) / ((high - low) or 1.0)

    def across(value: float) -> float:
        return 4 + (value - low) * scale

    pieces = [*_pieces(raising, across(log_odds), -scale, "raises"),
              *_pieces(lowering, across(log_odds), scale, "lowers")]  # fmt: skip
    marks = [*_mark(across(base), f"average {percent(chance[0])}", HEIGHT - 2, "base"),
             *_mark(across(log_odds), percent(chance[1]), 14.0, "score")]  # fmt: skip
    told = (
        f"{len(raising)} features raise it by {up:.2f} log-odds, {len(lowering)} lower it by "
        f"{down:.2f}, from {percent(chance[0])} to {percent(chance[1])}"
    )
    return drawing("Force", told, WIDTH, HEIGHT, *pieces, *marks, class_="force")


def _pieces(
    parts: Sequence[tuple[str, float]], start: float, scale: float, way: str
) -> list[Markup]:
    found, at = [], start
    for name, part in parts:
        end = at + part * scale
        if abs(end - at) >= THIN:
            title = element("title", f"{name}: {part if way == 'raises' else -part:+.3f}")
            found.append(element("rect", title, class_=way, x=min(at, end), y=TOP, height=22.0,
                                 width=abs(end - at)))  # fmt: skip
        at = end
    return found


def _mark(place: float, text: str, y: float, class_: str) -> list[Markup]:
    anchor = "start" if place < 90 else "end" if place > WIDTH - 90 else "middle"
    return [
        element("line", class_=f"mark {class_}", x1=place, x2=place, y1=TOP - 4, y2=TOP + 26),
        element("text", text, class_=f"tick {class_}", x=place, y=y, text_anchor=anchor),
    ]
