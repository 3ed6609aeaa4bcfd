"""Write docs/reference/cli.md from the commands' own `--help`: `python scripts/cli_reference.py`.

`tests/docs/test_reference.py` compares the file with what this would write.
"""

from __future__ import annotations

import os
from pathlib import Path

import typer
from typer.testing import CliRunner

from uhrmat.cli.app import app

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
COLUMNS = 80
HEAD = """\
# Command line

Every command with its options, as `uhrmat COMMAND --help` prints them. This page is written by
`python scripts/cli_reference.py`; do not edit it by hand.

Exit codes: 0 all done; 1 something failed (it is named, and the rest is done); 2 wrong usage or bad input (nothing was
done); 130 interrupted. `4GB` means 4 × 10⁹ bytes, `4GiB` 4 × 2³⁰.
"""


def command_names() -> list[tuple[str, ...]]:
    """Every command as the words that call it, in the order of `--help`; groups stand before their commands."""
    names: list[tuple[str, ...]] = [()]
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        names += [(name,), *((name, inner) for inner in getattr(command, "commands", ()))]
    return names


def render() -> str:
    """The page as Markdown."""
    environment = {"COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TERM": "dumb"}
    parts = [HEAD]
    for words in command_names():
        text = CliRunner().invoke(app, [*words, "--help"], env={**os.environ, **environment}).output
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        parts.append(f"## {' '.join(('uhrmat', *words))}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
    print(f"wrote {PAGE}")
