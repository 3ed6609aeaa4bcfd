"""Errors as a Python caller should read them: library errors name the options of the commands, `--max-memory`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from uhrmat.core.errors import UhrmatError

_NAMES = {
    "point": "points",
    "box": "boxes",
    "format": "colour_format",
    "outputs": "outputs",
    "start": "start",
    "frames": "stop",
    "end": "stop",
}
"""Options whose parameter has another name; all others are the option with underscores."""
_OPTION = re.compile(
    r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)(?: (cpu|auto|tiles|bf16|whole|'[^']+'|\d+(?:[.]\d+)?(?:[kMGT]?B)?)(?![\w/]))?"
)
_FOLDER = re.compile(r",? or (?:choose another folder|name a folder) with -o|Name a folder with -o")


def for_python(text: str) -> str:
    """Rewrite the options of the command line in a sentence as keyword arguments.

    `Give --max-memory 2GB or more.` becomes ``Give `max_memory="2GB"` or more.``
    """

    def argument(match: re.Match[str]) -> str:
        name = _NAMES.get(match[1], match[1].replace("-", "_"))
        value = match[2]
        if value is None:
            return f"`{name}`"
        return f"`{name}={value}`" if value.isdigit() else f'`{name}="{value.strip(chr(39))}"`'

    return _OPTION.sub(argument, _FOLDER.sub("", text))


@contextmanager
def python_errors() -> Iterator[None]:
    """Raise every UhrmatError of the block again, of the same class, worded by `for_python`."""
    try:
        yield
    except UhrmatError as error:
        message, hint = for_python(error.message), for_python(error.hint)
        if (message, hint) == (error.message, error.hint):
            raise
        raise type(error)(message, hint) from error
