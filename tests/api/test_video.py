"""Clips frame by frame from Python: the alphas that `uhrmat video` writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.video.helpers import frames, write_frames, write_stream
from uhrmat import InputError, MattedFrame, MattingPipeline, Progress
from uhrmat.core.options import ModelOptions
from uhrmat.hints.files import read_alpha
from uhrmat.video.iterate import iterate_clip
from uhrmat.video.plan import plan_clip
from uhrmat.video.propagation.params import PropagationTrainingParams
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

CLIP = frames(4)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    with MattingPipeline(refiner="guided", precision="fp32", working_size=40, device="cpu") as made:
        yield made


def test_frames_are_those_that_the_command_writes(tmp_path: Path, pipeline: MattingPipeline) -> None:
    clip, mask = write_stream(tmp_path / "c.mkv", CLIP), tmp_path / "m.png"
    Image.fromarray((CLIP[0].alpha > 0.5).astype(np.uint8) * 255).save(mask)
    model = ModelOptions(refiner="guided", precision="fp32", working_size=40, device="cpu")
    plan = plan_clip(
        ClipSpec(
            source=clip,
            output=tmp_path / "a_%04d.png",
            outputs=("alpha",),
            bits=16,
            mask=mask,
            model=model,
            propagation="flow",
        )
    )
    matte_clip(plan, ClipResources.load(plan))
    written = [read_alpha(path) for path in sorted(tmp_path.glob("a_*.png"))]
    got = list(pipeline.video(clip, mask=mask, foreground=False, propagation="flow"))
    assert [frame.index for frame in got] == [0, 1, 2, 3]
    for frame, alpha in zip(got, written, strict=True):
        assert isinstance(frame, MattedFrame) and frame.foreground is None
        assert np.abs(frame.alpha - alpha).max() < 2e-3


@pytest.mark.parametrize("kind", ["array", "mapping", "folder"])
def test_hints_as_arrays_and_files_mean_the_same(kind: str, tmp_path: Path, pipeline: MattingPipeline) -> None:
    pictures, trimaps = write_frames(tmp_path, CLIP)
    hint: Any = {
        "array": CLIP[0].trimap,
        "mapping": {frame.number: frame.trimap for frame in CLIP},
        "folder": trimaps,
    }[kind]
    got = list(pipeline.video(pictures, trimap=hint, rate=25, propagation="flow"))
    assert len(got) == len(CLIP)
    for frame, truth in zip(got, CLIP, strict=True):
        assert frame.foreground is not None and np.abs(frame.alpha - truth.alpha).mean() < 0.1
    assert "MattedFrame(0, 0.000 s" in repr(got[0])


def test_part_of_a_clip_and_progress(tmp_path: Path, pipeline: MattingPipeline) -> None:
    steps: list[Progress] = []
    clip = write_stream(tmp_path / "c.mkv", CLIP)
    got = list(
        pipeline.video(clip, mask={1: CLIP[1].alpha > 0.5}, start=1, stop=3, propagation="flow", progress=steps.append)
    )
    assert [frame.index for frame in got] == [1, 2]
    assert steps[0].stage == "propagate" and (steps[-1].stage, steps[-1].done, steps[-1].total) == ("frame", 2, 2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mask": "nowhere.png"}, "nowhere.png"),
        ({"mask": {}}, "empty mapping"),
        ({"mask": {2: np.ones((66, 98), bool)}, "propagation": "flow"}, "first frame"),
        ({"mask": {9: np.ones((66, 98), bool)}}, "no mask for a frame from 0 to 3"),
        ({"trimap": CLIP[0].trimap, "mask": CLIP[0].alpha > 0.5}, "trimap and a mask"),
        ({"start": 9}, "9"),
        ({"mask": CLIP[0].alpha > 0.5, "key": "green"}, r"two kinds|Give one"),
        ({"rate": 0}, "0"),
    ],
)
def test_what_cannot_work_is_refused_before_the_first_frame(
    options: dict[str, Any], text: str, tmp_path: Path, pipeline: MattingPipeline
) -> None:
    clip = write_stream(tmp_path / "c.mkv", CLIP)
    with pytest.raises(InputError, match=text) as caught:
        pipeline.video(clip, **options)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize("form", ["mapping", "folder", "clip"])
def test_some_frames_again_join_on_to_earlier_mattes(
    form: str, tmp_path: Path, pipeline: MattingPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame 1 is matted from the finished mattes of frames 0 and 2 alone: these are discs that no frame shows."""
    clip = write_stream(tmp_path / "c.mkv", CLIP)
    rows, columns = np.indices(CLIP[0].alpha.shape)
    disc = np.clip(12.5 - np.hypot(rows - 20, columns - 70), 0, 1).astype(np.float32)
    previous: Any = {0: disc, 2: disc}
    if form != "mapping":
        previous = tmp_path / ("old" if form == "folder" else "old.mkv")
        grey = np.repeat(np.rint(255 * disc).astype(np.uint8)[..., None], 3, 2)
        if form == "clip":
            write_stream(previous, [replace(frame, image=grey) for frame in CLIP])
        else:
            previous.mkdir()
            for number in (0, 2):
                Image.fromarray(grey[..., 0]).save(previous / f"o{number}.png")
    keys = {3: CLIP[3].alpha > 0.5}
    got = list(pipeline.video(clip, mask=keys, foreground=False, propagation="flow", redo="1", previous=previous))
    assert [frame.index for frame in got] == [1]
    flow = got[0].alpha
    assert flow[20, 70] > 0.9, "what frame 0 showed goes on"
    alone = pipeline.video(clip, mask={**keys, 1: CLIP[1].alpha > 0.5}, foreground=False, redo="1,3", previous=previous)
    for frame in alone:
        assert np.abs(frame.alpha - CLIP[frame.index].alpha).mean() < 0.1, "each has its own mask"
    assert alone.doubtful == alone.lost == [] and alone.best_hint_frame is None


def test_frames_say_how_certain_they_are(tmp_path: Path, pipeline: MattingPipeline) -> None:
    """The last two frames show something else, as after a cut."""
    other = [replace(frame, image=np.flipud(255 - frame.image).copy()) for frame in CLIP[2:]]
    clip = write_stream(tmp_path / "c.mkv", [*CLIP[:2], *other])
    training = PropagationTrainingParams(steps=2, batch=2, side=64)
    got = iterate_clip(pipeline._open(), clip, {"mask": {0: CLIP[0].alpha > 0.5}}, training=training, foreground=False)
    frames = [next(got)]
    assert (frames[0].stats.confidence, frames[0].stats.propagation) == (1.0, "sure") and got.doubtful == []
    frames += got
    states = [frame.stats.propagation for frame in frames]
    assert states[1] == "sure" and {"doubtful", "lost"} & set(states[2:])
    assert all(0 <= (frame.stats.confidence or 0) <= 1 for frame in frames)
    assert got.doubtful == [at for at, state in enumerate(states) if state == "doubtful"]
    assert got.lost == [at for at, state in enumerate(states) if state == "lost"]
    assert got.best_hint_frame in {*got.doubtful, *got.lost}
    by_flow = list(pipeline.video(clip, mask=CLIP[0].alpha > 0.5, foreground=False, propagation="flow"))
    assert by_flow[1].stats.confidence is None and "confidence" not in by_flow[1].stats.as_dict()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"mask": np.ones((66, 98), bool), "redo": "1-2"},
            r"With `redo`, `mask` must say which frame.*mask=\{frame: arr",
        ),
        ({"mask": {0: CLIP[0].alpha > 0.5}, "redo": "1-4"}, r'`redo="1-4"` leaves the frames 0 to 3'),
        ({"mask": {0: CLIP[0].alpha > 0.5}, "redo": "3-1"}, r'`redo="3-1"` ends before it begins'),
        ({"mask": {0: CLIP[0].alpha > 0.5}, "redo": "2"}, r'No hint reaches frame 2, the first of `redo="2"`'),
        ({"mask": {0: np.ones((66, 98), bool)}, "previous": {0: np.ones((66, 98))}}, r"`redo`, which is missing"),
    ],
)
def test_ranges_that_cannot_be_matted_again_are_refused(
    options: dict[str, Any], text: str, tmp_path: Path, pipeline: MattingPipeline
) -> None:
    clip = write_stream(tmp_path / "c.mkv", CLIP)
    with pytest.raises(InputError, match=text) as caught:
        pipeline.video(clip, **options)
    assert "--" not in str(caught.value)
