"""Items handed to an executor as it has room, and what became of each written down. The manifest's only writer."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from uhrmat.batch.clips import ClipSteps
from uhrmat.batch.eta import Eta
from uhrmat.batch.executors.base import Executor
from uhrmat.batch.find import BatchItem
from uhrmat.batch.manifest import FOLDER, Manifest, Record, measure, name_hash
from uhrmat.batch.report import Summary, Tell
from uhrmat.batch.select import has_results, input_of
from uhrmat.batch.tasks import Kind, TaskResult, WorkerTask
from uhrmat.core.errors import OutputError
from uhrmat.core.redact import names_by_path, redact_folders
from uhrmat.core.signals import StopRequest

TRIES = 3
"""How often a task is handed out whose worker died; from the second time on with nothing beside it."""
_SPARE = 16 << 20
"""Bytes that must be free on the output's disk for the run to go on after a failure of writing."""


class _Work:
    """An item in hand: what it was when it was begun, the steps of a clip, when it was begun, and whether files that
    are there may be replaced."""

    def __init__(self, item: BatchItem, fingerprint: str) -> None:
        self.item, self.fingerprint = item, fingerprint
        self.steps: ClipSteps | None = None
        self.begun = time.monotonic()
        self.replace = True
        self.notes: list[str] = []


class Batch:
    """Runs items on an executor. digests: see `Settings.digests`; tell: told every event; folders: of inputs and hints,
    which failures call by their own names alone; overwrite: files that are no results of an item may be replaced.

    `add` what there is, then `finish`; between the two, `step` as long as more may come. A failure ends its item and
    nothing else; only where the output folder cannot be written to any more the run ends early, as the summary says.
    """

    def __init__(
        self, executor: Executor, manifest: Manifest, digests: Mapping[str, str], tell: Tell = lambda event: None,
        folders: Sequence[Path] = (), overwrite: bool = False,
    ) -> None:  # fmt: skip
        self.executor, self.manifest, self.digests, self.tell = executor, manifest, digests, tell
        self._folders = names_by_path(folders)
        self.summary, self.eta, self.overwrite = Summary(), Eta(), overwrite
        self._waiting, self._ready = deque[BatchItem](), deque[WorkerTask]()
        self._works, self._tries = dict[str, _Work](), dict[int, int]()
        self._flying: dict[int, tuple[WorkerTask, _Work]] = {}
        self._numbers, self._begun, self._stopped = itertools.count(1), time.monotonic(), False

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand and nothing waits."""
        return not (self._waiting or self._ready or self._flying)

    @property
    def busy(self) -> set[str]:
        """Keys of the items that are in hand or wait."""
        return {*self._works, *(item.key for item in self._waiting)}

    def add(self, items: Iterable[BatchItem]) -> None:
        """More to do, in this order. Those of the latest run of an item count, so an earlier failure is forgotten."""
        for item in items:
            self.summary.found += 1
            self.summary.failures.pop(item.key, None)
            self.eta.add(item.kind, item.size)
            self._waiting.append(item)

    def step(self, timeout: float = 0.2) -> None:
        """Hands out what there is room for, and waits up to `timeout` seconds for something to end."""
        with self._halting():
            self._fill()
        if self.idle:
            return
        for outcome in self.executor.wait(timeout):
            with self._halting():
                self._ended(outcome)

    @contextmanager
    def _halting(self) -> Iterator[None]:
        """Without the manifest there is no knowing what is done: the run ends where it cannot be written."""
        try:
            yield
        except OutputError as error:
            self._halt(str(error))

    def stop(self) -> None:
        """Begins nothing more. What is in hand is finished or dropped."""
        if self._stopped:
            return
        self._stopped = True
        self.summary.dropped += len(self._waiting)
        self._waiting.clear()
        self._ready.clear()
        self.executor.stop()

    def finish(self, asked: StopRequest) -> Summary:
        """Steps until nothing is in hand any more, and stops when it is `asked`. The summary."""
        while not self.idle:
            if asked.value:
                self.stop()
            self.step()
        self.summary.dropped += len(self._works)  # clips whose other segments are left
        self._works.clear()
        self.summary.seconds = time.monotonic() - self._begun
        return self.summary

    def _fill(self) -> None:
        while self.executor.room > 0 and not self._stopped:
            if not self._ready:
                if not self._waiting:
                    return
                self._begin(self._waiting.popleft())
                continue
            task = self._ready.popleft()
            if task.key in self._works:  # else its clip has failed meanwhile
                self._flying[task.id] = task, self._works[task.key]
                self.executor.submit(task)

    def _begin(self, item: BatchItem) -> None:
        self._works[item.key] = work = _Work(item, "")
        if item.error is not None:
            self._fail(work, *item.error)
            return
        try:
            work.fingerprint = input_of(item)
        except OSError as error:
            self._fail(work, f"It cannot be read: {error.strerror}.", "Was it moved meanwhile?")
            return
        work.replace = self.overwrite or has_results(item, self.manifest)
        self.manifest.write(self._record(work, "begun"))
        self.tell({"event": "begin", "item": item.key, "kind": item.kind})
        if item.kind == "still":
            self._ready.append(self._task(item, "still", {"input": work.fingerprint}))
        else:
            work.steps = ClipSteps(lambda kind, body: self._task(item, kind, body))
            self._ready.append(work.steps.first())

    def _task(self, item: BatchItem, kind: Kind, body: Mapping[str, Any]) -> WorkerTask:
        folder = self.manifest.out / item.folder
        hints = {name: str(path.absolute()) for name, path in item.hints.items()}
        source, number = str(item.source.absolute()), next(self._numbers)
        body = {**body, "replace": self._works[item.key].replace}
        return WorkerTask(number, kind, item.key, source, str(folder.absolute()), hints, body)

    def _ended(self, outcome: TaskResult) -> None:
        task, work = self._flying.pop(outcome.id)
        if self._works.get(task.key) is not work:
            return  # a piece of a clip that has failed meanwhile
        if outcome.status == "lost":
            self._lost(task, work, outcome)
        elif outcome.status == "dropped":
            self.summary.dropped += 1
            del self._works[task.key]
        elif outcome.status == "failed":
            if outcome.output:
                self._check_disk()
            self._fail(work, outcome.error, outcome.hint)
        else:
            self._advance(task, work, outcome.result)

    def _lost(self, task: WorkerTask, work: _Work, outcome: TaskResult) -> None:
        tries = self._tries[task.id] = self._tries.get(task.id, 1) + 1
        if tries > TRIES:
            hint = "Is the memory exhausted? Allow less with --max-memory, or run fewer --jobs."
            self._fail(work, f"{TRIES} workers that had it ended early ({outcome.error}).", hint)
        elif self._stopped:
            self.summary.dropped += 1
            del self._works[task.key]
        else:
            self.summary.retries += 1
            self.tell({"event": "retry", "item": task.key, "reason": f"its worker ended early ({outcome.error})"})
            self._ready.appendleft(task.again())

    def _advance(self, task: WorkerTask, work: _Work, result: Mapping[str, Any]) -> None:
        work.notes += result.get("notes", [])
        if task.kind in ("still", "join"):
            self._done(work, result)
            return
        assert work.steps is not None
        if not self._stopped:
            self._ready.extend(work.steps.after(task, result))
        if task.kind == "segment":
            self.tell({"event": "segment", "item": task.key, "share": round(work.steps.share, 4)})

    def _done(self, work: _Work, result: Mapping[str, Any]) -> None:
        item, files = work.item, {name: Path(path) for name, path in result["files"].items()}
        try:
            root = self.manifest.out.absolute()
            named = {name: path.relative_to(root).as_posix() for name, path in files.items()}
            outputs = {named[name]: measure(path) for name, path in files.items()}
            sums = {named[name]: text for name, text in result.get("sha256", {}).items()}
        except OSError as error:
            self._fail(work, f"Its result has vanished: {error.strerror}.", "Does something else write there?")
            return
        self.manifest.write(self._record(work, "done", outputs=outputs, sha256=sums))
        self.summary.done += 1
        self.eta.finish(item.kind, item.size)
        stats = result.get("stats", {})
        notes = list(dict.fromkeys([*stats.get("notes", []), *work.notes]))
        self._close(work, "done", {"files": named, "stats": stats, "notes": notes})

    def _fail(self, work: _Work, error: str, hint: str) -> None:
        item = work.item
        error, hint = redact_folders((error, hint), self._names(item))
        failure = {"item": item.key, "source": str(item.source), "error": error, "hint": hint}
        self.summary.failures[item.key] = failure
        self.eta.finish(item.kind, item.size, counts=False)
        self._close(work, "failed", {"error": error, "hint": hint})
        self.manifest.write(self._record(work, "failed", error=error))

    def _close(self, work: _Work, state: str, more: Mapping[str, Any]) -> None:
        del self._works[work.item.key]
        summary, seconds = self.summary, time.monotonic() - work.begun
        ended = summary.done + len(summary.failures)
        item = work.item
        about = {"item": item.key, "kind": item.kind, "source": str(item.source), "seconds": round(seconds, 3)}
        self.tell({"event": state, **about, **more, "ended": ended, "of": summary.found, "eta": self.eta.seconds()})

    def _record(self, work: _Work, state: Any, **more: Any) -> Record:
        item = work.item
        before = self.manifest.records.get(item.key)
        record = Record(item.key, state, name_hash(item.source), work.fingerprint, self.digests[item.kind])
        if before is not None:  # these are still there
            record = replace(record, outputs=before.outputs, sha256=before.sha256)
        return replace(record, **more)

    def _names(self, item: BatchItem) -> dict[Path, str]:
        """What its files are called where no folder is named: see `delivered`."""
        out = self.manifest.out
        own = {
            item.source: item.key,
            **names_by_path(item.hints.values()),
            out / item.folder: str(item.folder),
            out: ".",
        }
        return {**self._folders, **own}

    def _check_disk(self) -> None:
        """After a failure of writing: is it that file, or is it the disk?"""
        trial = self.manifest.out / FOLDER / f"trial-{os.getpid()}"
        try:
            try:
                trial.write_bytes(b"\0" * 65536)
            finally:
                with suppress(OSError):
                    trial.unlink(missing_ok=True)
            if shutil.disk_usage(self.manifest.out).free < _SPARE:
                self._halt(f"The disk of {self.manifest.out} is full.")
        except OSError as error:
            self._halt(f"{self.manifest.out} can no longer be written to: {error.strerror}.")

    def _halt(self, why: str) -> None:
        if not self.summary.halted:
            self.summary.halted = why
            self.tell({"event": "halt", "reason": why})
        self.stop()
