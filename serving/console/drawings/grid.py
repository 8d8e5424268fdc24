"""So many of so many: a dot for each, those of which it is true filled and first."""

from collections.abc import Sequence

from markupsafe import Markup

from serving.console.drawings.svg import drawing, element

ACROSS, STEP, RADIUS = 25, 12.0, 4.5


def grid(true: Sequence[bool], title: str, told: str) -> Markup:
    """The dots, 25 in a row.

    >>> grid([True, False, True], "Past cases", "2 of 3 left").count('class="value"')
    2
    """
    order = sorted(true, reverse=True)
    dots = [
        element(
            "circle",
            class_="value" if yes else "track",
            cx=STEP * (place % ACROSS) + STEP / 2,
            cy=STEP * (place // ACROSS) + STEP / 2,
            r=RADIUS,
        )
        for place, yes in enumerate(order)
    ]
    high = STEP * -(-len(order) // ACROSS)
    return drawing(title, told, STEP * ACROSS, high, *dots, class_="grid")
