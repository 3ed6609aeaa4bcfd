"""What decoding a picture may cost: refused from what its header says, before the first pixel is decoded.

Every opener of a format states in `Source.decode_bytes` the most that its decoder holds at once; `open_source` compares
that here with the memory that is allowed. What a file may have too many of (channels, strips, scans) goes through
`check_count`, and compressed data too short for the pixels they claim through `check_plausible`.
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
    """Raise `MemoryBudgetError` where `needed` bytes more than are held now would not find room."""
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
