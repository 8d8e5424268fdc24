"""Elements of SVG, escaped; what a drawing shows is said in its title and description."""

from itertools import count

from markupsafe import Markup, escape

_ids = count(1)


def element(name: str, *children: str | Markup, **attributes: object) -> Markup:
    """One element; `class_` is the attribute class, a number is written short, None not at all.

    >>> element("text", "a < b", class_="label", x=1.50)
    Markup('<text class="label" x="1.5">a &lt; b</text>')
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(written(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{given}>{inside}</{name}>")  # noqa: S704 - every part is escaped above


def drawing(
    title: str, description: str, width: float, height: float, *children: Markup, class_: str = ""
) -> Markup:
    """A whole picture, told to those who cannot see it."""
    name = f"d{next(_ids)}"
    told = (element("title", title, id=name), element("desc", description, id=f"{name}t"))
    return element(
        "svg", *told, *children, class_=f"drawing {class_}".strip(), role="img",
        viewBox=f"0 0 {written(width)} {written(height)}", aria_labelledby=f"{name} {name}t",
    )  # fmt: skip


def written(value: object) -> str:
    """A number with two decimals at most.

    >>> written(1.0), written(0.12345), written("M0 0")
    ('1', '0.12', 'M0 0')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def path(points: list[tuple[float, float]]) -> str:
    """A line through points.

    >>> path([(0, 1.5), (2, 3)])
    'M0 1.5L2 3'
    """
    return "M" + "L".join(f"{written(float(x))} {written(float(y))}" for x, y in points)
