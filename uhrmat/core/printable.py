"""Escapes control characters in file names and messages for terminals, logs and pages."""

from __future__ import annotations

import re
from typing import Any

_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
"""Control characters (C0, DEL, C1), line separators, marks that change the direction of text, tags, and surrogates,
which stand for bytes of a file name that are not UTF-8."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str, keep: str = "") -> str:
    """Escape control characters as Python does: ESC as `\\x1b`, a byte that is not UTF-8 as `\\xff`.

    Terminals act on control characters, so a file name must not reach one as it is. Letters of all scripts, accents,
    emoji and blanks are left alone. The result can be encoded as UTF-8.

    Args:
        text: A file name, or a message that holds one.
        keep: Characters that are not escaped, like the line ends of a traceback.
    """
    return _HIDDEN.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: the byte 0x80..0xff
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return _SHORT.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_surrogates(value: Any) -> Any:
    """Escape, in all strings of a JSON value, bytes of file names that are not UTF-8, as `printable` does.

    JSON escapes control characters itself, but many of its readers refuse lone surrogates.
    """
    if isinstance(value, str):
        return _SURROGATES.sub(lambda match: _escape(match[0]), value)
    if isinstance(value, dict):
        return {escape_surrogates(key): escape_surrogates(item) for key, item in value.items()}
    return [escape_surrogates(item) for item in value] if isinstance(value, (list, tuple)) else value
