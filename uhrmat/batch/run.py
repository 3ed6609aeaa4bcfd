"""A whole batch run, from folders to a summary: once (`run_batch`), or repeatedly as files arrive (`watch_folders`)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from uhrmat.batch.dispatch import Dispatcher
from uhrmat.batch.executors.base import Executor
from uhrmat.batch.find import BatchItem, FoundItems, Selection, find_items, shard_name
from uhrmat.batch.hints import HintFolders
from uhrmat.batch.manifest import FOLDER, Manifest
from uhrmat.batch.report import EventHandler, Summary, failures_path, write_failures
from uhrmat.batch.select import (
    check_folders,
    collisions,
    is_done,
    recover_outputs,
    refuse_collision,
    refuse_foreign_outputs,
    select_items,
)
from uhrmat.batch.settings import Settings
from uhrmat.batch.watch import Inbox
from uhrmat.core import lock
from uhrmat.core.errors import InputError, OutputError, UhrmatError
from uhrmat.core.signals import StopRequest, stop_on_signal

MakeExecutor = Callable[[], Executor]
_LOCK_FILE = re.compile(r"lock-(\d+)of(\d+)\.json")


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """What one `uhrmat batch` is to do.

    Attributes:
        roots: input folders.
        out: output folder.
        settings: what decides how the results look.
        selection: which files of the folders count.
        hints: where trimaps, masks and plates are; None: there are none.
        overwrite: replace files in the way, and compute again what is done.
    """

    roots: Sequence[Path]
    out: Path
    settings: Settings
    selection: Selection = field(default_factory=Selection)
    hints: HintFolders | None = None
    overwrite: bool = False

    @property
    def folders(self) -> list[Path]:
        """Of inputs and hints."""
        return [*self.roots, *(self.hints.folders if self.hints else ())]

    def find(self) -> FoundItems:
        """The items in the folders, with their hints."""
        skip = [*self.selection.skip, self.out, *(self.hints.folders if self.hints else ())]
        listing = find_items(self.roots, replace(self.selection, skip=skip))
        if self.hints is not None:
            listing.items = self.hints.assign(listing.items)
        return listing

    def todo(self, manifest: Manifest, digests: dict[str, str]) -> tuple[FoundItems, list[BatchItem]]:
        """All items, and those of them that are left to do.

        Raises:
            InputError: two items would be written to the same files.
            OutputError: a file is in the way that no run made.
        """
        listing = self.find()
        losers = collisions(listing.items, manifest)
        for item in listing.items:
            if item.key in losers:
                refuse_collision(losers[item.key], item)
        if self.overwrite:
            return listing, listing.items
        refuse_foreign_outputs(listing.items, manifest, self.settings)
        return listing, select_items(listing.items, manifest, digests).todo


def plan_run(run: BatchRun) -> tuple[FoundItems, list[BatchItem]]:
    """What `run_batch` would do (see `BatchRun.todo`). Nothing is written and nothing is locked."""
    check_folders(run.roots, run.out)
    return run.todo(Manifest(run.out), run.settings.digests())


def run_batch(run: BatchRun, make_executor: MakeExecutor, emit: EventHandler) -> tuple[Summary, bool]:
    """Does what is left to do.

    Args:
        run: what to do.
        make_executor: called only if there is something to do.
        emit: receives every event.

    Returns:
        The summary, and whether a signal ended the run early.

    Raises:
        UhrmatError: the run cannot begin; nothing was done.
        KeyboardInterrupt: at a second signal.
    """
    with _locked_output(run, emit) as (manifest, digests):
        listing, todo = run.todo(manifest, digests)
        if not listing.items:
            raise InputError(
                f"There is nothing to matte in {', '.join(map(str, run.roots))}.",
                _passed_over(listing) or "Look at --include, --exclude and --shard.",
            )
        kept = len(listing.items) - len(todo)
        emit({"event": "start", "found": len(listing.items), "kept": kept, "todo": len(todo)})
        if text := listing.companions_note():
            emit({"event": "note", "text": text})
        summary, request = Summary(), StopRequest()
        if todo:
            with stop_on_signal() as request, _closing(make_executor) as executor:
                dispatcher = Dispatcher(executor, manifest, digests, emit, run.folders, run.overwrite)
                dispatcher.add(todo)
                summary = dispatcher.finish(request)
        summary.found, summary.kept = len(listing.items), kept
        _finish(run, summary, emit)
        return summary, request.value


def watch_folders(
    run: BatchRun, make_executor: MakeExecutor, emit: EventHandler, *, settle: float = 5.0, poll: float = 2.0
) -> Summary:
    """Processes files as they arrive, until a signal comes.

    Args:
        run: what to do.
        make_executor: called once, at the beginning.
        emit: receives every event.
        settle: seconds for which a file must not have changed, see `Inbox`.
        poll: seconds between two scans of the folders.
    """
    inbox = Inbox(settle)
    with (
        _locked_output(run, emit) as (manifest, digests),
        stop_on_signal() as request,
        _closing(make_executor) as executor,
    ):
        dispatcher = Dispatcher(executor, manifest, digests, emit, run.folders, run.overwrite)
        emit({"event": "start", "found": 0, "kept": 0, "todo": 0, "watching": True})
        failures = 0
        while not request.value and not dispatcher.summary.halted:
            present = run.find().items
            new = inbox.ready(present, dispatcher.busy)
            dispatcher.add(_checked(run, manifest, digests, present, new))
            until = time.monotonic() + poll
            while not request.value and time.monotonic() < until:
                if dispatcher.idle:
                    time.sleep(min(poll, 0.1))
                dispatcher.step()
            if failures != (failures := len(dispatcher.summary.failures)):
                write_failures(failures_path(run.out, run.selection.shard), dispatcher.summary)
        summary = dispatcher.finish(request)
        _finish(run, summary, emit)
        return summary


def _checked(
    run: BatchRun, manifest: Manifest, digests: dict[str, str], present: list[BatchItem], new: list[BatchItem]
) -> Iterator[BatchItem]:
    """The `new` items that are not done yet; what `run_batch` would refuse becomes an item that fails."""
    losers = collisions(present, manifest)
    for item in new:
        if is_done(item, manifest, digests) and not run.overwrite:
            continue
        try:
            if item.key in losers:
                refuse_collision(losers[item.key], item)
            if not run.overwrite:
                refuse_foreign_outputs([item], manifest, run.settings)
        except UhrmatError as error:
            yield replace(item, error=(error.message, error.hint))
        else:
            yield item


@contextmanager
def _locked_output(run: BatchRun, emit: EventHandler) -> Iterator[tuple[Manifest, dict[str, str]]]:
    """The output folder's lock and its manifest. What killed runs left half written is recovered before the run and,
    because workers may have died, after it."""
    recovered = check_folders(run.roots, run.out)
    digests = run.settings.digests()
    with lock_shard(run.out, run.selection.shard):
        if count := recovered + recover_outputs(run.out):
            text = f"{count} half-written results of a run that was killed: completed or removed"
            emit({"event": "note", "text": text})
        manifest = Manifest(run.out, shard_name(run.selection.shard))
        try:
            if manifest.ignored:
                emit({"event": "note", "text": f"{manifest.ignored} lines of the manifest are passed over"})
            yield manifest, digests
        finally:
            manifest.close()
            recover_outputs(run.out)


@contextmanager
def lock_shard(out: Path, shard: tuple[int, int] = (1, 1)) -> Iterator[Callable[[], bool]]:
    """Holds the lock of shard (i, n) of the output folder, which is made.

    Shards of one n run side by side; any other run in the folder is refused.

    Yields:
        A function that says whether no other shard is locked.

    Raises:
        OutputError: another run holds the folder; the message names it.
    """
    own = out / FOLDER / f"lock-{shard_name(shard)}"
    with lock.hold_lock(own, out):
        _only_shard(own, out, shard[1])
        yield partial(_only_shard, own, out, shard[1])


def _only_shard(own: Path, out: Path, count: int) -> bool:
    """Whether no other lock is held. Raises OutputError for one of a run with another number of shards."""
    only = True
    for owner_file in sorted(own.parent.glob("lock-*.json")):
        path, match = owner_file.with_suffix(""), _LOCK_FILE.fullmatch(owner_file.name)
        if path == own or match is None or (held := lock.find_holder(path)) is None:
            continue
        if int(match[2]) != count:
            raise lock.lock_error(held, out)
        only = False
    return only


@contextmanager
def _closing(make: MakeExecutor) -> Iterator[Executor]:
    """The executor, closed at the end, killed where the end comes early."""
    executor = make()
    try:
        yield executor
    except BaseException:
        executor.kill()
        raise
    executor.close()


def _finish(run: BatchRun, summary: Summary, emit: EventHandler) -> None:
    with suppress(OutputError):  # no room on a full disk; the failures have been emitted already
        write_failures(failures_path(run.out, run.selection.shard), summary)
    emit({"event": "summary", **summary.as_dict()})


def _passed_over(listing: FoundItems) -> str:
    """A sentence on the files that are no inputs."""
    names = [f"{count} {suffix or 'without extension'}" for suffix, count in listing.ignored.most_common(4)]
    return f"Passed over: {', '.join(names)}." if names else ""
