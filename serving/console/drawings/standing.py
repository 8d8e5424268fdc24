"""A figure of 0 to 100 as a bar, with its peers' median as a mark: the five parts of the CBI."""

from markupsafe import Markup

from serving.console.drawings.svg import element

WIDTH, HEIGHT = 100.0, 12.0


def standing(value: float, peers: float | None, label: str) -> Markup:
    """One part of the index.

    >>> standing(40.0, 55.0, "Frequency").count("<rect")
    3
    """
    told = f"{label}: {value:.0f} of 100" + ("" if peers is None else f"; peers {peers:.0f}")
    width = min(max(value, 0.0), 100.0)
    children = [
        element("rect", class_="track", x=0, y=2, width=WIDTH, height=HEIGHT - 4),
        element("rect", class_="value", x=0, y=2, width=width, height=HEIGHT - 4),
    ]
    if peers is not None:
        children.append(
            element("rect", class_="peers", x=peers - 0.6, y=0, width=1.2, height=HEIGHT)
        )
    return element(
        "svg", element("title", told), *children, class_="drawing standing", role="img",
        aria_label=told, viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", preserveAspectRatio="none",
    )  # fmt: skip
