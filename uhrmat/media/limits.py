"""Limits on decoding, checked by a picture's header before the first pixel is decoded.

The reader of each format states in `DecodedHeader.decode_bytes` the most memory that its decoder uses at once, which
`check_decode` compares with the memory that is allowed. `check_count` limits channels, strips and scans, and
`check_plausible` refuses compressed data that are too short for their pixels.
"""

from __future__ import annotations

from pathlib import Path

from uhrmat.core.errors import InputError, MemoryBudgetError
from uhrmat.core.memory import allowed_memory, available_memory, prior_process_memory, resident_memory
from uhrmat.core.units import format_bytes, suggest_limit

MAX_CHANNELS = 64
"""Channels of one picture: deep compositing files have up to forty."""
MAX_SEGMENTS = 1 << 20
"""Strips or tiles of a TIFF. 65536 x 65536 in tiles of 64 x 64 are as many."""
MAX_SCANS = 100
"""Scans of a JPEG, each of which is decoded over the whole picture. Encoders make about ten."""
_BOMB = "If you did not expect a picture of that size, it may be a decompression bomb."


def check_decode(path: Path, needed: int, what: str = "decoding it") -> None:
    """Check that there is memory to decode a picture.

    Args:
        path: The file, for the error.
        needed: Bytes that decoding takes on top of those in use.
        what: What takes them, for the error.

    Raises:
        MemoryBudgetError: They exceed `memory.allowed_memory`, or without a limit the memory that is free.
    """
    allowed = allowed_memory.get()
    if allowed is None:
        free = available_memory()
        if needed > free:
            raise MemoryBudgetError(
                f"'{path}': {what} needs {format_bytes(needed)} of memory, and {format_bytes(free)} are free.",
                f"Close other programs, or make the picture smaller. {_BOMB}",
            )
        return
    total = resident_memory() + prior_process_memory() + needed
    if total > allowed:
        raise MemoryBudgetError(
            f"'{path}': {what} needs {format_bytes(needed)} of memory, {format_bytes(total)} with what is held "
            f"already, and {format_bytes(allowed)} are allowed.",
            f"Give --max-memory {suggest_limit(total)} or more. {_BOMB}",
        )


def check_count(path: Path, count: int, most: int, what: str) -> None:
    """Raise `InputError` where a file has more than `most` of something: channels, strips, scans."""
    if count > most:
        raise InputError(
            f"'{path}' has {count} {what}, and no more than {most} are read.",
            "Save it again from an image editor; it may have been made to keep a decoder busy.",
        )


def check_plausible(path: Path, kind: str, stored: int, needed: int) -> None:
    """Raise `InputError` where `stored` bytes cannot hold the picture: its format needs at least `needed` for it."""
    if stored < needed:
        raise InputError(
            f"'{path}' is a damaged or incomplete {kind} file: it has {stored} bytes for pixels that need {needed}.",
            "It may be cut off, or a decompression bomb: copy it again.",
        )
