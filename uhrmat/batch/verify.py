"""Checks whether results are still what was written: each file's SHA-256 against the manifest's."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from uhrmat.batch.find import in_shard
from uhrmat.batch.manifest import FOLDER, Manifest, digest, measure
from uhrmat.batch.report import EventHandler
from uhrmat.core.errors import InputError


@dataclass
class VerifyResult:
    """What `verify` result.

    Attributes:
        files: how many were checked.
        unsummed: how many of these have no SHA-256 in the manifest, so that only their size was compared.
        wrong: path below the output folder → "missing", "changed" or why it cannot be read.
    """

    files: int = 0
    unsummed: int = 0
    wrong: dict[str, str] = field(default_factory=dict)


def verify(out: Path, share: tuple[int, int], emit: EventHandler) -> VerifyResult:
    """Checks the results that the manifest lists. Writes nothing.

    Args:
        out: output folder.
        share: (i, n), the i-th of n shares of the items, from 1.
        emit: receives an event "verify" for each file that is wrong, and at the end "verified" with the counts.

    Raises:
        InputError: there is no manifest.
    """
    manifest, result = Manifest(out), VerifyResult()
    if not manifest.records:
        raise InputError(f"{out} has no manifest ({FOLDER}/manifest-*.jsonl) that says what was written.", "See -o.")
    for key, record in sorted(manifest.records.items()):
        if record.state != "done" or not in_shard(key, share):
            continue
        for name, size in record.outputs.items():
            wanted = record.sha256.get(name)
            result.files += 1
            result.unsummed += wanted is None
            wrong = _check_file(manifest, name, size, wanted)
            if wrong:
                result.wrong[name] = wrong
                emit({"event": "verify", "item": key, "file": name, "state": wrong})
    emit({"event": "verified", "files": result.files, "unsummed": result.unsummed, "wrong": len(result.wrong)})
    return result


def _check_file(manifest: Manifest, name: str, size: int, wanted: str | None) -> str:
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
