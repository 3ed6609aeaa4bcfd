"""Runs that end early and go on, whose inputs change on the way, or that meet another run."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.video.masked_clip import CLIP, left, masked_clip, matte, pixels
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.options import ModelOptions
from uhrmat.media.video.encode import StreamWriter
from uhrmat.pipeline import StillPipeline
from uhrmat.video import run
from uhrmat.video.frames import ClipPipeline, FramePrior, FrameResult
from uhrmat.video.plan import plan_clip
from uhrmat.video.run import ClipResources, matte_segment
from uhrmat.video.spec import ClipSpec


@pytest.fixture
def spec(tmp_path: Path) -> ClipSpec:
    return masked_clip(tmp_path)


def test_a_killed_run_goes_on_and_gives_the_same_bytes(spec: ClipSpec, tmp_path: Path) -> None:
    matte(spec)
    whole = (tmp_path / "out.mkv").read_bytes()
    (tmp_path / "out.mkv").unlink()
    code = f"""
import os, signal
from pathlib import Path
from uhrmat.core.options import ModelOptions
from uhrmat.video import run
from uhrmat.video.plan import plan_clip
from uhrmat.video.spec import ClipSpec
inner = run.ClipPipeline.refine
def refine(self, frame, **named):
    if frame.number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return inner(self, frame, **named)
run.ClipPipeline.refine = refine
spec = ClipSpec(source=Path({str(spec.source)!r}), output=Path({str(spec.output)!r}), outputs=("alpha",),
    mask=Path({str(spec.mask)!r}), interval=3, model={spec.model!r})
plan = plan_clip(spec)
run.matte_clip(plan, run.ClipResources.load(plan))
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True)
    assert killed.returncode < 0, killed.stderr
    assert left(tmp_path) == {".out.mkv.uhrmat"}
    done = matte(spec, resume=True)
    assert done.kept == 3 and len(done.frames) == 7
    assert left(tmp_path) == {"out.mkv"} and (tmp_path / "out.mkv").read_bytes() == whole


def test_stale_work_is_not_resumed(spec: ClipSpec, tmp_path: Path) -> None:
    plan = plan_clip(spec)
    plan.work.begin(plan.settings, False)
    matte_segment(plan, plan.segments[0], ClipResources.load(plan))
    other = matte(replace(spec, threshold=0.2), resume=True)
    assert other.kept == 0 and "begun anew" in other.notes[0]


def test_without_resume_work_left_behind_is_removed(spec: ClipSpec) -> None:
    plan = plan_clip(spec)
    plan.work.begin(plan.settings, False)
    (plan.work.folder / "old").touch()
    assert matte(spec).kept == 0 and not plan.work.folder.exists()


def interrupt(
    spec: ClipSpec, monkeypatch: pytest.MonkeyPatch, at: int, before: Callable[[], None] = lambda: None
) -> None:
    """A run that Ctrl-C ends while frame `at` is matted, when `before` has returned."""
    inner = ClipPipeline.refine

    def refine(self: ClipPipeline, frame: FramePrior, **named: Any) -> FrameResult:
        if frame.number == at:
            before()
            raise KeyboardInterrupt
        return inner(self, frame, **named)

    with monkeypatch.context() as patched:
        patched.setattr(ClipPipeline, "refine", refine)
        with pytest.raises(KeyboardInterrupt):
            matte(spec)


def test_an_interrupt_leaves_nothing_under_the_final_name(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(spec, monkeypatch, 5)
    assert left(tmp_path) == {".out.mkv.uhrmat"}
    assert matte(spec, resume=True).kept == 3


def test_a_full_disk_leaves_nothing_under_the_final_name(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: StreamWriter, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(StreamWriter, "write", full)
    with pytest.raises((OutputError, OSError), match="No space left"):
        matte(spec)
    assert "out.mkv" not in left(tmp_path)
    assert not list((tmp_path / ".out.mkv.uhrmat").glob("segment*"))


def break_off(spec: ClipSpec, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """A run that Ctrl-C ends while frame `at` is matted, the frames before written."""

    def written() -> None:
        journal = plan_clip(spec, resume=True).work.folder
        until = time.monotonic() + 120
        while len(list(journal.glob("*-frames/*.npz"))) < at % spec.interval:
            assert time.monotonic() < until, "the frames before are not written"
            time.sleep(0.01)

    interrupt(spec, monkeypatch, at, written)


def refined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each frame whose pixels are refined."""
    result: list[int] = []
    inner = StillPipeline.refine

    def counted(self: StillPipeline, *rest: object) -> object:
        result.append(1)
        return inner(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(StillPipeline, "refine", counted)
    return result


@pytest.mark.parametrize("content", ["alpha", "foreground"])
def test_a_sequence_goes_on_after_its_last_whole_frame(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    wanted = replace(spec, codec="png", interval=6, outputs=(content,), output=tmp_path / "out")
    matte(wanted)
    whole = pixels(tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    break_off(wanted, monkeypatch, at=4)
    assert len(pixels(tmp_path / "out")) == 4
    computed = refined(monkeypatch)
    done = matte(wanted, resume=True)
    assert (done.kept, len(done.frames), len(computed)) == (4, 7, 3)
    assert [f["number"] for f in done.frames] == list(range(7)) and done.notes == []
    assert pixels(tmp_path / "out") == whole and not done.plan.work.folder.exists()


def test_a_still_that_is_gone_is_made_again(spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = replace(spec, codec="png", interval=6, output=tmp_path / "out")
    matte(wanted)
    whole = pixels(tmp_path / "out")
    break_off(wanted, monkeypatch, at=4)
    sorted((tmp_path / "out").iterdir())[1].unlink()
    folder = next(plan_clip(wanted, resume=True).work.folder.glob("*-frames"))
    (folder / "000003.npz").write_bytes(b"cut off")
    assert matte(wanted, resume=True).kept == 1
    assert pixels(tmp_path / "out") == whole


def test_a_matte_clip_that_is_refined_goes_on_with_the_softness_of_its_first_frame(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How soft the matte is, is found once in a segment, so that a frame that is restored must say it again."""
    monkeypatch.setattr("uhrmat.pipeline.estimate_blur", lambda *_: 0.7)
    mattes = tmp_path / "mattes"
    mattes.mkdir()
    for frame in CLIP:
        half = cv2.resize(frame.alpha, (49, 33), interpolation=cv2.INTER_AREA)
        Image.fromarray(np.rint(255 * half).astype(np.uint8)).save(mattes / f"m{frame.number}.png")
    wanted = replace(
        spec, codec="png", interval=6, output=tmp_path / "out", mask=None, alpha=mattes,
        model=ModelOptions(refiner="shm", precision="fp32", device="cpu"),
    )  # fmt: skip
    done = matte(wanted)
    assert [frame["matte_blur"] for frame in done.frames] == [0.7] * 7
    whole = pixels(tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    break_off(wanted, monkeypatch, at=4)
    assert matte(wanted, resume=True).kept == 4 and pixels(tmp_path / "out") == whole


def swapped(path: Path) -> None:
    """Another file of the same name, moved into place."""
    other = path.with_name(f"other{path.suffix}")
    other.write_bytes(path.read_bytes() + b"\0")
    other.replace(path)


@pytest.mark.parametrize("at", [1, 4, 6])
@pytest.mark.parametrize("which", ["source", "mask", "background"])
def test_an_input_that_is_replaced_on_the_way_is_not_mixed(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, at: int
) -> None:
    behind = tmp_path / "behind.png"
    Image.new("RGB", (8, 8)).save(behind)
    wanted = replace(spec, outputs=("composite",), background=str(behind))
    assert spec.mask is not None
    path = {"source": spec.source, "mask": sorted(spec.mask.iterdir())[1], "background": behind}[which]
    inner = ClipPipeline.refine

    def refine(self: ClipPipeline, frame: FramePrior, **named: Any) -> FrameResult:
        if frame.number == at:
            swapped(path)
        return inner(self, frame, **named)

    plan = plan_clip(wanted)
    monkeypatch.setattr(ClipPipeline, "refine", refine)
    with pytest.raises(InputError, match=rf"{path.name}' was changed or replaced"):
        run.matte_clip(plan, ClipResources.load(plan))
    assert "out.mkv" not in left(tmp_path)
    assert plan.work.report(plan.segments[at // spec.interval]) is None
    monkeypatch.undo()
    assert matte(wanted, resume=True).kept == 0


def test_a_clip_that_is_replaced_before_joining_is_not_mixed(spec: ClipSpec, tmp_path: Path) -> None:
    plan = plan_clip(spec)
    plan.work.begin(plan.settings, False)
    for segment in plan.segments:
        matte_segment(plan, segment, ClipResources.load(plan))
    spec.source.unlink()
    with pytest.raises(InputError, match="changed or replaced"):
        run.finish_clip(plan)
    assert "out.mkv" not in left(tmp_path) and plan.work.folder.is_dir()


def test_a_work_folder_is_for_one_run_at_a_time(spec: ClipSpec, tmp_path: Path) -> None:
    first, second = plan_clip(spec), plan_clip(spec)
    with first.work.locked():
        first.work.begin(first.settings, False)
        matte_segment(first, first.segments[0], ClipResources.load(first))
        with pytest.raises(
            OutputError, match=rf"Another run is at work in .*\.out\.mkv\.uhrmat: process {os.getpid()}"
        ):
            run.matte_clip(second, ClipResources.load(second))
        assert first.work.report(first.segments[0]) is not None
        assert run.matte_clip(first, ClipResources.load(first), resume=True).kept == 3
    assert left(tmp_path) == {"out.mkv"}
    assert len(matte(replace(spec, output=tmp_path / "other.mkv")).frames) == 7


def test_the_lock_of_a_dead_run_counts_no_more(spec: ClipSpec, tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from uhrmat.video.work import WorkFolder
with WorkFolder(Path({str(plan_clip(spec).work.folder)!r})).locked():
    os._exit(9)
"""
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 9
    assert (tmp_path / ".out.mkv.uhrmat" / "lock").exists()
    assert matte(spec).kept == 0 and left(tmp_path) == {"out.mkv"}
