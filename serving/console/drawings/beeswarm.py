"""A lane of a beeswarm: each account one point, placed by its contribution, beside its equals."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from serving.console.drawings.svg import element, written

WIDTH, HEIGHT, MARGIN, RADIUS = 600.0, 44.0, 8.0, 2.6
APART = 4.0


@dataclass(frozen=True)
class Dot:
    """One account's point: its place, its fact's fifth (-1: no number), its exact contribution."""

    x: float
    y: float
    hue: int
    part: float
    account: str


def places(
    parts: Sequence[float], hues: Sequence[int], accounts: Sequence[str], ends: tuple[float, float]
) -> tuple[Dot, ...]:
    """Where each point lies: across by its part, up and down so that equals stand apart.

    >>> [(round(d.x), round(d.y)) for d in places([0, 0, 1], [0, 1, 2], "abc", (0.0, 1.0))]
    [(8, 22), (8, 26), (592, 22)]
    """
    across = [MARGIN + _share(part, ends) * (WIDTH - 2 * MARGIN) for part in parts]
    stacks = Counter(round(x / APART) for x in across)
    room = HEIGHT / 2 - RADIUS - 1
    apart = {s: min(APART, room / max(1, count // 2)) for s, count in stacks.items()}
    seen: Counter[int] = Counter()
    dots = []
    for x, part, hue, account in zip(across, parts, hues, accounts, strict=True):
        stack = round(x / APART)
        step = (seen[stack] + 1) // 2 * (1 if seen[stack] % 2 else -1)
        seen[stack] += 1
        dots.append(Dot(x, HEIGHT / 2 + step * apart[stack], hue, part, account))
    return tuple(dots)


def lane(dots: Sequence[Dot], ends: tuple[float, float], told: str) -> Markup:
    """One signal's points, and the line where a contribution is nothing."""
    nothing = MARGIN + _share(0.0, ends) * (WIDTH - 2 * MARGIN)
    line = element("line", class_="axis", x1=nothing, x2=nothing, y1=0.0, y2=HEIGHT)
    points = Markup("").join(_point(dot) for dot in dots)
    return element(
        "svg", element("title", told), line, points, class_="drawing swarm", role="img",
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", aria_label=told,
    )  # fmt: skip


def axis(ends: tuple[float, float]) -> Markup:
    """What the places across mean: the least, nothing, the most, in log-odds."""
    marks = sorted({round(ends[0], 2), 0.0, round(ends[1], 2)})
    anchors = {marks[0]: "start", marks[-1]: "end"}
    texts = [
        element("text", f"{mark:+.2f}" if mark else "0", class_="tick", y=12.0,
                x=MARGIN + _share(mark, ends) * (WIDTH - 2 * MARGIN),
                text_anchor=anchors.get(mark, "middle"))
        for mark in marks
    ]  # fmt: skip
    told = f"contributions from {ends[0]:+.2f} to {ends[1]:+.2f} log-odds"
    return element("svg", *texts, class_="drawing swarm", role="img", aria_label=told,
                   viewBox=f"0 0 {WIDTH:.0f} 16")  # fmt: skip


def _point(dot: Dot) -> Markup:
    # One text and no elements: a page holds two thousand of them.
    place = f'cx="{written(dot.x)}" cy="{written(dot.y)}" r="{RADIUS}"'
    value = f'data-part="{dot.part!r}" data-account="{escape(dot.account)}"'
    return Markup(f'<circle class="hue hue-{max(dot.hue, -1)}" {place} {value}/>')  # noqa: S704


def _share(value: float, ends: tuple[float, float]) -> float:
    low, high = min(ends[0], 0.0), max(ends[1], 0.0)
    return (value - low) / ((high - low) or 1.0)
