"""Runs tasks in this process: for notebooks, debuggers, and where no process may be started."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor

from uhrmat.batch.settings import Settings
from uhrmat.batch.tasks import TaskResult, WorkerTask


class InlineExecutor:
    """See `base.Executor`. Raises what making a `Worker` raises."""

    def __init__(self, settings: Settings) -> None:
        from uhrmat.batch.worker import SLOTS, Worker

        self._worker, self._slots, self._in_flight = Worker(settings), SLOTS, 0
        self._pool = ThreadPoolExecutor(SLOTS)
        self._ended: queue.SimpleQueue[TaskResult] = queue.SimpleQueue()
        self.workers = 1

    @property
    def room(self) -> int:
        """The free ones of a worker's SLOTS."""
        return self._slots - self._in_flight

    def submit(self, task: WorkerTask) -> None:
        """Starts the task in a thread."""
        self._in_flight += 1
        self._pool.submit(lambda: self._ended.put(self._worker.run(task)))

    def wait(self, timeout: float) -> list[TaskResult]:
        """See `base.Executor`."""
        results: list[TaskResult] = []
        try:
            results.append(self._ended.get(timeout=timeout))
            while True:
                results.append(self._ended.get_nowait())
        except queue.Empty:
            self._in_flight -= len(results)
            return results

    def stop(self) -> None:
        """See `Worker.stop`."""
        self._worker.stop()

    def close(self) -> None:
        """See `base.Executor`."""
        self._pool.shutdown()
        self._worker.close()

    def kill(self) -> None:
        """Threads cannot be killed: what is being matted is finished, but nobody waits for it."""
        self._worker.stop()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._worker.close()
