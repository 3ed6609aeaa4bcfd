"""What does the work: networks loaded once; files loaded, matted and written side by side.

`Worker.run` may be called from SLOTS threads at once. Only one of them mattes at a time; meanwhile the next file is
read and the last one written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from uhrmat.batch.context import Dropped, WorkerContext
from uhrmat.batch.manifest import digest
from uhrmat.batch.settings import Settings, fingerprint
from uhrmat.batch.tasks import TaskResult, WorkerTask, failed_result
from uhrmat.core.devices import gpu_failure
from uhrmat.core.errors import InputError, MemoryBudgetError
from uhrmat.core.memory import memory_limit
from uhrmat.image.load import load
from uhrmat.image.photo import matte_photo
from uhrmat.image.plan import plan
from uhrmat.refine.memory.budget import set_workers_per_device

SLOTS = 3
"""Tasks that a worker holds at once: one that is read, one that is matted, one that is written."""


class Worker:
    """Does the tasks of a run with the networks loaded once. `run` raises nothing.

    Args:
        settings: of the run.
        index: of this worker on its machine, from 0: where there are several GPUs, each worker takes one of its own.
        workers: on this machine; those that have a device in common share its memory.

    Raises:
        InputError: settings that cannot work.
        WeightsError: weights that cannot be had.
    """

    def __init__(self, settings: Settings, index: int = 0, workers: int = 1) -> None:
        device, devices = _device(settings.model.device, index)
        self.context = WorkerContext(settings, device)
        set_workers_per_device(len(range(index % devices, workers, devices)))
        self.context.pipeline().prepare(frozenset(settings.given))
        self._run_clip_task: Callable[[WorkerTask], dict[str, Any]] | None = None

    def run(self, task: WorkerTask) -> TaskResult:
        """Does a task; whatever goes wrong is in the result."""
        context = self.context
        try:
            context.check()
            with memory_limit(context.settings.model.max_memory, context.pipeline().device):
                value = _with_checksums(self._still(task) if task.kind == "still" else self._clip_task(task))
        except Dropped:
            return TaskResult(id=task.id, status="dropped")
        except Exception as error:
            return failed_result(task.id, error)
        return TaskResult(id=task.id, status="done", value=value)

    def stop(self) -> None:
        """A still that is being matted is finished, a clip's segment is left, tasks that wait are dropped."""
        self.context.stopped.set()

    def close(self) -> None:
        """Ends the prior's process."""
        self.context.prior.close()

    def _still(self, task: WorkerTask) -> dict[str, Any]:
        context, settings, photo = self.context, self.context.settings, Path(task.source)
        spec = replace(settings.spec, overwrite=task.replace)
        hints = {name: Path(path) for name, path in task.hints.items()}
        image = plan(
            [photo], spec, folder=Path(task.folder), trimap=hints.get("trimap"), mask=hints.get("mask"),
            plate=hints.get("plate"), alpha=hints.get("alpha"), key=settings.key, prior=settings.prior,
            radius=settings.radius,
            resize=settings.resize, max_pixels=settings.max_pixels,
        )[0]  # fmt: skip
        try:
            loaded = load(image, settings.resize, settings.max_pixels)
        except MemoryBudgetError:  # no room beside the photograph that is being matted: wait for that one
            with context.computing:
                loaded = load(image, settings.resize, settings.max_pixels)
        check_unchanged(task)
        report = matte_photo(
            context.pipeline(), image, loaded, spec, background=context.background, computing=_turn(context)
        )  # fmt: skip
        return {"files": {name: str(path) for name, path in report.files.items()}, "stats": report.stats.as_dict()}

    def _clip_task(self, task: WorkerTask) -> dict[str, Any]:
        if self._run_clip_task is None:
            from uhrmat.batch.segments import ClipTasks  # loads PyAV, which photographs do not need

            self._run_clip_task = ClipTasks(self.context).run
        return self._run_clip_task(task)


@contextmanager
def _turn(context: WorkerContext) -> Iterator[None]:
    """Hold the right to compute. Raises Dropped where the run was stopped meanwhile."""
    with context.computing:
        context.check()
        yield


def _with_checksums(value: dict[str, Any]) -> dict[str, Any]:
    """With the SHA-256 of each file, if there are files."""
    if "files" not in value:
        return value
    return {**value, "sha256": {name: digest(Path(path)) for name, path in value["files"].items()}}


def check_unchanged(task: WorkerTask) -> None:
    """Raises InputError where the task's files are not what they were when it was submitted."""
    paths = [Path(task.source), *(Path(task.hints[name]) for name in sorted(task.hints))]
    if fingerprint(paths) != task.body["input"]:
        raise InputError(f"{task.source} changed while it was read.", "Run again when nothing writes to it.")


def _device(name: str, index: int) -> tuple[str, int]:
    """The device of the worker `index`, and over how many devices the workers are spread."""
    if name != "auto":
        return name, 1
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    own = f"cuda:{index % count}" if count > 1 else name
    return (own, count) if count > 1 and not gpu_failure(own) else (name, max(1, count))
