"""How a long step says where it is; the command line draws it."""

from typing import Protocol


class Progress(Protocol):
    """Called as a step goes on: `done` of `total` parts (0: not known), and what is being done."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Take note of where the step is."""


def silent(done: int, total: int, what: str) -> None:
    """Say nothing."""
