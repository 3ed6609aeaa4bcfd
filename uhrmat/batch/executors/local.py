"""Worker processes on this machine. A process that dies loses its own tasks only, and is replaced."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from uhrmat.batch.settings import Settings
from uhrmat.batch.tasks import TaskResult, WorkerTask
from uhrmat.core.children import command, environment
from uhrmat.core.errors import InputError, UhrmatError

SLOTS = 3
"""Tasks per worker, see `worker.SLOTS`; repeated here because that module loads torch."""
_MAX_DEATHS = 3
"""Workers that may die one after another without any becoming ready."""
COMMAND = command("uhrmat.batch.executors.child")


class LocalExecutor:
    """Runs tasks in worker processes; see `base.Executor`.

    Args:
        settings: of the run.
        jobs: number of processes.
        note: receives what workers log.
    """

    def __init__(self, settings: Settings, jobs: int = 1, note: Callable[[str], None] = lambda text: None) -> None:
        self._config, self._note, self.workers = _shared(settings, jobs).as_dict(), note, jobs
        self._messages: queue.SimpleQueue[tuple[_Child, dict[str, Any] | None]] = queue.SimpleQueue()
        self._pending: deque[WorkerTask] = deque()
        self._children = [self._start(index) for index in range(jobs)]
        self._deaths, self._stopped = 0, False

    @property
    def room(self) -> int:
        """SLOTS for each worker, less the tasks that have not ended."""
        held = sum(len(child.tasks) for child in self._children)
        return self.workers * SLOTS - held - len(self._pending)

    def submit(self, task: WorkerTask) -> None:
        """See `base.Executor`."""
        self._pending.append(task)
        self._distribute()

    def wait(self, timeout: float) -> list[TaskResult]:
        """See `base.Executor`. Raises InputError for what workers refuse, UhrmatError where none can be started."""
        results: list[TaskResult] = []
        with contextlib.suppress(queue.Empty):
            child, message = self._messages.get(timeout=timeout)
            while True:
                results += self._receive(child, message)
                child, message = self._messages.get_nowait()
        self._distribute()
        return results

    def _receive(self, child: _Child, message: dict[str, Any] | None) -> list[TaskResult]:
        if message is None:
            return self._replace_dead(child)
        if "refused" in message:
            raise InputError(*message["refused"])
        if "ready" in message:
            self._deaths = 0
        if "note" in message:
            self._note(str(message["note"]))
        if "result" not in message:
            return []
        result = TaskResult(**message["result"])
        child.tasks.pop(result.id, None)
        return [result]

    def _replace_dead(self, child: _Child) -> list[TaskResult]:
        code = child.process.wait()
        self._deaths += 1
        if self._deaths >= _MAX_DEATHS:
            raise UhrmatError(
                f"{_MAX_DEATHS} workers ended early, one after another (exit code {code}).", "Is the memory exhausted?"
            )
        lost = [TaskResult(id=number, status="lost", error=f"exit code {code}") for number in child.tasks]
        self._children.remove(child)
        if not self._stopped:
            self._children.append(self._start(child.index))
        else:
            lost += [TaskResult(id=task.id, status="dropped") for task in self._pending]
            self._pending.clear()
        return lost

    def _distribute(self) -> None:
        while self._pending:
            task = self._pending[0]
            free = [child for child in self._children if child.takes(task)]
            if not free:
                return
            min(free, key=lambda child: len(child.tasks)).give(self._pending.popleft())

    def _start(self, index: int) -> _Child:
        child = _Child(index, self._messages)
        child.send({"settings": self._config, "index": index, "workers": self.workers})
        return child

    def stop(self) -> None:
        """See `base.Executor`."""
        self._stopped = True
        for child in self._children:
            child.send({"stop": True})

    def close(self) -> None:
        """See `base.Executor`."""
        for child in self._children:
            child.end()

    def kill(self) -> None:
        """Kills the workers' processes and their children."""
        for child in self._children:
            child.kill()


class _Child:
    """A worker process, and the thread that reads its messages."""

    def __init__(self, index: int, messages: queue.SimpleQueue[tuple[_Child, dict[str, Any] | None]]) -> None:
        self.index, self.tasks = index, dict[int, WorkerTask]()
        self.process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment(),
            start_new_session=True,
        )  # fmt: skip
        threading.Thread(target=self._listen, args=(messages,), daemon=True).start()

    def _listen(self, messages: queue.SimpleQueue[tuple[_Child, dict[str, Any] | None]]) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(ValueError):  # a line cut short by its death
            for line in self.process.stdout:
                messages.put((self, json.loads(line)))
        messages.put((self, None))

    def takes(self, task: WorkerTask) -> bool:
        """Whether it has a slot for this task."""
        crowded = any(held.alone for held in self.tasks.values())
        return not self.tasks if task.alone else len(self.tasks) < SLOTS and not crowded

    def give(self, task: WorkerTask) -> None:
        """Sends it the task."""
        self.tasks[task.id] = task
        self.send({"task": task.as_dict()})

    def send(self, message: dict[str, Any]) -> None:
        """Writes a message. Errors are ignored: the reading thread reports a dead process."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def end(self) -> None:
        """Closes its input and waits; kills it after ten seconds."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kills it and its children."""
        with contextlib.suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()


def _shared(settings: Settings, jobs: int) -> Settings:
    """The settings of each worker: several share the processor's cores equally, unless `threads` is given."""
    if jobs == 1 or settings.model.threads is not None:
        return settings
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return replace(settings, model=replace(settings.model, threads=threads))
