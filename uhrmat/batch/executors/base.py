"""The interface of executors."""

from __future__ import annotations

from typing import Protocol

from uhrmat.batch.tasks import TaskResult, WorkerTask


class Executor(Protocol):
    """Runs tasks on workers.

    Attributes:
        room: number of tasks that may be submitted now; this limits how much is in progress.
        workers: number of workers.
    """

    @property
    def room(self) -> int: ...

    @property
    def workers(self) -> int: ...

    def submit(self, task: WorkerTask) -> None:
        """Takes a task. Only to be called while there is room."""

    def wait(self, timeout: float) -> list[TaskResult]:
        """The results of tasks that have ended, after at most `timeout` seconds.

        Raises:
            UhrmatError: no worker can be started.
        """

    def stop(self) -> None:
        """Finishes or drops the submitted tasks; `wait` still returns a result for each."""

    def close(self) -> None:
        """Ends the workers, when all tasks have ended."""

    def kill(self) -> None:
        """Ends at once, whatever is in progress."""
