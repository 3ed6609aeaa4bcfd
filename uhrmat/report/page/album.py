"""A page that grows photograph by photograph, each encoded at once, so that no matte is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.report.page.encode import encode
from uhrmat.report.page.exhibit import Exhibit, make_exhibit
from uhrmat.report.page.write import write_page

if TYPE_CHECKING:
    from uhrmat.pipeline import StillResult

MANY = 4
"""Photographs on a page above which only tiles with open pixels are kept at full resolution."""


class Album:
    """The page `path` of `count` photographs, more or less. detail: False keeps small copies only of more than MANY."""

    def __init__(self, path: Path, count: int, *, detail: bool = True) -> None:
        self._path, self._whole, self._detail = path, count <= MANY, detail or count <= MANY
        self._encoded: list[dict[str, Any]] = []

    def add(self, matte: StillResult, title: str, table: list[tuple[str, str]]) -> None:
        """One photograph. title: for people; table: names and values shown below it."""
        self.show(make_exhibit(matte, title, table))

    def show(self, exhibit: Exhibit) -> None:
        """One photograph that is an exhibit already."""
        self._encoded.append(encode(exhibit, whole=self._whole, detail=self._detail))

    def write(self, title: str | None = None) -> Path | None:
        """The page, or None where no photograph was added. title: None names the first. Raises OutputError."""
        if not self._encoded:
            return None
        first, more = self._encoded[0]["title"], len(self._encoded) - 1
        return write_page(self._path, title or (f"{first} and {more} more" if more else str(first)), self._encoded)
