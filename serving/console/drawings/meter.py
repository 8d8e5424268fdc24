"""A thin bar under a number: how large it is beside the largest of its list."""

from markupsafe import Markup

from serving.console.drawings.svg import element

WIDTH, HEIGHT = 100.0, 4.0


def meter(share: float) -> Markup:
    """The bar; the number beside it says what it shows, so nothing is read out twice.

    >>> meter(0.5).count("<rect")
    2
    """
    track = element("rect", class_="track", width=WIDTH, height=HEIGHT)
    value = element("rect", class_="value", width=share * WIDTH, height=HEIGHT)
    return element(
        "svg", track, value, class_="drawing meter", aria_hidden="true", focusable="false",
        viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", preserveAspectRatio="none",
    )  # fmt: skip
