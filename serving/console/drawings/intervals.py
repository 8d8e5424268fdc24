"""Figures with their intervals on one scale, one drawing a row."""

from markupsafe import Markup

from serving.console.drawings.svg import element

WIDTH, HEIGHT = 100.0, 16.0


def interval(
    value: float, low: float, high: float, span: tuple[float, float], mark: float, told: str,
    *, ours: bool = False,
) -> Markup:  # fmt: skip
    """A figure as a dot, its interval as a line, and what chance would give as a mark."""
    across = [_place(x, span) for x in (value, low, high, mark)]
    return element(
        "svg",
        element("title", told),
        element("line", class_="mark", x1=across[3], x2=across[3], y1=0, y2=HEIGHT,
                vector_effect="non-scaling-stroke"),
        element("rect", class_="interval", x=across[1], width=max(across[2] - across[1], 0.5),
                y=HEIGHT / 2 - 2, height=4),
        element("rect", class_="value", x=across[0] - 0.7, width=1.4, y=2, height=HEIGHT - 4),
        class_=f"drawing figure {'ours' if ours else ''}".strip(), role="img", aria_label=told,
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", preserveAspectRatio="none",
    )  # fmt: skip


def _place(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return min(max((value - low) / (high - low or 1.0), 0.0), 1.0) * WIDTH
