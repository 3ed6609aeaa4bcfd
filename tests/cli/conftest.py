"""A pipeline that needs no torch: alpha is the trimap, or a ramp without one. Its calls are recorded."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from uhrmat.core.errors import InputError
from uhrmat.core.options import ModelOptions
from uhrmat.hints.read import Hints

Run = Callable[..., Result]


@dataclass
class FakeStats:
    width: int
    height: int
    active_pixels: int = 12
    active_share: float = 0.25
    prior: str = "closed-form"
    refiner: str = "shm"
    engine: str = "tiles"
    device: str = "cpu"
    precision: str = "fp32"
    working_size: tuple[int, int] = (6, 8)
    seconds: dict[str, float] = field(default_factory=lambda: {"prior": 0.5, "refine": 0.25})
    peak_memory: int = 123_000
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class FakeMatter:
    """Records its construction and calls; fails for pictures whose name starts with `bad`."""

    made: ClassVar[list[ModelOptions]] = []
    calls: ClassVar[list[SimpleNamespace]] = []

    @classmethod
    def from_options(cls, options: ModelOptions, *, solver: Any = None) -> FakeMatter:
        if options.prior == "nonsense":
            raise InputError("There is no prior named 'nonsense'.", "Choose auto.")
        FakeMatter.made.append(options)
        return cls()

    def warm_up(self) -> None:
        """Nothing to be warmed up."""

    def prepare(self, given: frozenset[str]) -> None:
        if not given:
            raise InputError("Nothing says what the foreground is.", "Give --trimap, or a coarse --mask.")

    def matte(
        self, image: Any, *, hints: Hints, foreground: bool = True, prefetched: Any = None, keep_empty: bool = False
    ) -> SimpleNamespace:
        trimap = hints.trimap if hints.mask is None else None  # the user's own
        named = {name: getattr(hints, name) for name in ("mask", "plate", "key", "alpha")}
        FakeMatter.calls.append(
            SimpleNamespace(image=image, trimap=trimap, foreground=foreground, prefetched=prefetched, **named)
        )
        name = image.info.path.name
        if name.startswith("bad"):
            raise InputError("The picture is bad.", "Take another.")
        if name.startswith("bug"):
            raise ZeroDivisionError("division by zero")
        if name.startswith("stop"):
            raise KeyboardInterrupt
        height, width = image.pixels.shape[:2]
        ramp = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (height, width))
        alpha = ramp if trimap is None else trimap.astype(np.float32) / 255
        return SimpleNamespace(
            alpha=np.ascontiguousarray(alpha),
            foreground=image.pixels.copy() if foreground else None,
            prior_alpha=alpha,
            active=(alpha > 0) & (alpha < 1),
            trimap=trimap,
            stats=FakeStats(width, height),
            picture=image,
            given=frozenset() if trimap is None else frozenset({"trimap"}),
        )


@pytest.fixture
def matter(monkeypatch: pytest.MonkeyPatch) -> type[FakeMatter]:
    """Puts the fake in the place of `uhrmat.pipeline`."""
    module = ModuleType("uhrmat.pipeline")
    module.StillPipeline = FakeMatter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uhrmat.pipeline", module)
    monkeypatch.setattr(FakeMatter, "made", [])
    monkeypatch.setattr(FakeMatter, "calls", [])
    return FakeMatter


@pytest.fixture
def run(matter: type[FakeMatter], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run("image", photo, "-o", folder)`: the command line, in this process; with masks for those who give no hint."""
    from uhrmat.cli.app import app

    def invoke(*words: Any) -> Result:
        line = [str(word) for word in words]
        if line[:1] == ["image"] and line[1:] and not {"--trimap", "--mask", "--plate", "--key", "--alpha"} & set(line):
            line += ["--mask", str(_masks(tmp_path_factory.mktemp("masks"), line[1:]))]
        return CliRunner().invoke(app, line)

    return invoke


def _masks(folder: Path, words: list[str]) -> Path:
    """A folder with a mask for each photograph among the words."""
    for photo in map(Path, words):
        if os.path.isfile(photo) and photo.suffix in (".png", ".tif"):
            try:
                size = Image.open(photo).size
            except OSError:
                size = (16, 12)
            make_trimap(folder / f"{photo.stem}.png", size)
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photograph of 16 × 12 pixels with its trimap beside it: `photo.png`, `trimap.png`."""
    return make_photo(tmp_path / "photo.png")


@pytest.fixture
def trimap(photo: Path) -> Path:
    return make_trimap(photo.with_name("trimap.png"))


def make_photo(path: Path, size: tuple[int, int] = (16, 12)) -> Path:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
    return path


def make_trimap(path: Path, size: tuple[int, int] = (16, 12)) -> Path:
    columns = np.array([0, 128, 255], np.uint8)[np.arange(size[0]) * 3 // size[0]]
    Image.fromarray(np.tile(columns, (size[1], 1))).save(path)
    return path
