"""A whole run, from folders to a summary: found, locked, selected, done; once, or again and again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from uhrmat.batch.executors.base import Executor
from uhrmat.batch.find import BatchItem, FoundItems, Selection, find
from uhrmat.batch.hints import HintFolders
from uhrmat.batch.lock import locked, part_name
from uhrmat.batch.manifest import Manifest
from uhrmat.batch.report import Summary, Tell, failures_path, write_failures
from uhrmat.batch.run import Batch
from uhrmat.batch.select import (
    check_folders,
    collisions,
    is_done,
    refuse_collision,
    refuse_strangers,
    select,
    sweep,
)
from uhrmat.batch.settings import Settings
from uhrmat.batch.watch import Inbox
from uhrmat.core.errors import InputError, OutputError, UhrmatError
from uhrmat.core.signals import StopRequest, stop_on_signal

MakeExecutor = Callable[[], Executor]


@dataclass(frozen=True)
class BatchRun:
    """roots: the input folders; out: the output folder; hints: where trimaps, masks and plates are; overwrite: files in
    the way may be replaced, and what is done is done again."""

    roots: Sequence[Path]
    out: Path
    settings: Settings
    chosen: Selection = field(default_factory=Selection)
    hints: HintFolders | None = None
    overwrite: bool = False

    @property
    def folders(self) -> list[Path]:
        """Of inputs and hints."""
        return [*self.roots, *(self.hints.folders if self.hints else ())]

    def find(self) -> FoundItems:
        """What there is in the folders, with its hints."""
        skip = [*self.chosen.skip, self.out, *(self.hints.folders if self.hints else ())]
        found = find(self.roots, replace(self.chosen, skip=skip))
        if self.hints is not None:
            found.items = self.hints.give(found.items)
        return found

    def todo(self, manifest: Manifest, digests: dict[str, str]) -> tuple[FoundItems, list[BatchItem]]:
        """What there is and what of it is left to do. Raises InputError or OutputError for what must not be begun."""
        found = self.find()
        losers = collisions(found.items, manifest)
        for item in found.items:
            if item.key in losers:
                refuse_collision(losers[item.key], item)
        if self.overwrite:
            return found, found.items
        refuse_strangers(found.items, manifest, self.settings)
        return found, select(found.items, manifest, digests).todo


def look(job: BatchRun) -> tuple[FoundItems, list[BatchItem]]:
    """What a run would do. Nothing is written and nothing is locked."""
    check_folders(job.roots, job.out)
    return job.todo(Manifest(job.out), job.settings.digests())


def run(job: BatchRun, executor: MakeExecutor, tell: Tell) -> tuple[Summary, bool]:
    """Does what is left to do. The summary, and whether a signal ended it early.

    Raises UhrmatError before anything was begun, KeyboardInterrupt at a second signal.
    """
    with _opened(job, tell) as (manifest, digests):
        found, todo = job.todo(manifest, digests)
        if not found.items:
            raise InputError(
                f"There is nothing to matte in {', '.join(map(str, job.roots))}.",
                _ignored(found) or "Look at --include, --exclude and --shard.",
            )
        kept = len(found.items) - len(todo)
        tell({"event": "start", "found": len(found.items), "kept": kept, "todo": len(todo)})
        if text := found.about_companions():
            tell({"event": "note", "text": text})
        summary, asked = Summary(), StopRequest()
        if todo:
            with stop_on_signal() as asked, _working(executor) as working:
                batch = Batch(working, manifest, digests, tell, job.folders, job.overwrite)
                batch.add(todo)
                summary = batch.finish(asked)
        summary.found, summary.kept = len(found.items), kept
        _end(job, summary, tell)
        return summary, asked.value


def watch(job: BatchRun, executor: MakeExecutor, tell: Tell, *, settle: float = 5.0, poll: float = 2.0) -> Summary:
    """Keeps the folders processed until a signal comes. poll: seconds between two looks; settle: see `Inbox`."""
    inbox = Inbox(settle)
    with _opened(job, tell) as (manifest, digests), stop_on_signal() as asked, _working(executor) as working:
        batch = Batch(working, manifest, digests, tell, job.folders, job.overwrite)
        tell({"event": "start", "found": 0, "kept": 0, "todo": 0, "watching": True})
        failures = 0
        while not asked.value and not batch.summary.halted:
            there = job.find().items
            new = inbox.ready(there, batch.busy)
            batch.add(_acceptable(job, manifest, digests, there, new))
            until = time.monotonic() + poll
            while not asked.value and time.monotonic() < until:
                if batch.idle:
                    time.sleep(min(poll, 0.1))
                batch.step()
            if failures != (failures := len(batch.summary.failures)):
                write_failures(failures_path(job.out, job.chosen.shard), batch.summary)
        summary = batch.finish(asked)
        _end(job, summary, tell)
        return summary


def _acceptable(
    job: BatchRun, manifest: Manifest, digests: dict[str, str], there: list[BatchItem], new: list[BatchItem]
) -> Iterator[BatchItem]:
    """Of the `new` items `there`, those not done yet; whatever a single run would refuse is an item that fails."""
    losers = collisions(there, manifest)
    for item in new:
        if is_done(item, manifest, digests) and not job.overwrite:
            continue
        try:
            if item.key in losers:
                refuse_collision(losers[item.key], item)
            if not job.overwrite:
                refuse_strangers([item], manifest, job.settings)
        except UhrmatError as error:
            yield replace(item, error=(error.message, error.hint))
        else:
            yield item


@contextmanager
def _opened(job: BatchRun, tell: Tell) -> Iterator[tuple[Manifest, dict[str, str]]]:
    """The output folder locked and its manifest open; swept before and, as workers may have died, after."""
    recovered = check_folders(job.roots, job.out)
    digests = job.settings.digests()
    with locked(job.out, job.chosen.shard):
        if count := recovered + sweep(job.out):
            tell(
                {
                    "event": "note",
                    "text": f"{count} half-written results of a run that was killed: completed or removed",
                }
            )
        manifest = Manifest(job.out, part_name(job.chosen.shard))
        try:
            if manifest.ignored:
                tell({"event": "note", "text": f"{manifest.ignored} lines of the manifest are passed over"})
            yield manifest, digests
        finally:
            manifest.close()
            sweep(job.out)


@contextmanager
def _working(make: MakeExecutor) -> Iterator[Executor]:
    """The executor, closed at the end, killed where the end comes early."""
    executor = make()
    try:
        yield executor
    except BaseException:
        executor.kill()
        raise
    executor.close()


def _end(job: BatchRun, summary: Summary, tell: Tell) -> None:
    with suppress(OutputError):  # on a full disk there is no room for it, and the failures have been told
        write_failures(failures_path(job.out, job.chosen.shard), summary)
    tell({"event": "summary", **summary.as_dict()})


def _ignored(found: FoundItems) -> str:
    """A sentence on what was passed over."""
    names = [f"{count} {suffix or 'without extension'}" for suffix, count in found.ignored.most_common(4)]
    return f"Passed over: {', '.join(names)}." if names else ""
