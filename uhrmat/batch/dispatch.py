"""Hands items to an executor while it has room, and records each result. The only writer of the manifest."""

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
from uhrmat.batch.report import EventHandler, Summary
from uhrmat.batch.select import has_results, input_fingerprint
from uhrmat.batch.tasks import Kind, TaskResult, WorkerTask
from uhrmat.core.errors import OutputError
from uhrmat.core.redact import names_by_path, redact_folders
from uhrmat.core.signals import StopRequest

TRIES = 3
"""Attempts at a task whose worker died; from the second one on the worker runs nothing else beside it."""
_SPARE = 16 << 20
"""Bytes that must be free on the output's disk for the run to go on after a failure of writing."""


class _ItemState:
    """An item that is being processed: its fingerprint and time at the start, the steps of a clip, and whether existing
    files may be replaced."""

    def __init__(self, item: BatchItem, fingerprint: str) -> None:
        self.item, self.fingerprint = item, fingerprint
        self.steps: ClipSteps | None = None
        self.begun = time.monotonic()
        self.replace = True
        self.notes: list[str] = []


class Dispatcher:
    """Runs items on an executor: `add` items, then `finish`; between the two, `step` while more items may come.

    A failure ends its item and nothing else. Only where the output folder can no longer be written to does the run end
    early; the summary says so.

    Args:
        executor: who does the work.
        manifest: opened for writing.
        digests: hash of the settings for each kind of item, see `Settings.digests`.
        emit: receives every event.
        folders: folders of inputs and hints; messages name them without their parents.
        overwrite: replace files that are no results of an item.
    """

    def __init__(
        self,
        executor: Executor,
        manifest: Manifest,
        digests: Mapping[str, str],
        emit: EventHandler = lambda event: None,
        folders: Sequence[Path] = (),
        overwrite: bool = False,
    ) -> None:
        self.executor, self.manifest, self.digests, self.emit = executor, manifest, digests, emit
        self._folders = names_by_path(folders)
        self.summary, self.eta, self.overwrite = Summary(), Eta(), overwrite
        self._waiting, self._ready = deque[BatchItem](), deque[WorkerTask]()
        self._states, self._tries = dict[str, _ItemState](), dict[int, int]()
        self._in_flight: dict[int, tuple[WorkerTask, _ItemState]] = {}
        self._numbers, self._started, self._stopped = itertools.count(1), time.monotonic(), False

    @property
    def idle(self) -> bool:
        """Whether no item is being processed and none waits."""
        return not (self._waiting or self._ready or self._in_flight)

    @property
    def busy(self) -> set[str]:
        """Keys of the items that are being processed or wait."""
        return {*self._states, *(item.key for item in self._waiting)}

    def add(self, items: Iterable[BatchItem]) -> None:
        """Appends items. An earlier failure of the same item is forgotten: its latest attempt counts."""
        for item in items:
            self.summary.found += 1
            self.summary.failures.pop(item.key, None)
            self.eta.add(item.kind, item.size)
            self._waiting.append(item)

    def step(self, timeout: float = 0.2) -> None:
        """Submits as many tasks as there is room for, and waits up to `timeout` seconds for results."""
        with self._halt_on_output_error():
            self._fill()
        if self.idle:
            return
        for result in self.executor.wait(timeout):
            with self._halt_on_output_error():
                self._handle(result)

    @contextmanager
    def _halt_on_output_error(self) -> Iterator[None]:
        """Ends the run where the manifest cannot be written: without it nobody knows what is done."""
        try:
            yield
        except OutputError as error:
            self._halt(str(error))

    def stop(self) -> None:
        """Submits nothing more. What is being processed is finished or dropped by the executor."""
        if self._stopped:
            return
        self._stopped = True
        self.summary.dropped += len(self._waiting)
        self._waiting.clear()
        self._ready.clear()
        self.executor.stop()

    def finish(self, request: StopRequest) -> Summary:
        """Steps until nothing is left, or stops when `request` is set; returns the summary."""
        while not self.idle:
            if request.value:
                self.stop()
            self.step()
        self.summary.dropped += len(self._states)  # clips whose other segments are left
        self._states.clear()
        self.summary.seconds = time.monotonic() - self._started
        return self.summary

    def _fill(self) -> None:
        while self.executor.room > 0 and not self._stopped:
            if not self._ready:
                if not self._waiting:
                    return
                self._begin(self._waiting.popleft())
                continue
            task = self._ready.popleft()
            if task.key in self._states:  # else its clip has failed meanwhile
                self._in_flight[task.id] = task, self._states[task.key]
                self.executor.submit(task)

    def _begin(self, item: BatchItem) -> None:
        self._states[item.key] = state = _ItemState(item, "")
        if item.error is not None:
            self._fail(state, *item.error)
            return
        try:
            state.fingerprint = input_fingerprint(item)
        except OSError as error:
            self._fail(state, f"It cannot be read: {error.strerror}.", "Was it moved meanwhile?")
            return
        state.replace = self.overwrite or has_results(item, self.manifest)
        self.manifest.write(self._record(state, "begun"))
        self.emit({"event": "begin", "item": item.key, "kind": item.kind})
        if item.kind == "still":
            self._ready.append(self._task(item, "still", {"input": state.fingerprint}))
        else:
            state.steps = ClipSteps(lambda kind, body: self._task(item, kind, body))
            self._ready.append(state.steps.first())

    def _task(self, item: BatchItem, kind: Kind, body: Mapping[str, Any]) -> WorkerTask:
        folder = self.manifest.out / item.folder
        hints = {name: str(path.absolute()) for name, path in item.hints.items()}
        source, number = str(item.source.absolute()), next(self._numbers)
        body = {**body, "replace": self._states[item.key].replace}
        return WorkerTask(
            id=number, kind=kind, key=item.key, source=source, folder=str(folder.absolute()), hints=hints, body=body
        )

    def _handle(self, result: TaskResult) -> None:
        task, state = self._in_flight.pop(result.id)
        if self._states.get(task.key) is not state:
            return  # a piece of a clip that has failed meanwhile
        if result.status == "lost":
            self._retry(task, state, result)
        elif result.status == "dropped":
            self.summary.dropped += 1
            del self._states[task.key]
        elif result.status == "failed":
            if result.output:
                self._check_disk()
            self._fail(state, result.error, result.hint)
        else:
            self._advance(task, state, result.value)

    def _retry(self, task: WorkerTask, state: _ItemState, result: TaskResult) -> None:
        tries = self._tries[task.id] = self._tries.get(task.id, 1) + 1
        if tries > TRIES:
            hint = "Is the memory exhausted? Allow less with --max-memory, or run fewer --jobs."
            self._fail(state, f"{TRIES} workers that had it ended early ({result.error}).", hint)
        elif self._stopped:
            self.summary.dropped += 1
            del self._states[task.key]
        else:
            self.summary.retries += 1
            self.emit({"event": "retry", "item": task.key, "reason": f"its worker ended early ({result.error})"})
            self._ready.appendleft(task.retry())

    def _advance(self, task: WorkerTask, state: _ItemState, value: Mapping[str, Any]) -> None:
        state.notes += value.get("notes", [])
        if task.kind in ("still", "join"):
            self._done(state, value)
            return
        assert state.steps is not None
        if not self._stopped:
            self._ready.extend(state.steps.after(task, value))
        if task.kind == "segment":
            self.emit({"event": "segment", "item": task.key, "share": round(state.steps.share, 4)})

    def _done(self, state: _ItemState, value: Mapping[str, Any]) -> None:
        item, files = state.item, {name: Path(path) for name, path in value["files"].items()}
        try:
            root = self.manifest.out.absolute()
            named = {name: path.relative_to(root).as_posix() for name, path in files.items()}
            outputs = {named[name]: measure(path) for name, path in files.items()}
            sums = {named[name]: text for name, text in value.get("sha256", {}).items()}
        except OSError as error:
            self._fail(state, f"Its result has vanished: {error.strerror}.", "Does something else write there?")
            return
        self.manifest.write(self._record(state, "done", outputs=outputs, sha256=sums))
        self.summary.done += 1
        self.eta.finish(item.kind, item.size)
        stats = value.get("stats", {})
        notes = list(dict.fromkeys([*stats.get("notes", []), *state.notes]))
        self._close(state, "done", {"files": named, "stats": stats, "notes": notes})

    def _fail(self, state: _ItemState, error: str, hint: str) -> None:
        item = state.item
        error, hint = redact_folders((error, hint), self._names(item))
        failure = {"item": item.key, "source": str(item.source), "error": error, "hint": hint}
        self.summary.failures[item.key] = failure
        self.eta.finish(item.kind, item.size, counts=False)
        self._close(state, "failed", {"error": error, "hint": hint})
        self.manifest.write(self._record(state, "failed", error=error))

    def _close(self, state: _ItemState, status: str, more: Mapping[str, Any]) -> None:
        del self._states[state.item.key]
        summary, seconds = self.summary, time.monotonic() - state.begun
        ended = summary.done + len(summary.failures)
        item = state.item
        about = {"item": item.key, "kind": item.kind, "source": str(item.source), "seconds": round(seconds, 3)}
        self.emit({"event": status, **about, **more, "ended": ended, "of": summary.found, "eta": self.eta.seconds()})

    def _record(self, state: _ItemState, status: Any, **more: Any) -> Record:
        item = state.item
        before = self.manifest.records.get(item.key)
        record = Record(
            key=item.key,
            state=status,
            source=name_hash(item.source),
            input=state.fingerprint,
            settings=self.digests[item.kind],
        )
        if before is not None:  # these are still there
            record = replace(record, outputs=before.outputs, sha256=before.sha256)
        return replace(record, **more)

    def _names(self, item: BatchItem) -> dict[Path, str]:
        """Paths and the names that messages use for them, see `core.redact`."""
        out = self.manifest.out
        own = {
            item.source: item.key,
            **names_by_path(item.hints.values()),
            out / item.folder: str(item.folder),
            out: ".",
        }
        return {**self._folders, **own}

    def _check_disk(self) -> None:
        """Ends the run if the disk is full or read-only; called when a file could not be written."""
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
            self.emit({"event": "halt", "reason": why})
        self.stop()
