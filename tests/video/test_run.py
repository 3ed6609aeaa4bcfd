"""From files to files: outputs, ranges, sound and reports, and segments that need nothing of each other."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.video.helpers import HEIGHT, WIDTH, with_sound, write_frames
from tests.video.masked_clip import CLIP, LIGHT, alphas, left, masked_clip, matte
from uhrmat.core.options import ModelOptions
from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.video import run
from uhrmat.video.frames import ClipPipeline, FramePrior, FrameResult
from uhrmat.video.plan import plan_clip
from uhrmat.video.report import write_plot, write_report
from uhrmat.video.run import ClipResources, matte_segment
from uhrmat.video.spec import ClipSpec


@pytest.fixture
def spec(tmp_path: Path) -> ClipSpec:
    return masked_clip(tmp_path)


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
