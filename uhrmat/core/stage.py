"""Sets of files that are delivered together or not at all, even if the process is killed or the power fails.

The files are written into a hidden folder beside their targets, the stage, and flushed. Then `_JOURNAL` is written
there: for each target its size and time of change before (or that it did not exist) and after. A file that is to be
replaced gets a second name in the stage and stays in its place. From then on the set counts as delivered, and each
file is moved over its target. If a move fails, the journal is renamed to `_UNDO`, and the moves are undone.

A stage is locked by its process (`core.lock`). An unlocked one was left by a process that was killed, and `recover`
finishes it: with a journal the remaining moves are made (or all are undone, where something else has changed a target
meanwhile), with `_UNDO` all are undone, with neither nothing had been moved. So after the next run in the folder all
targets are of the old set, or all of the new one.
"""

from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from uhrmat.core.durable import link_or_copy, lock_folder, move_without_replacing, sync_file, sync_folder
from uhrmat.core.errors import OutputError
from uhrmat.core.lock import STALE, Lock, LockHeld

_PREFIX = ".uhrmat-"
_NAME = re.compile(r"\.uhrmat-[a-z0-9_]{8}")
TEMPORARY = re.compile(r"\..*\.[0-9a-f]{8}\.tmp(\.\w+)?", re.DOTALL)
"""The temporary name of a single file that is being written, see `files.atomic_write`."""
_LOCK, _JOURNAL, _UNDO, _OLD = ".uhrmat-lock", ".uhrmat-journal.json", ".uhrmat-undo.json", ".uhrmat-old-"
_ATTEMPTS = 5
"""How often a stage is made anew whose folder a concurrent `recover` has removed before it was locked."""


@dataclass(frozen=True)
class Move:
    """One file of a set, as the journal records it.

    Attributes:
        name: The file's name, in the stage and at its target.
        new: Bytes and time of change in ns of the new file.
        old: Those of the target before; None where it did not exist.
        kept: The name in the stage of the file that is replaced.
    """

    name: str
    new: list[int]
    old: list[int] | None
    kept: str


@contextmanager
def all_or_none(files: Mapping[str, Path], *, overwrite: bool = True) -> Iterator[dict[str, Path]]:
    """Write a set of files of one folder that appear together or not at all when the block ends.

    Args:
        files: The targets by any name, all in one folder, which is made.
        overwrite: Replace existing targets.

    Yields:
        The path to write for each name. The block may add more files of the same stage.

    Raises:
        OutputError: The files cannot be written, or without `overwrite` a target exists; no file has changed.
    """
    folder = next(iter(files.values())).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage, lock = _open_stage(folder)
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be written to ({error.strerror}).", "Choose another one."
        ) from None
    try:
        staged = {name: stage / path.name for name, path in files.items()}
        yield staged
        names = list(dict.fromkeys(path.name for path in staged.values()))
        for name in names:
            sync_file(stage / name)
        with lock_folder(folder):
            _deliver(stage, names, overwrite)
    except FileExistsError as error:
        raise OutputError(
            f"{error.filename} has appeared or changed meanwhile.",
            "Replace it with --overwrite, or choose another folder with -o.",
        ) from error
    except OSError as error:
        raise OutputError(
            f"Writing to {folder} failed ({error.strerror}).", "Check its space and permissions."
        ) from error
    finally:
        _close_stage(stage, lock)


def is_staged(path: Path) -> bool:
    """Whether a path lies in a stage, so that it has no final name yet."""
    return _NAME.fullmatch(path.parent.name) is not None


def final_path(path: Path) -> Path:
    """The name that a file in a stage will have; any other path as it is."""
    return path.parent.parent / path.name if is_staged(path) else path


def recover(folder: Path) -> int:
    """Finish or remove the stages and temporary files that killed processes left in `folder`.

    What a live process is writing is not touched; neither is, without an error, what cannot be finished or removed.

    Returns:
        How many were finished or removed.
    """
    try:
        names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(".")]
    except OSError:
        return 0
    stages = [folder / name for name in sorted(names) if _NAME.fullmatch(name)]
    count = sum(_recover(stage) for stage in stages if _looks_like_stage(stage))
    return count + sum(_remove_old(folder / name) for name in names if TEMPORARY.fullmatch(name))


def _open_stage(folder: Path) -> tuple[Path, Lock]:
    """A new stage, locked. A `recover` that comes just before the lock removes the folder: then another is made."""
    for _ in range(_ATTEMPTS):
        stage = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        lock = Lock(stage / _LOCK)
        try:
            lock.acquire()
            return stage, lock
        except (LockHeld, FileNotFoundError):
            continue
        except OSError:
            with suppress(OSError):
                stage.rmdir()
            raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(folder))


def _close_stage(stage: Path, lock: Lock) -> None:
    """Remove the stage, its lock last; only unlock one whose moves could be neither made nor undone."""
    with suppress(OSError):
        if not (os.path.lexists(stage / _JOURNAL) or os.path.lexists(stage / _UNDO)):
            for entry in os.scandir(stage):
                if entry.name not in (lock.path.name, lock.owner_file.name):
                    os.unlink(entry.path)
    with suppress(OSError):
        lock.release()
    with suppress(OSError):
        stage.rmdir()


def _deliver(stage: Path, names: list[str], overwrite: bool) -> None:
    """Move all files of a stage to their targets, or none. Raises OSError."""
    moves = [_plan_move(stage, name, number) for number, name in enumerate(names)]
    for move in moves:
        if move.old is None:
            continue
        if not overwrite:
            raise _exists_error(stage.parent / move.name)
        link_or_copy(stage.parent / move.name, stage / move.kept)
    try:
        if len(moves) > 1:  # one move is whole by itself
            _write_journal(stage, moves)
        _move_all(stage, moves)
    except BaseException:
        with suppress(OSError):
            _mark_undo(stage)
            _move_back(stage, moves)
            _remove_journal(stage)
        raise
    _remove_journal(stage)


def _mark_undo(stage: Path) -> None:
    """Mark the set as one to undo."""
    if (stage / _JOURNAL).exists():
        os.replace(stage / _JOURNAL, stage / _UNDO)
        sync_folder(stage)


def _remove_journal(stage: Path) -> None:
    """Mark the set as finished. A journal that cannot be removed does no harm: its moves are already made."""
    for name in (_JOURNAL, _UNDO):
        with suppress(OSError):
            (stage / name).unlink()


def _plan_move(stage: Path, name: str, number: int) -> Move:
    """The move of one file of a stage. Raises FileNotFoundError where it was not written."""
    new, old = _file_state(stage / name), _file_state(stage.parent / name)
    if new is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return Move(name, new, old, f"{_OLD}{number}")


def _write_journal(stage: Path, moves: Iterable[Move]) -> None:
    """Write the journal: from here on the set counts as delivered."""
    part = stage / f"{_JOURNAL}.part"
    part.write_text(json.dumps([asdict(move) for move in moves]), "utf-8")
    sync_file(part)
    os.replace(part, stage / _JOURNAL)
    sync_folder(stage)


def _read_journal(path: Path) -> list[Move]:
    """The moves of a journal. Raises OSError, and ValueError for names that lead out of the folder."""
    moves = [Move(**entry) for entry in json.loads(path.read_text("utf-8"))]
    for move in moves:
        if not all(
            isinstance(n, str) and n not in ("", ".", "..") and Path(n).name == n for n in (move.name, move.kept)
        ):
            raise ValueError(f"{path} names {move.name!r}")
    return moves


def _move_all(stage: Path, moves: Iterable[Move]) -> None:
    """Make the moves that are left. Raises FileExistsError where a target has changed, OSError."""
    for move in moves:
        source, target = stage / move.name, stage.parent / move.name
        if not os.path.lexists(source):
            continue
        there = _file_state(target)
        if there == move.new and os.path.samefile(source, target):  # killed between its two names
            os.unlink(source)
        elif there is None:
            move_without_replacing(source, target)
        elif there == move.old:
            os.replace(source, target)
        else:
            raise _exists_error(target)
    sync_folder(stage.parent)


def _move_back(stage: Path, moves: list[Move]) -> None:
    """Undo the moves that were made, except where something else has changed the target since. Raises OSError.

    It can be interrupted and run again.
    """
    for move in reversed(moves):
        source, target, kept = stage / move.name, stage.parent / move.name, stage / move.kept
        if _file_state(target) != move.new:
            continue
        if move.old is None:
            if os.path.lexists(source) and os.path.samefile(source, target):
                os.unlink(target)
            elif not os.path.lexists(source):
                os.replace(target, source)
        elif not os.path.lexists(source) and os.path.lexists(kept):
            os.replace(kept, target)
    sync_folder(stage.parent)


def _looks_like_stage(path: Path) -> bool:
    """Whether a folder with a stage's name is one: it holds a file that only a stage holds, or nothing yet."""
    try:
        names = os.listdir(path) if not path.is_symlink() else ["?"]
    except OSError:
        return False
    return not names or any(name.startswith(_PREFIX) for name in names)


def _recover(stage: Path) -> bool:
    """Finish one stage; False where it is locked or cannot be finished."""
    lock = Lock(stage / _LOCK)
    try:
        lock.acquire()
    except (LockHeld, OSError):
        return False
    try:
        with lock_folder(stage.parent):
            _finish(stage)
            _remove_journal(stage)
    except (OSError, ValueError, TypeError):
        return False
    finally:
        _close_stage(stage, lock)
    return True


def _finish(stage: Path) -> None:
    """Make or undo the moves of a stage. Raises OSError, and ValueError or TypeError for a damaged journal."""
    if (stage / _JOURNAL).exists():
        try:
            return _move_all(stage, _read_journal(stage / _JOURNAL))
        except FileExistsError:
            _mark_undo(stage)
    if (stage / _UNDO).exists():
        _move_back(stage, _read_journal(stage / _UNDO))


def _remove_old(path: Path) -> bool:
    """Remove a temporary file that nobody has written to for STALE seconds; whether it was removed."""
    probe = path.parent / f"{_PREFIX}clock-{os.getpid()}"
    with suppress(OSError):
        try:
            probe.touch()
            if probe.stat().st_mtime - path.stat().st_mtime > STALE:
                path.unlink()
                return True
        finally:
            probe.unlink(missing_ok=True)
    return False


def _file_state(path: Path) -> list[int] | None:
    """Bytes and time of change in ns of the file at `path`; None where there is none."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _exists_error(path: Path) -> FileExistsError:
    """The error for a target that exists or has changed."""
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
