"""Is a file what it has to be? Sizes and SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from uhrmat.core.errors import WeightsError
from uhrmat.core.regular import need_regular
from uhrmat.hub.entry import WeightsFile

_BLOCK = 1 << 20


def sha256(path: Path) -> str:
    """64 hexadecimal digits. Raises WeightsError where the file cannot be read."""
    need_regular(path, WeightsError)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.", "Look at its permissions.") from error
    return digest.hexdigest()


def verify_file(path: Path, expected: WeightsFile, *, cache: Path | None) -> None:
    """Raises WeightsError unless size and SHA-256 are right.

    Args:
        path: The file, or a link to it.
        expected: What it has to be.
        cache: The folder of files that can be fetched again: a wrong file is removed where it lies below, links
            followed. None: nothing is removed.
    """
    difference = f"has {path.stat().st_size:,} bytes instead of {expected.bytes:,}"
    if expected.bytes in (0, path.stat().st_size):
        digest = sha256(path)
        if digest == expected.sha256:
            return
        difference = f"has SHA-256 {digest[:12]}… instead of {expected.sha256[:12]}…"
    gone = "" if cache is None else _delete(path, cache)
    raise WeightsError(
        f"{expected.path} {difference}, so it is not what was published{gone}.",
        "Get the file anew."
        if cache is None
        else "Fetch it again; if that gives the same, the mirror (HF_ENDPOINT) or a proxy changes files.",
    )


def _delete(path: Path, cache: Path) -> str:
    """Removes a file of the cache and what it links to, never anything outside. What was done, for an error."""
    root, target = cache.resolve(), path.resolve()
    if not path.parent.resolve().is_relative_to(root):
        return f"; {target} is not below the cache {root}, so it was not deleted"
    with contextlib.suppress(OSError):
        path.unlink()
        if not target.is_relative_to(root):
            return f"; the link to it was deleted, but {target}, which is outside the cache, was not"
        target.unlink(missing_ok=True)
        return "; it was deleted"
    return ""
