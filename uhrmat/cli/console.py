"""The one place where commands print: human, JSON or quiet, and errors that end with an exit code.

Results go to stdout, everything else to stderr, so that `--json` always leaves exactly one JSON document on stdout.
File names reach a terminal only through `printable`, and never as rich's markup.
Exit codes: 0 all done, 1 some item failed, 2 wrong usage or bad input before any work, 130 interrupted.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import typer

from uhrmat.core.errors import UhrmatError
from uhrmat.core.memory import memory_limit
from uhrmat.core.printable import escape_surrogates, printable
from uhrmat.core.signals import INTERRUPTED

Rows = Sequence[tuple[str, str]]
FAILED, USAGE = 1, 2


class Console:
    """One sink with three modes. In quiet mode only errors are printed, in JSON mode only one document and errors."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, debug: bool = False) -> None:
        self.as_json, self.quiet, self.debug = as_json, quiet, debug
        self._human = not (as_json or quiet)

    def note(self, text: str) -> None:
        """A remark on the way, to stderr."""
        if self._human:
            self.warn(text)

    def warn(self, text: str) -> None:
        """A line to stderr in every mode: what went wrong."""
        print(printable(text), file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        """A line of the result for people, to stdout, at once."""
        if self._human:
            print(printable(text), flush=True)

    def table(self, sections: Sequence[Rows]) -> None:
        """The result for people, to stdout: rows of a name and a value. Plain lines where stdout is no terminal."""
        if not self._human:
            return
        if sys.stdout.isatty():
            _print_rich(sections)
            return
        shown = [[(printable(name), printable(value)) for name, value in rows] for rows in sections]
        width = max(len(name) for rows in shown for name, _ in rows)
        print("\n\n".join("\n".join(f"{name:<{width}}  {value}" for name, value in rows) for rows in shown))

    def document(self, value: dict[str, Any]) -> None:
        """The result for programs, to stdout: one JSON document."""
        if self.as_json:
            print(json.dumps(escape_surrogates(value), indent=2))

    def working(self, text: str) -> AbstractContextManager[Any]:
        """A spinner while something runs, on terminals only."""
        if not self._human or not sys.stderr.isatty():
            return nullcontext()
        from rich.console import Console as Rich
        from rich.text import Text

        return Rich(stderr=True).status(Text(printable(text)))

    @contextmanager
    def progress(self, text: str, unit: str) -> Iterator[Callable[[int, int], None]]:
        """Show a bar, on terminals only; yields a function that is called with (done, total)."""
        if not self._human or not sys.stderr.isatty():
            yield lambda done, count: None
            return
        from rich.console import Console as Rich
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), MofNCompleteColumn(), TextColumn(unit))
        with Progress(*columns, TimeRemainingColumn(), console=Rich(stderr=True), transient=True) as bar:
            task = bar.add_task(printable(text), total=None)
            yield lambda done, count: bar.update(task, completed=done, total=count)

    def error(self, error: BaseException, item: str = "") -> None:
        """`error: <what is wrong> <what to do>` on stderr, the traceback before it with --debug."""
        if self.debug:
            lines = traceback.format_exception(type(error), error, error.__traceback__)
            print(printable("".join(lines), keep="\n"), end="", file=sys.stderr)
        where = f"{item}: " if item else ""
        self.warn(f"error: {where}{describe(error)}")


def _print_rich(sections: Sequence[Rows]) -> None:
    from rich.console import Console as Rich
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for rows in sections:
        for name, value in rows:
            table.add_row(Text(printable(name)), Text(printable(value)))
        table.add_section()
    Rich().print(table)


def describe(error: BaseException) -> str:
    """One line about `error`: its message and hint, or what kind of surprise it was."""
    if isinstance(error, UhrmatError):
        return printable(str(error))
    if isinstance(error, MemoryError):
        return "There is not enough memory for this picture. Allow less with --max-memory."
    if _too_long(error):
        name = os.fsdecode(error.filename or "") if isinstance(error, OSError) else ""
        shown = name if len(name) <= 60 else f"{name[:24]}…{name[-24:]}"
        return printable(f"The name '{shown}' is too long for this disk. Name a file or folder that exists.")
    text = " ".join(str(error).split())  # several lines, in other libraries' errors
    return printable(f"{type(error).__name__}: {text}. This was not expected: --debug shows where it happened.")


def _too_long(error: BaseException) -> bool:
    """Whether the system refused a name for its length: such a file cannot exist, so what was given is wrong."""
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG


@contextmanager
def session(console: Console) -> Iterator[Console]:
    """Turns errors that end a command into one line and the exit code, and logs of the library into notes.

    With --debug what decoders print is shown too.
    """
    handler = _NoteHandler(console)
    logger = logging.getLogger("uhrmat")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if console.debug else logging.INFO)
    try:
        with memory_limit(None):  # `options.model_options` sets it
            yield console
    except KeyboardInterrupt:
        print("interrupted: what was finished is kept, nothing is half written", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    except UhrmatError as error:
        console.document({"error": error.message, "hint": error.hint})
        console.error(error)
        raise typer.Exit(USAGE) from None
    except OSError as error:  # a disk or a file that fails where nobody expects it to
        console.document({"error": describe(error), "hint": ""})
        console.error(error)
        raise typer.Exit(USAGE if _too_long(error) else FAILED) from None
    finally:
        logger.removeHandler(handler)


class _NoteHandler(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        kind = "debug" if record.levelno < logging.INFO else "note"
        self._console.note(f"{kind}: {record.getMessage()}")
