"""Ray actors: one for each GPU of the cluster, or for each share of its processors; Ray places them.

All nodes must see the same files under the same paths and have uhrmat installed. An actor that is lost with its node
loses its own tasks only, and is replaced as soon as Ray has room for another.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from uhrmat.batch.settings import Settings
from uhrmat.batch.tasks import TaskResult, WorkerTask
from uhrmat.core.children import protect_children
from uhrmat.core.errors import InputError, UhrmatError

SLOTS = 3
"""Tasks per actor, see `worker.SLOTS`; repeated here because that module loads torch."""
_CPU_SHARE = 4
"""Processors of an actor without a GPU, unless `threads` is given."""
_TIMEOUT = 300.0
"""Seconds to wait while no actor is ready."""


def need_ray() -> None:
    """Raises InputError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise InputError("Ray is not installed.", "Install it with `pip install 'uhrmat[ray]'`, here and on all nodes.")


class Remote:
    """A `Worker` on a node, behind methods that Ray can call. Made by `RayExecutor`."""

    def __init__(self, settings: dict[str, Any], folder: str) -> None:
        from uhrmat.batch.worker import Worker

        if os.path.isdir(folder):
            os.chdir(folder)  # paths in the settings may begin there
        self._refused: tuple[str, str] | None = None
        try:
            self._worker = Worker(Settings.from_dict(settings))
        except UhrmatError as error:
            self._refused = error.message, error.hint

    def ready(self) -> tuple[str, str] | None:
        """None, or the message and hint of the error that the worker raised at its start."""
        return self._refused

    def run(self, task: dict[str, Any]) -> dict[str, Any]:
        """See `Worker.run`, with plain values."""
        return self._worker.run(WorkerTask(**task)).as_dict()

    def stop(self) -> None:
        """See `Worker.stop`."""
        self._worker.stop()


class _Actor:
    def __init__(self, handle: Any, ready: Any) -> None:
        self.handle, self.beginning, self.tasks = handle, ready, dict[Any, WorkerTask]()


class RayExecutor:
    """Runs tasks on Ray actors; see `base.Executor`.

    Args:
        settings: of the run.
        jobs: number of actors; None: as many as fit.
        address: of the head node; None: RAY_ADDRESS, or this machine alone.
        note: receives a line about the number of actors.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(
        self, settings: Settings, jobs: int | None = None, address: str | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        need_ray()
        import ray

        self._ray = ray
        self._own = not ray.is_initialized()
        if self._own:
            _connect(ray, address)
        cluster: Any = ray  # its functions are not typed
        options, fitting = _layout([n["Resources"] for n in cluster.nodes() if n["Alive"]], settings)
        threads = settings.model.threads or max(1, int(options["num_cpus"]))
        self._settings = replace(settings, model=replace(settings.model, threads=threads)).as_dict()
        self._class = ray.remote(Remote).options(max_concurrency=SLOTS + 1, max_restarts=0, **options)
        self.workers = max(1, jobs or fitting)
        note(f"{self.workers} actors, each with {options['num_cpus']:g} processors and {options['num_gpus']:g} GPUs")
        self._pending: deque[WorkerTask] = deque()
        self._ended: list[TaskResult] = []
        self._stopped, self._alive = False, time.monotonic()
        self._actors = [self._make() for _ in range(self.workers)]

    @property
    def room(self) -> int:
        """SLOTS for each actor, less the tasks that have not ended."""
        return self.workers * SLOTS - len(self._pending) - sum(len(actor.tasks) for actor in self._actors)

    def submit(self, task: WorkerTask) -> None:
        """See `base.Executor`."""
        self._pending.append(task)
        self._distribute()

    def wait(self, timeout: float) -> list[TaskResult]:
        """See `base.Executor`. Raises InputError for what actors refuse, UhrmatError where Ray has no room for any."""
        refs = {ref: actor for actor in self._actors for ref in (actor.beginning, *actor.tasks) if ref is not None}
        ready, _ = self._ray.wait(list(refs), num_returns=1, timeout=timeout) if refs else ([], [])
        for ref in ready:
            self._receive(refs[ref], ref)
        if all(actor.beginning is not None for actor in self._actors):
            if time.monotonic() - self._alive > _TIMEOUT:
                what = f"Ray had no room for any actor for {_TIMEOUT:.0f} s."
                raise UhrmatError(what, "Look at `ray status`: are there free processors or GPUs?")
        else:
            self._alive = time.monotonic()
        self._distribute()
        results, self._ended = self._ended, []
        return results

    def _receive(self, actor: _Actor, ref: Any) -> None:
        if actor not in self._actors:
            return
        try:
            value = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            self._replace_lost(actor, type(error).__name__)
            return
        if ref == actor.beginning:
            actor.beginning = None
            if value is not None:
                raise InputError(*value)
        else:
            del actor.tasks[ref]
            self._ended.append(TaskResult(**value))

    def _replace_lost(self, actor: _Actor, why: str) -> None:
        """Handles an actor whose node or process is gone: its tasks are lost, and another actor is requested."""
        self._actors.remove(actor)
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(actor.handle)
        self._ended += [TaskResult(id=task.id, status="lost", error=why) for task in actor.tasks.values()]
        if not self._stopped:
            self._actors.append(self._make())
        elif not self._actors:
            self._drop_pending()

    def _distribute(self) -> None:
        while self._pending:
            task = self._pending[0]
            free = [actor for actor in self._actors if actor.beginning is None and _takes(actor, task)]
            if not free:
                return
            actor = min(free, key=lambda actor: len(actor.tasks))
            actor.tasks[actor.handle.run.remote(task.as_dict())] = self._pending.popleft()

    def _make(self) -> _Actor:
        handle: Any = self._class.remote(self._settings, os.getcwd())
        return _Actor(handle, handle.ready.remote())

    def _drop_pending(self) -> None:
        self._ended += [TaskResult(id=task.id, status="dropped") for task in self._pending]
        self._pending.clear()

    def stop(self) -> None:
        """See `base.Executor`."""
        self._stopped = True
        self._drop_pending()
        for actor in self._actors:
            actor.handle.stop.remote()

    def close(self) -> None:
        """Ends the actors, and disconnects from the cluster if this executor connected to it."""
        for actor in self._actors:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor.handle)
        if self._own:
            self._ray.shutdown()

    def kill(self) -> None:
        """The same as `close`: Ray ends actors at once."""
        self.close()


def _takes(actor: _Actor, task: WorkerTask) -> bool:
    crowded = any(held.alone for held in actor.tasks.values())
    return not actor.tasks if task.alone else len(actor.tasks) < SLOTS and not crowded


def _connect(ray: Any, address: str | None) -> None:
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    protect_children()
    try:
        with _in_neutral_folder():
            ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=False if address is
                     None and "RAY_ADDRESS" not in os.environ else None)  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            f"Ray's cluster {address or 'here'} cannot be reached: {str(error).splitlines()[0]}",
            "Start it with `ray start --head`, and give its address.",
        ) from error


@contextmanager
def _in_neutral_folder() -> Iterator[None]:
    """Makes the interpreter's folder the current one: Ray puts the current folder first on the `sys.path` of all
    workers, where a file named like a module, such as `tempfile.py`, would run."""
    folder = os.getcwd()
    os.chdir(os.path.dirname(sys.executable))
    try:
        yield
    finally:
        os.chdir(folder)


def _layout(nodes: list[dict[str, float]], settings: Settings) -> tuple[dict[str, float], int]:
    """Resources of an actor, and how many fit: one for each GPU, unless `device` is "cpu".

    An actor with a GPU gets its share of its node's processors, in whole ones from one upwards: the least share of all
    nodes with GPUs, so that each of them has room for an actor per GPU.

    Args:
        nodes: Ray's resources of each node.
        settings: of the run.
    """
    with_gpus = [node for node in nodes if node.get("GPU", 0.0) >= 1]
    if with_gpus and settings.model.device != "cpu":
        share = min(node.get("CPU", 0.0) / int(node["GPU"]) for node in with_gpus)
        whole = float(int(share)) if share >= 1 else share
        return {"num_cpus": whole, "num_gpus": 1.0}, sum(int(node["GPU"]) for node in with_gpus)
    cpus = [node.get("CPU", 0.0) for node in nodes]
    share = max(1.0, float(min(settings.model.threads or _CPU_SHARE, max([1.0, *cpus]))))
    return {"num_cpus": share, "num_gpus": 0.0}, sum(int(count // share) for count in cpus)
