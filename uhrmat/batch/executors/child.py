"""A worker in a process of its own: JSON lines with tasks on standard input, with results on standard output.

It ends at once when its input ends, even in the middle of a file: its parent is gone then.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any

from uhrmat.batch.settings import Settings
from uhrmat.batch.tasks import WorkerTask
from uhrmat.core.errors import UhrmatError
from uhrmat.core.startup import fast_import

if TYPE_CHECKING:  # loads torch, after `fast_import()` only
    from uhrmat.batch.worker import Worker


class _Replies:
    """Writes whole lines from any thread; ends the process when nobody reads them any more."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._lock = file, threading.Lock()

    def __call__(self, message: dict[str, Any]) -> None:
        with self._lock:
            try:
                self._file.write(json.dumps(message) + "\n")
                self._file.flush()
            except BrokenPipeError:
                os._exit(1)


class _Notes(logging.Handler):
    def __init__(self, reply: _Replies) -> None:
        super().__init__(logging.INFO)
        self._reply = reply

    def emit(self, record: logging.LogRecord) -> None:
        self._reply({"note": record.getMessage()})


def main() -> None:
    """Runs tasks until standard input ends. What libraries print goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives it, too, and sends what to do
    reply = _Replies(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    logger = logging.getLogger("uhrmat")
    logger.setLevel(logging.INFO)
    logger.addHandler(_Notes(reply))
    config = json.loads(sys.stdin.readline())
    try:
        with fast_import():
            from uhrmat.batch.worker import SLOTS, Worker

        worker = Worker(Settings.from_dict(config["settings"]), config["index"], config["workers"])
    except UhrmatError as error:
        reply({"refused": [error.message, error.hint]})
        return
    reply({"ready": os.getpid()})
    pool = ThreadPoolExecutor(SLOTS)
    for line in sys.stdin:
        message = json.loads(line)
        if "task" in message:
            pool.submit(_run_task, worker, WorkerTask(**message["task"]), reply)
        else:
            worker.stop()
    os._exit(0)


def _run_task(worker: Worker, task: WorkerTask, reply: _Replies) -> None:
    reply({"result": worker.run(task).as_dict()})
