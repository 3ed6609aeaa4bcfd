"""Names as they may be printed anywhere: on a terminal, in a JSON document, on a page."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""C0 and C1 control characters, marks that reorder text, and what stands for bytes that are not UTF-8."""


def printable(text: object) -> str:
    """`text` with control characters, direction marks and undecodable bytes as escapes: `caf\\xe9.png`, `\\x1b[2J`.

    Text that is to be printed, not opened: the result names a file only where nothing was escaped.
    """
    return _UNPRINTABLE.sub(_escape, str(text))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that the file system's encoding does not know, see PEP 383
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
