"""Is a file what it has to be? Sizes and SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from uhrmat.errors import WeightsError
from uhrmat.hub.entry import WeightsFile
from uhrmat.regular import need_regular

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


def check(path: Path, must: WeightsFile, *, delete: bool) -> None:
    """Raises WeightsError unless size and SHA-256 are right; with `delete` a wrong file is removed first."""
    found = f"has {path.stat().st_size:,} bytes instead of {must.bytes:,}"
    if path.stat().st_size == must.bytes:
        digest = sha256(path)
        if digest == must.sha256:
            return
        found = f"has SHA-256 {digest[:12]}… instead of {must.sha256[:12]}…"
    gone = delete and _delete(path)
    raise WeightsError(
        f"{must.path} {found}, so it is not what was published{'; it was deleted' if gone else ''}.",
        "Fetch it again; if that gives the same, the mirror (HF_ENDPOINT) or a proxy changes files."
        if delete
        else "Get the file anew.",
    )


def _delete(path: Path) -> bool:
    """Removes a file of the cache, and what it links to. Whether that worked."""
    with contextlib.suppress(OSError):
        blob = path.resolve()
        path.unlink()
        blob.unlink(missing_ok=True)
        return True
    return False
