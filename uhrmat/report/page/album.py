"""A page of many photographs, each encoded when it is added, so that no matte is kept in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.report.page.encode import encode
from uhrmat.report.page.exhibit import Exhibit, make_exhibit
from uhrmat.report.page.write import write_page

if TYPE_CHECKING:  # importing uhrmat.pipeline loads torch, which pages of stored mattes do without
    from uhrmat.pipeline import StillResult

MANY = 4
"""Photographs on a page above which only tiles with fractional alpha are kept at full resolution."""


class Album:
    """A page that is built photograph by photograph.

    Args:
        path: The HTML file.
        count: Expected number of photographs.
        detail: Whether more than `MANY` photographs keep full resolution where alpha is fractional, else only their
            small copies are kept.
    """

    def __init__(self, path: Path, count: int, *, detail: bool = True) -> None:
        self._path, self._whole, self._detail = path, count <= MANY, detail or count <= MANY
        self._encoded: list[dict[str, Any]] = []

    def add(self, matte: StillResult, title: str, table: list[tuple[str, str]]) -> None:
        """Add one matte.

        Args:
            matte: A result of the pipeline.
            title: Shown above it, like the photograph's name.
            table: Names and values shown below it.
        """
        self.show(make_exhibit(matte, title, table))

    def show(self, exhibit: Exhibit) -> None:
        """Add one exhibit."""
        self._encoded.append(encode(exhibit, whole=self._whole, detail=self._detail))

    def write(self, title: str | None = None) -> Path | None:
        """Write the page.

        Args:
            title: Of the page; None takes that of the first photograph.

        Returns:
            The page's path, or None where no photograph was added.

        Raises:
            OutputError: The page cannot be written.
        """
        if not self._encoded:
            return None
        first, more = self._encoded[0]["title"], len(self._encoded) - 1
        return write_page(self._path, title or (f"{first} and {more} more" if more else str(first)), self._encoded)
