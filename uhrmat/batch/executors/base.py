"""What every executor is asked."""

from __future__ import annotations

from typing import Protocol

from uhrmat.batch.tasks import TaskResult, WorkerTask


class Executor(Protocol):
    """room: how many more tasks it takes now, the back-pressure of the whole; workers: how many work."""

    @property
    def room(self) -> int: ...

    @property
    def workers(self) -> int: ...

    def submit(self, task: WorkerTask) -> None:
        """Takes a task; only while there is room."""

    def wait(self, timeout: float) -> list[TaskResult]:
        """What has ended, after at most `timeout` seconds. Raises UhrmatError where no worker can be had at all."""

    def stop(self) -> None:
        """Finish or drop what is in hand; every task still gets its outcome."""

    def close(self) -> None:
        """Nothing is in hand any more: end the workers."""

    def kill(self) -> None:
        """End at once, whatever is in hand."""
