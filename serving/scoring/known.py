"""What is known is told; what is not is left out."""

import math
from typing import Any


def known(**values: Any) -> dict[str, Any]:
    """Only what is known, no None and no NaN: nothing of ours is ever null.

    >>> known(a=1, b=None, c=float("nan"))
    {'a': 1}
    """
    return {
        name: value
        for name, value in values.items()
        if value is not None and not (isinstance(value, float) and math.isnan(value))
    }
