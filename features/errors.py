"""Errors that a person can act on."""

import errno

FROM_OUTSIDE = ("ArrowException", "DeltaError", "IOException", "MlflowException",
                "OutOfMemoryException", "SQLAlchemyError")  # fmt: skip
"""What pyarrow, deltalake, DuckDB, MLflow and SQLAlchemy raise for a disk, a file or a server."""
FULL = ("No space left", "disk is full")


class GoldpanError(Exception):
    """Something a user can put right: what was found, what was expected, what to do.

    >>> print(GoldpanError("plan 'gold'", expected="one of free, team", do="Add it to the ladder."))
    Found plan 'gold'; expected one of free, team. Add it to the ladder.
    """

    exit_code = 2

    def __init__(self, found: str, *, expected: str = "", do: str = "") -> None:
        self.found, self.expected, self.do = found, expected, do
        wanted = f"; expected {expected}" if expected else ""
        end = "" if (found + wanted).endswith("\n") else ". "
        super().__init__(f"Found {found}{wanted}{end}{do}".rstrip())


class SettingsError(GoldpanError):
    """`goldpan.toml` says something that cannot be meant."""


class InputError(GoldpanError):
    """A file or a table does not hold what it was said to hold."""


class NotReadyError(GoldpanError):
    """A step was called before the step it needs."""


class RefusedError(GoldpanError):
    """The data do not allow what was asked; nothing was changed."""

    exit_code = 3


def from_outside(error: BaseException) -> GoldpanError | None:
    """What a disk or a library says of a file, as an error of ours; None for a fault of ours.

    >>> print(from_outside(OSError(28, "No space left on device", "/data/x")))
    Found a full disk for /data/x. Make room and run the command again.
    >>> from_outside(KeyError("x"))
    """
    named = {kind.__name__ for kind in type(error).__mro__}
    if not (isinstance(error, OSError) or named & set(FROM_OUTSIDE)):
        return None
    said = str(error).strip() or type(error).__name__
    found, where = f"'{said.splitlines()[0]}'", ""
    if isinstance(error, OSError) and error.strerror and error.filename:
        found, where = f"'{error.strerror}'", f" for {error.filename}"
    if getattr(error, "errno", None) == errno.ENOSPC or any(f in said for f in FULL):
        return InputError(f"a full disk{where}", do="Make room and run the command again.")
    return InputError(found + where, do="Check it and its permissions and run the command again.")
