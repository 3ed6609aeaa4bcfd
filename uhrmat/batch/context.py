"""What the threads of a worker share: settings, pipelines, the process of the affinity priors, the stop request."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np

from uhrmat.batch.settings import Settings
from uhrmat.media.composite import parse_background
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.choose import SOLVING_PRIORS, choose_prior
from uhrmat.prior.closed_form.problem import Start
from uhrmat.prior.worker import PriorProcess


class Dropped(Exception):
    """The run is stopped, and this task had not begun or can be left."""


class LazyPriorProcess:
    """The process of the affinity priors, started at the first use."""

    def __init__(self) -> None:
        self._process: PriorProcess | None = None
        self._lock = threading.Lock()

    def solve(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        """See `closed_form.solve.solve`."""
        with self._lock:
            self._process = self._process or PriorProcess()
        return self._process.solve(image, trimap, name, start)

    def close(self) -> None:
        """Ends the process if it was started."""
        with self._lock:
            if self._process is not None:
                self._process.close()
                self._process = None


class WorkerContext:
    """Shared by the threads of one worker.

    Args:
        settings: of the run.
        device: where this worker computes, see `ModelOptions.device`.

    Attributes:
        background: colour or picture of composites; None: there are none.
        prior: process of the affinity priors.
        computing: held by the one thread that mattes.
        stopped: set when the run is stopped.

    Raises:
        InputError: the background cannot be used.
    """

    def __init__(self, settings: Settings, device: str) -> None:
        self.settings, self.device = settings, device
        self.background = None if settings.background is None else parse_background(settings.background)
        self.prior = LazyPriorProcess()
        self.computing, self.stopped = threading.Lock(), threading.Event()
        self._pipelines: dict[tuple[Any, ...], StillPipeline] = {}

    def pipeline(self, **changed: Any) -> StillPipeline:
        """The pipeline of the settings' model, with some options `changed`; each is made once.

        Raises:
            InputError: options that cannot work.
            WeightsError: weights that cannot be had.
        """
        key = tuple(sorted(changed.items()))
        if key not in self._pipelines:
            model, solver = replace(self.settings.model, device=self.device, **changed), None
            given = frozenset(self.settings.given)
            if "prior" not in changed and choose_prior(self.settings.prior, given).name in SOLVING_PRIORS:
                solver = self.prior.solve
            self._pipelines[key] = StillPipeline.from_options(model, solver=solver)
        return self._pipelines[key]

    def check(self) -> None:
        """Raises Dropped when the run is stopped."""
        if self.stopped.is_set():
            raise Dropped
