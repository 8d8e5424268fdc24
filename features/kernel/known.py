"""Facts as the kernel reads them: numbers, groups of peers, names of plans."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.kernel.rows import Floats


@dataclass(frozen=True)
class Facts:
    """The facts of some points, in their order."""

    table: pa.Table

    def __getitem__(self, name: str) -> Floats:
        """A fact as numbers; missing is NaN. Raises ValueError where it is a word."""
        try:
            column = self.table[name].cast(pa.float64())
        except pa.ArrowInvalid as error:  # Arrow's own name for it would be taken for a bad file
            raise ValueError(f"fact '{name}': {error}") from None
        return np.asarray(column.to_numpy())  # Arrow makes NaN of what is missing

    def group(self, name: str) -> pa.ChunkedArray:
        """A fact as text that is never missing, so that missing agrees with missing only."""
        told = pc.binary_join_element_wise("is ", self.table[name].cast(pa.string()), "")
        return pc.fill_null(told, "missing")

    @cached_property
    def plans(self) -> NDArray[np.object_]:
        """The plan's name of each point."""
        return np.asarray(self.table["plan_name"].to_numpy(), dtype=object)
