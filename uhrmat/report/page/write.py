"""Puts the page together: template, style and scripts of this package, and the data, in one file."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from uhrmat._version import __version__
from uhrmat.core.errors import OutputError
from uhrmat.core.printable import escape_surrogates, printable
from uhrmat.core.regular import check_name
from uhrmat.media import atomic_write, check_writable, same_file
from uhrmat.report.page.exhibit import ClipFigures

_MARK = b'<meta name="generator" content="uhrmat">'
_SCRIPTS = ("tiles.js", "stage.js", "page.js")


def write_page(path: Path, title: str, encoded: list[dict[str, Any]], clip: ClipFigures | None = None) -> Path:
    """Writes the page with these exhibits (see `encode`), whole or not at all. Raises OutputError.

    title: for people; any text. clip: figures along a clip whose frames the exhibits are; a scrubber shows them.
    """
    data = {
        "title": title,
        "made": f"uhrmat {__version__}",
        "exhibits": encoded,
        "clip": None if clip is None else asdict(clip),
    }
    page = _part("page.html")
    parts = {
        "@TITLE@": html.escape(printable(title)),
        "@STYLE@": _part("page.css"),
        "@DATA@": _as_script(escape_surrogates(data)),
        "@SCRIPT@": "\n".join(_part(name) for name in _SCRIPTS),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for text in _filled(page, parts):
            file.write(text)
    return path


def check_page(path: Path, overwrite: bool, inputs: Sequence[Path] = ()) -> None:
    """Raises OutputError unless a page can be written there, before any work is done for it."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"The page {path} is no .html file.", "Name one, like page.html.")
    if any(same_file(path, one) for one in inputs):
        raise OutputError(f"The page {path} is one of the inputs.", "Choose another name.")
    check_name(path)
    if path.exists() and not overwrite:
        raise OutputError(f"The page {path} exists.", "Replace it with --overwrite, or choose another name.")
    check_writable(path.parent)


def is_page(path: Path) -> bool:
    """Whether the file is a page that `write_page` wrote."""
    try:
        with path.open("rb") as file:
            return _MARK in file.read(4096)
    except OSError:
        return False


def _filled(page: str, parts: dict[str, str]) -> list[str]:
    """The template cut at its marks, in order, with the parts between: what a part holds is never looked at again."""
    found = []
    for mark, text in parts.items():
        before, _, page = page.partition(mark)
        found += [before, text]
    return [*found, page]


def _as_script(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in, whatever the names of files are."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _part(name: str) -> str:
    return files("uhrmat.report.page").joinpath(name).read_text("utf-8")
