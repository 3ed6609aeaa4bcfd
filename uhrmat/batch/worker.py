"""What does the work: networks loaded once, files loaded, matted and written side by side.

`Worker.run` may be called from SLOTS threads at once. Only the matting itself is done by one at a time, so that the
next file is read and the last one written meanwhile; which is all the overlap there is to have.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uhrmat.batch.manifest import digest
from uhrmat.batch.settings import Settings, fingerprint
from uhrmat.batch.tasks import TaskResult, WorkerTask, failed
from uhrmat.core.devices import gpu_failure, peak_memory
from uhrmat.core.errors import InputError, MemoryBudgetError
from uhrmat.core.memory import memory_limit
from uhrmat.image.deliver import deliver
from uhrmat.image.load import load
from uhrmat.image.plan import plan
from uhrmat.media.composite import parse_background
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.choose import AFFINITY_PRIORS, choose_prior
from uhrmat.refine.memory.budget import set_workers_per_device

if TYPE_CHECKING:
    from uhrmat.batch.segments import Clips
    from uhrmat.prior.worker import PriorProcess

SLOTS = 3
"""Tasks that a worker has in hand: one that is read, one that is matted, one that is written."""


class Dropped(Exception):
    """The run is stopped, and this had not been begun or can be left."""


class Worker:
    """index: which of `workers` on this machine it is, so that each takes a GPU of its own where there are several;
    those that have one in common share its memory.

    Raises InputError or WeightsError for settings that cannot work; `run` raises nothing.
    """

    def __init__(self, settings: Settings, index: int = 0, workers: int = 1) -> None:
        self.settings = settings
        self.background = None if settings.background is None else parse_background(settings.background)
        self.prior = LazyPrior()
        self.computing, self.stopped = threading.Lock(), threading.Event()
        self._made: dict[tuple[Any, ...], StillPipeline] = {}
        self._device, devices = _device(settings.model.device, index)
        set_workers_per_device(len(range(index % devices, workers, devices)))
        self.matter().prepare(frozenset(settings.given))
        self._clips: Clips | None = None

    def matter(self, **changed: Any) -> StillPipeline:
        """The matter with the settings' options, but for `changed`; each is made once."""
        key = tuple(sorted(changed.items()))
        if key not in self._made:
            model, solver = replace(self.settings.model, device=self._device, **changed), None
            if (
                "prior" not in changed
                and choose_prior(self.settings.prior, frozenset(self.settings.given)).name in AFFINITY_PRIORS
            ):
                solver = self.prior.solve
            self._made[key] = StillPipeline.from_options(model, solver=solver)
        return self._made[key]

    def run(self, task: WorkerTask) -> TaskResult:
        """Does a task and says what became of it."""
        try:
            self.check()
            with memory_limit(self.settings.model.max_memory, self.matter().device):
                result = self._summed(self._still(task) if task.kind == "still" else self._of_clip(task))
        except Dropped:
            return TaskResult(task.id, "dropped")
        except Exception as error:
            return failed(task.id, error)
        return TaskResult(task.id, "done", result)

    def _summed(self, result: dict[str, Any]) -> dict[str, Any]:
        """With the SHA-256 of each file, where there are any."""
        if "files" not in result:
            return result
        return {**result, "sha256": {name: digest(Path(path)) for name, path in result["files"].items()}}

    def check(self) -> None:
        """Raises Dropped when the run is stopped."""
        if self.stopped.is_set():
            raise Dropped

    def stop(self) -> None:
        """What is being matted is finished (a clip's segment is left), what waits is dropped."""
        self.stopped.set()

    def close(self) -> None:
        """Ends the prior's process."""
        self.prior.close()

    def _still(self, task: WorkerTask) -> dict[str, Any]:
        settings, photo = self.settings, Path(task.source)
        spec = replace(settings.spec, overwrite=task.replace)
        hints = {name: Path(path) for name, path in task.hints.items()}
        job = plan(
            [photo], spec, folder=Path(task.folder), trimap=hints.get("trimap"), mask=hints.get("mask"),
            plate=hints.get("plate"), key=settings.key, prior=settings.prior, resize=settings.resize,
            max_pixels=settings.max_pixels,
        )[0]  # fmt: skip
        try:
            loaded = load(job, settings.resize, settings.max_pixels)
        except MemoryBudgetError:  # beside the photograph that is being matted; when that is finished, there is room
            with self.computing:
                loaded = load(job, settings.resize, settings.max_pixels)
        unchanged(task)
        with self.computing:
            self.check()
            matte = self.matter().matte(loaded.picture, hints=loaded.hints, foreground=settings.spec.needs_foreground)
        begun = time.perf_counter()
        files = deliver(matte, job, spec, self.background)
        seconds = {"load": loaded.seconds, **matte.stats.seconds, "write": time.perf_counter() - begun}
        stats = {**matte.stats.as_dict(), "seconds": seconds, "peak_memory": peak_memory(self._device)}
        return {"files": {name: str(path) for name, path in files.items()}, "stats": stats}

    def _of_clip(self, task: WorkerTask) -> dict[str, Any]:
        from uhrmat.batch.segments import Clips

        self._clips = self._clips or Clips(self)
        return self._clips.run(task)


def unchanged(task: WorkerTask) -> None:
    """Raises InputError where the task's files are not what they were when it was handed out."""
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


@dataclass
class LazyPrior:
    """The process of the affinity priors, started when the first one is asked for."""

    _process: PriorProcess | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def solve(self, image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        """See `affinity.solve`."""
        from uhrmat.prior.worker import PriorProcess

        with self._lock:
            self._process = self._process or PriorProcess()
        return self._process.solve(image, trimap, name)

    def close(self) -> None:
        """Ends it, if it was begun."""
        with self._lock:
            if self._process is not None:
                self._process.close()
                self._process = None
