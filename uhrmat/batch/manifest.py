"""The record of what was done in an output folder: JSON lines, appended by one writer and validated by every reader.

A line is the whole state of one item; the last one counts. A line that cannot be read, that a crash cut short, or that
names a path outside the output folder is passed over: its item is then done again. Files are only checked by these
paths, never opened for writing, moved or removed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Literal

from uhrmat.core.errors import OutputError
from uhrmat.media import atomic_write

State = Literal["begun", "done", "failed"]
FOLDER = ".uhrmat"
_LONGEST = 1 << 20
_SLACK = 1000
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Record:
    """State of one item.

    Attributes:
        key: see `BatchItem.key`.
        state: "begun", "done" or "failed".
        source: `name_hash` of its path.
        input: `settings.fingerprint` of the file and its hints, before they were read.
        settings: hash of the settings, see `Settings.digests`.
        outputs: path below the output folder → bytes (see `measure`).
        time: seconds since 1970.
        error: message of an item that failed.
        sha256: path below the output folder → `digest` of what was written.
    """

    key: str
    state: State
    source: str
    input: str = ""
    settings: str = ""
    outputs: Mapping[str, int] = field(default_factory=dict)
    time: float = 0.0
    error: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)


def is_inside(text: str) -> bool:
    """Whether a path is relative and stays below its folder, on any system."""
    if not text or "\0" in text:
        return False
    ways = (PurePosixPath(text), PureWindowsPath(text))
    return not any(way.is_absolute() or way.drive or way.root or ".." in way.parts for way in ways)


def parse_record(line: str) -> Record | None:
    """The record of a line, or None for anything that is not exactly one."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    names = Record.__dataclass_fields__.keys()
    if not isinstance(record, dict) or record.keys() not in (names, names - {"sha256"}):  # those of 0.1 had no sums
        return None
    texts = all(isinstance(record[name], str) for name in ("key", "state", "source", "input", "settings", "error"))
    if not texts or record["state"] not in ("begun", "done", "failed") or not is_inside(record["key"]):
        return None
    outputs, when = record["outputs"], record["time"]
    if not isinstance(outputs, dict) or not all(is_inside(k) and type(v) is int and v >= 0 for k, v in outputs.items()):
        return None
    sums = record.get("sha256", {})
    if not isinstance(sums, dict) or not all(isinstance(v, str) and k in outputs for k, v in sums.items()):
        return None
    if isinstance(when, bool) or not isinstance(when, (int, float)):
        return None
    return Record(**record)


def measure(path: Path) -> int:
    """Bytes of a file, or of all files in a folder. Raises OSError."""
    if path.is_dir():
        return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
    return path.stat().st_size


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' names and sums. Raises OSError."""
    if path.is_dir():
        files = sorted((entry.name, Path(entry.path)) for entry in os.scandir(path) if entry.is_file())
        return hashlib.sha256(json.dumps([[name, digest(file)] for name, file in files]).encode()).hexdigest()
    checksum = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            checksum.update(block)
    return checksum.hexdigest()


def name_hash(path: Path) -> str:
    """Hash of a path; the manifest may be given away with the results, and must not reveal paths of inputs."""
    return hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]


class Manifest:
    """The records of an output folder.

    Args:
        out: output folder.
        part: name of the shard whose file is appended to; None: read only. Files of other shards are read in any case.

    Attributes:
        records: by key of the item.
        ignored: number of lines that were passed over.

    Raises:
        OutputError: the manifest cannot be read or written.
    """

    def __init__(self, out: Path, part: str | None = None) -> None:
        self.out, self.ignored = out, 0
        self.records: dict[str, Record] = {}
        self._file: IO[str] | None = None
        folder = out / FOLDER
        own = folder / f"manifest-{part}.jsonl"
        for path in sorted(folder.glob("manifest-*.jsonl")):
            lines = self._read(path)
            if part is not None and path == own and lines > 2 * len(self.records) + _SLACK:
                self._shorten(path)
        if part is not None:
            self._file = _open(own)

    def _read(self, path: Path) -> int:
        count = 0
        for record in _records(path):
            count += 1
            if record is None:
                self.ignored += 1
                continue
            known = self.records.get(record.key)
            if known is None or record.time >= known.time:
                self.records[record.key] = record
        return count

    def _shorten(self, path: Path) -> None:
        """Rewrites a part with the last line of each item."""
        last = {record.key: record for record in _records(path) if record is not None}
        with atomic_write(path) as temporary:
            temporary.write_text("".join(_line(record) for record in last.values()), "utf-8")

    def done(self, key: str, given: str, settings: str) -> bool:
        """Whether the item was made from this input (see `fingerprint`) with these settings and its files are there."""
        record = self.records.get(key)
        if record is None or record.state != "done" or (record.input, record.settings) != (given, settings):
            return False
        return all(self._there(name, size) for name, size in record.outputs.items())

    def _there(self, name: str, size: int) -> bool:
        try:
            return measure(self.path_of(name)) == size
        except OSError:
            return False

    def path_of(self, name: str) -> Path:
        """An output's path. Raises OSError where a link leads it out of the output folder."""
        path = self.out / name
        if not path.resolve().is_relative_to(self.out.resolve()):
            raise FileNotFoundError(errno.ENOENT, "a link leads out of the output folder", str(path))
        return path

    def write(self, record: Record) -> None:
        """Appends a record; "done" and "failed" are flushed to the disk before this returns. Raises OutputError."""
        assert self._file is not None
        record = Record(**{**asdict(record), "time": time.time()})
        try:
            self._file.write(_line(record))
            self._file.flush()
            if record.state != "begun":
                os.fsync(self._file.fileno())
        except OSError as error:
            raise _refused(self.out, error) from error
        self.records[record.key] = record

    def close(self) -> None:
        """Ends writing; errors have been raised by `write`."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()


def _line(record: Record) -> str:
    return json.dumps(asdict(record), separators=(",", ":")) + "\n"


def _records(path: Path) -> Iterator[Record | None]:
    """What the lines hold; None for one that is passed over."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            while line := file.readline(_LONGEST):
                if line.strip():
                    yield parse_record(line)
    except OSError as error:
        raise _refused(path, error) from error


def _open(path: Path) -> IO[str]:
    """For appending; a line that a crash cut short is ended first."""
    try:
        file = path.open("a", encoding="utf-8")
        if path.stat().st_size:
            with path.open("rb") as there:
                there.seek(-1, os.SEEK_END)
                if there.read(1) != b"\n":
                    file.write("\n")
        return file
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> OutputError:
    text = error.strerror or error
    return OutputError(f"The manifest of {path} cannot be kept: {text}.", "Check its space and permissions.")
