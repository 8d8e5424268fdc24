"""Errors that a person can act on."""


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
