"""Folders small enough for tests, and a worker's stand-in that needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from uhrmat.batch.executors.inline import InlineExecutor
from uhrmat.batch.find import BatchItem, Selection
from uhrmat.batch.hints import HintFolders
from uhrmat.batch.report import Summary
from uhrmat.batch.run import BatchRun, run_batch
from uhrmat.batch.settings import Settings
from uhrmat.batch.tasks import TaskResult, WorkerTask
from uhrmat.core.options import ModelOptions

LIGHT = ModelOptions(prior="mask", refiner="bilinear", precision="fp32", device="cpu", threads=1)
DIGESTS = {"still": "s", "clip": "c"}


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (48, 32)) -> Path:
    """A picture of noise, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mask(path: Path, size: tuple[int, int] = (48, 32)) -> Path:
    """A mask with a soft edge."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.clip(np.linspace(-100, 355, size[0]), 0, 255).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (size[1], 1))).save(path)
    return path


def clip(folder: Path, name: str = "take.mkv", count: int = 7) -> Path:
    """A stream of `count` frames of 48 × 32, as FFV1."""
    import av

    folder.mkdir(parents=True, exist_ok=True)
    still = np.random.default_rng(5).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    with av.open(str(folder / name), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgr0"  # type: ignore[union-attr]
        for number in range(count):
            frame = np.roll(still, 2 * number, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))  # type: ignore[union-attr]
        container.mux(stream.encode(None))  # type: ignore[union-attr]
    return folder / name


def clip_masks(folder: Path, count: int = 7) -> Path:
    """A mask for each frame."""
    for number in range(count):
        mask(folder / f"{number:04d}.png")
    return folder


def tree(root: Path, stills: int = 4) -> tuple[Path, Path]:
    """(inputs, masks): stills in two folders and a clip of three segments."""
    for number in range(stills):
        below = "a" if number % 2 else "."
        photo(root / "in" / below / f"p{number}.png", number)
        mask(root / "masks" / below / f"p{number}.png")
    clip(root / "in" / "b")
    clip_masks(root / "masks" / "b" / "take")
    return root / "in", root / "masks"


def light(**changed: Any) -> Settings:
    """Settings whose prior and refiner take no time."""
    values = {"model": LIGHT, "given": ("mask",), "codec": "ffv1", "interval": 3, "outputs": ("alpha",)}
    return Settings(**{**values, **changed})


def batch_run(root: Path, out: str = "out", settings: Settings | None = None, **chosen: Any) -> BatchRun:
    """A run over `root`/in with `root`/masks."""
    hints = HintFolders({"mask": str(root / "masks")})
    return BatchRun(
        roots=[root / "in"], out=root / out, settings=settings or light(), selection=Selection(**chosen), hints=hints
    )


def files(folder: Path) -> dict[str, str]:
    """Everything that is no bookkeeping: path → hash."""
    result = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith((".uhrmat/", "failures")):
            result[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return result


def item(tmp_path: Path, key: str = "a.png") -> BatchItem:
    """An item whose file is there."""
    return BatchItem(key=key, source=photo(tmp_path / "in" / key), kind="still", size=10)


class FakeExecutor:
    """Returns the result that `answer` makes of each task, in the order of submission; keeps the tasks in `tasks`."""

    def __init__(self, respond: Callable[[WorkerTask], TaskResult], slots: int = 3) -> None:
        self._answer, self._slots = respond, slots
        self.tasks: list[WorkerTask] = []
        self._flying: list[WorkerTask] = []
        self.stopped, self.workers = False, 1

    @property
    def room(self) -> int:
        return self._slots - len(self._flying)

    def submit(self, task: WorkerTask) -> None:
        assert self.room > 0
        self.tasks.append(task)
        self._flying.append(task)

    def wait(self, timeout: float) -> list[TaskResult]:
        return [self._answer(self._flying.pop(0))] if self._flying else []

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        pass

    def kill(self) -> None:
        pass


def write_result(task: WorkerTask) -> TaskResult:
    """A done still: its file holds the name of its source."""
    path = Path(task.folder) / f"{Path(task.source).stem}_alpha.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(task.source)
    return TaskResult(id=task.id, status="done", value={"files": {"alpha": str(path)}})


Events = list[dict[str, Any]]


def done(run: BatchRun, emit: Callable[[dict[str, Any]], None] = lambda event: None) -> Summary:
    """The summary of a run in this process."""
    return run_batch(run, lambda: InlineExecutor(run.settings), emit)[0]


def begun(events: Events) -> list[str]:
    """Keys of the items that a run began, from its events."""
    return [event["item"] for event in events if event["event"] == "begin"]
