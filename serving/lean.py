"""Imports without the packages that libraries load merely because they find them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

NOT_FOR_SERVING = ("dask", "joblib", "matplotlib", "mlflow", "pandas", "shap", "sklearn")


@contextmanager
def without(names: tuple[str, ...] = NOT_FOR_SERVING) -> Iterator[None]:
    """Hide installed packages from imports made inside the block.

    LightGBM and pyarrow import scikit-learn and pandas whenever they find them (1.5 s, 100 MB)
    and do without when they do not; what is loaded already is left alone.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
