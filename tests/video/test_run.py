"""From files to files: segments that need nothing else, and runs that end early and go on."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.video.helpers import HEIGHT, WIDTH, frames, with_sound, write_frames, write_masks, write_stream
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.options import ModelOptions
from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.media.video import open_clip
from uhrmat.media.video.encode import StreamWriter
from uhrmat.pipeline import StillPipeline
from uhrmat.video import run
from uhrmat.video.frames import ClipPipeline, FramePrior, FrameResult
from uhrmat.video.plan import plan_clip
from uhrmat.video.report import ClipReport, write_plot, write_report
from uhrmat.video.run import ClipResources, matte_clip, matte_segment
from uhrmat.video.spec import ClipSpec

CLIP = frames(7, noise=1.0)
LIGHT = ModelOptions(prior="mask", refiner="guided", precision="fp32")


@pytest.fixture
def spec(tmp_path: Path) -> ClipSpec:
    """A stream with a mask for each frame, in segments of three frames."""
    masks = write_masks(tmp_path / "masks", CLIP, 0)
    source = write_stream(tmp_path / "take.mkv", CLIP)
    return ClipSpec(source=source, output=tmp_path / "out.mkv", outputs=("alpha",), mask=masks, interval=3, model=LIGHT)


def matte(spec: ClipSpec, **options: bool) -> ClipReport:
    plan = plan_clip(spec, overwrite=True)
    return matte_clip(plan, ClipResources.load(plan), **options)


def alphas(path: Path) -> list[np.ndarray]:
    """In [0, 1]."""
    with open_clip(path) as reader:
        return [frame.picture.to_float()[..., 0] for frame in reader.frames()]


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"take.mkv", "masks"}


def test_a_clip_from_end_to_end(spec: ClipSpec, tmp_path: Path) -> None:
    done = matte(spec)
    assert left(tmp_path) == {"out.mkv"} and done.notes == []
    result = alphas(tmp_path / "out.mkv")
    assert len(result) == len(done.frames) == 7
    assert [f["key"] for f in done.frames] == [n % 3 == 0 for n in range(7)]
    for alpha, frame in zip(result, CLIP, strict=True):
        assert np.abs(alpha - frame.alpha).mean() < 0.03


def test_every_output_of_an_odd_sized_range(spec: ClipSpec, tmp_path: Path) -> None:
    wanted = replace(
        spec, output=tmp_path / "out", outputs=("alpha", "foreground", "composite"), background="lime", codec="png",
        start=2, frames=3,
    )  # fmt: skip
    matte(wanted)
    assert left(tmp_path / "out") == {"take_alpha", "take_foreground", "take_composite"}
    files = sorted((tmp_path / "out" / "take_composite").iterdir())
    assert len(files) == 3
    corner = np.asarray(Image.open(files[0]))[0, -1]
    assert corner.tolist() == [0, 255, 0] or CLIP[2].alpha[0, -1] > 0
    assert np.asarray(Image.open(next((tmp_path / "out" / "take_foreground").iterdir()))).shape == (HEIGHT, WIDTH, 4)


def test_one_frame(spec: ClipSpec, tmp_path: Path) -> None:
    assert len(matte(replace(spec, frames=1)).frames) == 1
    assert len(alphas(tmp_path / "out.mkv")) == 1


def test_segments_need_nothing_of_each_other(spec: ClipSpec, tmp_path: Path) -> None:
    matte(spec)
    whole = (tmp_path / "out.mkv").read_bytes()
    plan = plan_clip(spec, overwrite=True)
    plan.work.begin(plan.settings, False)
    for segment in reversed(plan.segments):
        matte_segment(plan, segment, ClipResources.load(plan))
    run.finish_clip(plan)
    assert (tmp_path / "out.mkv").read_bytes() == whole


@pytest.mark.parametrize("limit", [None, 8 << 30])
def test_a_prior_runs_beside_the_refiner_unless_memory_is_limited(
    spec: ClipSpec, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    """Without a limit, the second prior begins though the first refinement has not ended; with one, no prior is being
    computed while that refinement runs, and none begins."""
    second, beside = threading.Event(), list[bool]()
    begun, ended = list[int](), list[int]()
    find_prior, refine = ClipPipeline.find_prior, ClipPipeline.refine

    def noted(self: ClipPipeline, picture: Picture, number: int, hints: Hints) -> FramePrior:
        begun.append(number)
        if number == 1:
            second.set()
        prior = find_prior(self, picture, number, hints)
        ended.append(number)
        return prior

    def waiting(self: ClipPipeline, frame: FramePrior, **options: Any) -> FrameResult:
        if frame.number == 0 and limit is None:
            beside.append(second.wait(120))
        elif frame.number == 0:
            already = list(begun)
            time.sleep(0.5)
            beside.append(begun != already or ended != already)
        return refine(self, frame, **options)

    monkeypatch.setattr(ClipPipeline, "find_prior", noted)
    monkeypatch.setattr(ClipPipeline, "refine", waiting)
    matte(replace(spec, end=2, model=replace(LIGHT, max_memory=limit)))
    assert beside == [limit is None]


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


def test_a_sequence_keeps_its_numbers(tmp_path: Path) -> None:
    pictures, trimaps = write_frames(tmp_path, CLIP)
    matte(
        ClipSpec(
            source=pictures, trimap=trimaps, start=2, frames=2, model=ModelOptions(refiner="bilinear", working_size=40)
        )
    )
    names = [path.name for path in sorted((tmp_path / "shot_alpha").iterdir())]
    assert names == ["shot_1003.png", "shot_1004.png"]
    known = CLIP[2].trimap != 128
    alpha = np.asarray(Image.open(tmp_path / "shot_alpha" / names[0]))
    assert np.array_equal(alpha[known], CLIP[2].trimap[known])


def test_the_sound_of_a_clip_that_becomes_stills_lies_beside_them(spec: ClipSpec, tmp_path: Path) -> None:
    with_sound(spec.source)
    done = matte(replace(spec, output=tmp_path / "out", codec="png"))
    assert [n for n in done.notes if "sound" in n] == [f"the sound, 7 packets untouched, is in {tmp_path / 'out.mka'}"]
    import av

    with av.open(str(tmp_path / "out.mka")) as container:
        assert next(p.pts * p.time_base for p in container.demux(audio=0) if p.size) == 0
    part = matte(replace(spec, output=tmp_path / "part", codec="png", start=2, frames=3))
    assert "3 packets" in next(n for n in part.notes if "sound" in n)


def test_a_mask_of_the_first_frame_is_propagated_by_flow(spec: ClipSpec, tmp_path: Path) -> None:
    Image.fromarray((CLIP[0].alpha > 0.5).astype(np.uint8) * 255).save(tmp_path / "first.png")
    model = ModelOptions(refiner="guided", working_size=48)
    done = matte(replace(spec, mask=tmp_path / "first.png", propagation="flow", model=model))
    assert done.plan.hints.propagated and len(done.frames) == 7
    for alpha, frame in zip(alphas(tmp_path / "out.mkv"), CLIP, strict=True):
        result, truth = alpha > 0.5, frame.alpha > 0.5
        assert (result & truth).sum() / (result | truth).sum() > 0.85


def test_the_report_has_every_frame_and_a_plot(spec: ClipSpec, tmp_path: Path) -> None:
    path, plot = write_report(tmp_path / "r.json", matte(spec))
    assert str(tmp_path) not in path.read_text() and spec.source.name in path.read_text()
    result = json.loads(path.read_text())
    assert len(result["frames"]) == 7 and 0 <= result["reuse_share"] <= 1 and result["cuts"] == []
    assert {"active_share", "reuse_share", "seconds", "cut"} <= set(result["frames"][0])
    with Image.open(plot) as image:
        assert len(image.getcolors(1 << 20) or []) > 3


def test_without_matplotlib_the_report_has_no_plot(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uhrmat.video.report.can_plot", lambda: False)
    assert write_report(tmp_path / "r.json", matte(spec)) == (tmp_path / "r.json",)
    assert not (tmp_path / "r.png").exists()


def pixels(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def test_doubtful_frames_are_shaded_in_the_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        {"number": at, "active_share": 0.1, "reuse_share": 0.5, "seconds": {"prior": 1.0}, "confidence": 0.9,
         "propagation": "sure"} for at in range(6)
    ]  # fmt: skip
    amber = []
    for state in ("sure", "doubtful", "lost"):
        rows[3]["propagation"] = state
        write_plot(tmp_path / "plot.png", rows, [])
        pixels = np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).astype(int)
        amber.append(int((pixels[..., 0] - pixels[..., 2] > 40).sum()))
    assert amber[0] < 100 < amber[1] == amber[2]


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
