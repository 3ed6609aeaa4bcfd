"""Writes the page as one file: template, style, scripts and data."""

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
    """Write a page, whole or not at all.

    Args:
        path: The HTML file.
        title: Of the page, any text.
        encoded: Exhibits, see `encode.encode`.
        clip: Figures along the clip whose frames the exhibits are, shown with a scrubber, or None.

    Returns:
        The path.

    Raises:
        OutputError: The page cannot be written.
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
    """Check that a page can be written, before any work.

    Args:
        path: The HTML file.
        overwrite: Whether a file that exists may be replaced.
        inputs: Files that must not be replaced.

    Raises:
        OutputError: The page cannot be written there.
    """
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
    """The template cut at its marks, in order, with the parts between; marks inside parts are not replaced."""
    texts = []
    for mark, text in parts.items():
        before, _, page = page.partition(mark)
        texts += [before, text]
    return [*texts, page]


def _as_script(data: dict[str, Any]) -> str:
    """JSON without characters that could end its script element."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _part(name: str) -> str:
    return files("uhrmat.report.page").joinpath(name).read_text("utf-8")
