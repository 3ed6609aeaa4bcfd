"""A hook of MkDocs: ARCHITECTURE.md and its like, which lie at the top of the repository, become pages of the site.

Their links into docs/ are made relative to the page; links to other files of the repository become plain text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages (see https://www.mkdocs.org/dev-guide/plugins/#on_files)."""
    for name in PAGES:
        files.append(File.generated(config, name, content=rewrite_links((ROOT / name).read_text("utf-8"))))
    return files


def rewrite_links(text: str) -> str:
    """The text with its links as the site needs them."""
    return _LINK.sub(_replacement, text)


def _replacement(match: re.Match[str]) -> str:
    label, target = match.groups()
    if "://" in target or target.startswith("#") or target.partition("#")[0] in PAGES:
        return match[0]
    return f"[{label}]({target.removeprefix('docs/')})" if target.startswith("docs/") else f"{label}"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links from docs/ to PAGES, which lie one level higher in the repository than on the site; fences without the
    `skip=REASON` that `tests/docs` reads."""
    above = "../" * page.file.src_uri.count("/")
    for name in PAGES:
        markdown = markdown.replace(f"]({above}../{name}", f"]({above}{name}")
    return re.sub(r"^```sh skip=\w+$", "```sh", markdown, flags=re.MULTILINE)
