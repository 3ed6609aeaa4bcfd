"""Errors for users: each says what is wrong and what to do about it."""

from __future__ import annotations

from uhrmat.core.printable import printable


class UhrmatError(Exception):
    """Base of all errors raised on purpose. `message` says what is wrong, `hint` says what to do.

    Both can be printed anywhere: file names in them are escaped by `printable`.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        self.message = printable(message)
        self.hint = printable(hint)
        super().__init__(f"{self.message} {self.hint}".strip())


class InputError(UhrmatError):
    """A file, an array or an option that cannot be used as it is. Nothing has been written."""


class NoSubjectError(InputError):
    """A picture or clip in which no subject was found, where no hint says what it is. Nothing has been written."""


class OutputError(UhrmatError):
    """A result that cannot be written where it should be."""


class WeightsError(UhrmatError):
    """Weights that are missing, damaged or of another network."""


class MemoryBudgetError(UhrmatError):
    """The work does not fit into the memory that was allowed, not even in the smallest parts."""
