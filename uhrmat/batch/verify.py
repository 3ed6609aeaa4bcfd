"""Are the results still what was written? Each file's SHA-256 against the manifest's, for all items or for a share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from uhrmat.batch.find import in_shard
from uhrmat.batch.manifest import FOLDER, Manifest, digest, measure
from uhrmat.batch.report import Tell
from uhrmat.core.errors import InputError


@dataclass
class Verified:
    """files: how many were looked at; unsummed: how many of these have no sum in the manifest, so that only their size
    is known; wrong: path below the output folder → "missing", "changed" or why it cannot be read."""

    files: int = 0
    unsummed: int = 0
    wrong: dict[str, str] = field(default_factory=dict)


def verify(out: Path, share: tuple[int, int], tell: Tell) -> Verified:
    """Reads the results that the manifest knows, of the i-th of n shares of the items. Writes nothing.

    Tells an event "verify" for each file that is wrong, at last one with the counts. Raises InputError where there is
    no manifest.
    """
    manifest, found = Manifest(out), Verified()
    if not manifest.records:
        raise InputError(f"{out} has no manifest ({FOLDER}/manifest-*.jsonl) that says what was written.", "See -o.")
    for key, record in sorted(manifest.records.items()):
        if record.state != "done" or not in_shard(key, share):
            continue
        for name, size in record.outputs.items():
            wanted = record.sha256.get(name)
            found.files += 1
            found.unsummed += wanted is None
            wrong = _look(manifest, name, size, wanted)
            if wrong:
                found.wrong[name] = wrong
                tell({"event": "verify", "item": key, "file": name, "state": wrong})
    tell({"event": "verified", "files": found.files, "unsummed": found.unsummed, "wrong": len(found.wrong)})
    return found


def _look(manifest: Manifest, name: str, size: int, wanted: str | None) -> str:
    """What is wrong with a file, or nothing."""
    try:
        path = manifest.path_of(name)
        if measure(path) != size or (wanted is not None and digest(path) != wanted):
            return "changed"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return ""
