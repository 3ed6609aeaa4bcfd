"""Runs that `kill -9` ends while masks are propagated or frames are matted: resumed, they give the same bytes."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.video.helpers import frames, write_stream
from uhrmat.core.options import ModelOptions
from uhrmat.video.existing import find_existing
from uhrmat.video.plan import plan_clip
from uhrmat.video.propagation.params import PropagationTrainingParams
from uhrmat.video.redo import redo_clip
from uhrmat.video.report import ClipReport
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

CLIP = frames(7)
TINY = PropagationTrainingParams(steps=3, further_steps=1, batch=2, side=64)
WHEN = {
    "training": ("torch.optim.AdamW", "step", 2),
    "tracking": ("uhrmat.video.propagation.clip", "write_state", 2),
    "frames": ("uhrmat.video.frames.ClipPipeline", "refine", 5),
}
"""Moment → what is called for the so manieth time when the process is killed."""
THIRD_FRAME = ("uhrmat.video.frames.ClipPipeline", "refine", 3)
KILLED = """
import functools, os, pickle, signal, sys
from pathlib import Path
from pydoc import locate
spec, owner, name, count, redo = pickle.loads(bytes.fromhex(sys.argv[1]))
from uhrmat.video import redo as redo_module, run
from uhrmat.video.existing import find_existing
from uhrmat.video.plan import plan_clip
import torch, uhrmat.video.propagation.clip
place = locate(owner)
inner, calls = getattr(place, name), []
@functools.wraps(inner)
def counted(*rest, **named):
    calls.append(1)
    if len(calls) == count:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(*rest, **named)
setattr(place, name, counted)
plan = plan_clip(spec, overwrite=True)
resources = run.ClipResources.load(plan)
if redo:
    redo_module.redo_clip(plan, resources, find_existing(plan))
else:
    run.matte_clip(plan, resources)
"""


def make_spec(folder: Path) -> ClipSpec:
    """Masks of frames 0 and 5 of seven, in segments of four, so that masks go both ways between them."""
    (folder / "keys").mkdir()
    for at in (0, 5):
        Image.fromarray((CLIP[at].alpha > 0.5).astype(np.uint8) * 255).save(folder / "keys" / f"k{at}.png")
    return ClipSpec(
        source=write_stream(folder / "take.mkv", CLIP), output=folder / "out", outputs=("alpha", "foreground"),
        codec="png", mask=folder / "keys", interval=4, training=TINY, apart=True,
        model=ModelOptions(refiner="guided", precision="fp32", working_size=48, device="cpu"),
    )  # fmt: skip


@pytest.fixture
def spec(tmp_path: Path) -> ClipSpec:
    return make_spec(tmp_path)


def matte(spec: ClipSpec, *, resume: bool = False) -> ClipReport:
    plan = plan_clip(spec, overwrite=True)
    resources = ClipResources.load(plan)
    if spec.redo:
        return redo_clip(plan, resources, find_existing(plan), resume=resume)
    return matte_clip(plan, resources, resume=resume)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def kill(spec: ClipSpec, moment: tuple[str, str, int]) -> None:
    words = pickle.dumps((spec, *moment, bool(spec.redo))).hex()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", KILLED, words], capture_output=True, text=True, env=environment)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a run that nothing has ended."""
    folder = tmp_path_factory.mktemp("unbroken")
    matte(make_spec(folder))
    return files(folder / "out")


@pytest.mark.parametrize("moment", WHEN)
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    spec: ClipSpec, tmp_path: Path, unbroken: dict[str, bytes], moment: str
) -> None:
    kill(spec, WHEN[moment])
    work = next((tmp_path / "out").glob(".*.uhrmat"))
    network = work / "hints" / "network.safetensors"
    assert network.is_file() == (moment != "training")
    weights = network.read_bytes() if network.is_file() else b""
    done = matte(spec, resume=True)
    assert len(done.frames) == 7 and not any("begun anew" in note for note in done.notes)
    resumed = files(tmp_path / "out")
    assert set(resumed) == {f"take_{kind}/take_{at:06d}.png" for kind in ("alpha", "foreground") for at in range(7)}
    if moment == "frames":
        assert done.kept >= 1 and weights
    assert unbroken == resumed


def test_a_redo_that_was_killed_changes_nothing_and_goes_on(spec: ClipSpec, tmp_path: Path) -> None:
    matte(spec)
    before = files(tmp_path / "out")
    Image.fromarray((CLIP[3].alpha > 0.7).astype(np.uint8) * 255).save(tmp_path / "keys" / "k3.png")
    again = replace(spec, redo=((1, 4),))
    kill(again, THIRD_FRAME)
    left = {name: content for name, content in files(tmp_path / "out").items() if ".uhrmat" not in name}
    assert left == before
    matte(again, resume=True)
    resumed = files(tmp_path / "out")
    changed = {name for name in resumed if resumed[name] != before[name]}
    assert resumed.keys() == before.keys() and changed
    assert all(int(name[-10:-4]) in range(1, 5) for name in changed)
    matte(again)
    assert files(tmp_path / "out") == resumed
