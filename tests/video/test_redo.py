"""Frames that are matted again inside finished outputs: what changes, what stays byte for byte, what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.video.helpers import frames, with_sound, write_masks, write_stream
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.options import ModelOptions
from uhrmat.media.video import open_clip
from uhrmat.video import propagate, redo
from uhrmat.video.existing import find_existing, hints_of_range
from uhrmat.video.frames import ClipPipeline, FramePrior, FrameResult
from uhrmat.video.hints import ClipHints
from uhrmat.video.plan import plan_clip
from uhrmat.video.prompts import parse_frame_prompts
from uhrmat.video.propagation import clip
from uhrmat.video.propagation.params import PropagationTrainingParams
from uhrmat.video.propagation.states import TrackedMask, key_trust
from uhrmat.video.ranges import merge_ranges, parse_ranges
from uhrmat.video.redo import redo_clip
from uhrmat.video.report import ClipReport
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

CLIP = frames(9, noise=1.0)
LIGHT = ModelOptions(prior="mask", refiner="guided", precision="fp32")
TINY = PropagationTrainingParams(steps=2, further_steps=1, batch=2, side=64)


@pytest.fixture
def spec(tmp_path: Path) -> ClipSpec:
    """A stream with a mask for each frame, in segments of three frames."""
    masks = write_masks(tmp_path / "masks", CLIP, 0)
    source = write_stream(tmp_path / "take.mkv", CLIP)
    return ClipSpec(
        source=source, output=tmp_path / "out.mkv", codec="ffv1", outputs=("alpha",), mask=masks, interval=3,
        model=LIGHT,
    )  # fmt: skip


def matte(spec: ClipSpec, **options: bool) -> ClipReport:
    plan = plan_clip(spec, overwrite=True)
    resources = ClipResources.load(plan)
    if spec.redo:
        return redo_clip(plan, resources, find_existing(plan), **options)
    return matte_clip(plan, resources, **options)


def other_masks(spec: ClipSpec, *numbers: int) -> None:
    """New masks of some frames: a disc that no frame shows."""
    rows, columns = np.indices(CLIP[0].alpha.shape)
    disc = np.clip(12.5 - np.hypot(rows - 20, columns - 70), 0, 1)
    for number in numbers:
        Image.fromarray(np.rint(255 * disc).astype(np.uint8)).save(Path(spec.mask or "") / f"m{number:04d}.png")


def stills(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def alphas(path: Path) -> list[np.ndarray]:
    with open_clip(path) as reader:
        return [frame.picture.to_float()[..., 0] for frame in reader.frames()]


def packets(path: Path, kind: str = "video") -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0] if kind == "video" else container.streams.audio[0]
        return [(p.pts * Fraction(p.time_base), bytes(p)) for p in container.demux(stream) if p.size]


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("120-180", ((120, 180),)),
        ("7", ((7, 7),)),
        ("30-42, 7", ((7, 7), (30, 42))),
        ("0-3,4-5,5-9,11", ((0, 9), (11, 11))),
    ],
)
def test_ranges_are_read(text: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse_ranges(text) == ranges == merge_ranges(ranges)


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "1-2-3", "1.5", "3,,4", "٣"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no range of frames"):
        parse_ranges(text)


def test_a_range_backward_is_refused() -> None:
    with pytest.raises(InputError, match=r"180-120' ends before it begins.*Give '120-180'\."):
        parse_ranges("180-120")


@pytest.mark.parametrize(("ranges", "new"), [(((3, 5),), {3, 4, 5}), (((4, 4),), {4}), (((0, 1), (8, 8)), {0, 1, 8})])
@pytest.mark.parametrize("content", ["alpha", "foreground"])
def test_stills_outside_the_ranges_keep_their_bytes(
    spec: ClipSpec, tmp_path: Path, ranges: tuple[tuple[int, int], ...], new: set[int], content: str
) -> None:
    wanted = replace(spec, codec="png", output=tmp_path / "out", outputs=(content,))
    matte(wanted)
    before = stills(tmp_path / "out")
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    other_masks(spec, *range(9))
    done = matte(replace(wanted, redo=ranges))
    after = stills(tmp_path / "out")
    changed = {name for name in after if after[name] != before[name]}
    assert after.keys() == before.keys() and changed == {f"take_{number:06d}.png" for number in new}
    kept = [path for path in (tmp_path / "out").iterdir() if path.name not in changed]
    assert all(times[path.name] == path.stat().st_mtime_ns for path in kept)
    assert [frame["number"] for frame in done.frames] == sorted(new) and done.count == len(new)
    assert not list(tmp_path.glob(".*")) and not list((tmp_path / "out").glob(".*"))
    assert "all others are as they were" in done.notes[-1]
    one = sorted(new)[0]
    picture = np.asarray(Image.open(tmp_path / "out" / f"take_{one:06d}.png"))
    alpha = picture[..., 3] if content == "foreground" else picture
    assert alpha[20, 70] == 255 and alpha[60, 5] == 0


@pytest.mark.parametrize(
    ("codec", "suffix", "content"),
    [("ffv1", ".mkv", "alpha"), ("prores4444", ".mov", "foreground"), ("prores4444", ".mkv", "alpha")],
)
def test_packets_outside_the_range_are_those_of_before(
    spec: ClipSpec, tmp_path: Path, codec: str, suffix: str, content: str
) -> None:
    with_sound(spec.source)
    out = tmp_path / f"cut{suffix}"
    wanted = replace(spec, codec=codec, output=out, outputs=(content,), start=1)
    matte(wanted)
    before, sound = packets(out), packets(out, "audio")
    other_masks(spec, *range(9))
    matte(replace(wanted, redo=((3, 4), (6, 6))))
    after = packets(out)
    assert [time for time, _ in after] == [time for time, _ in before] and len(after) == 8
    changed = [at + 1 for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    assert changed == [3, 4, 6] and packets(out, "audio") == sound
    whole = out.read_bytes()
    matte(replace(wanted, redo=((3, 4), (6, 6))))
    assert out.read_bytes() == whole, "again is the same"
    matte(replace(wanted, redo=((1, 8),)))
    fresh = replace(wanted, output=tmp_path / f"fresh{suffix}")
    matte(fresh)
    assert out.read_bytes() == (tmp_path / f"fresh{suffix}").read_bytes(), "all frames again are a new run"


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9"])
def test_codecs_of_differences_keep_whole_segments(spec: ClipSpec, tmp_path: Path, codec: str) -> None:
    out = tmp_path / ("cut.webm" if codec == "vp9" else "cut.mp4")
    wanted = replace(spec, codec=codec, output=out)
    matte(wanted)
    before, seen = packets(out), alphas(out)
    other_masks(spec, *range(9))
    with pytest.raises(OutputError, match=r"--redo '3-4' cannot keep.*Give --redo '3-5'\."):
        matte(replace(wanted, redo=((3, 4),)))
    assert packets(out) == before
    matte(replace(wanted, redo=((4, 5),)))
    after = packets(out)
    assert [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new] == [4, 5]
    for at, (old, new) in enumerate(zip(seen, alphas(out), strict=True)):
        assert np.array_equal(old, new) == (at not in (4, 5)), at
    matte(replace(wanted, redo=((7, 8),)))  # to the end, anywhere


def write_mask(folder: Path, number: int) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray((CLIP[number].alpha > 0.5).astype(np.uint8) * 255).save(folder / f"k{number:04d}.png")


@pytest.mark.parametrize("propagation", ["network", "flow"])
def test_a_new_key_frame_counts_and_the_frames_beside_it_join_on(
    spec: ClipSpec, tmp_path: Path, propagation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    write_mask(keys, 0)
    model = ModelOptions(refiner="guided", precision="fp32", working_size=48, device="cpu")
    wanted = replace(
        spec, mask=keys, model=model, training=TINY, propagation=propagation, codec="png", output=tmp_path / "out",
        interval=60,
    )  # fmt: skip
    matte(wanted)
    before = stills(tmp_path / "out")
    write_mask(keys, 5)
    states: list[tuple[str, int, float]] = []
    trained: list[list[int]] = []
    monkeypatch.setattr(propagate, "write_state", spied(propagate.write_state, states))
    train = clip.train_on_keys
    monkeypatch.setattr(clip, "train_on_keys", lambda keys, *rest: trained.append(list(keys)) or train(keys, *rest))
    done = matte(replace(wanted, redo=((3, 6),)))
    after = stills(tmp_path / "out")
    assert {name for name in after if after[name] != before[name]} <= {f"take_{n:06d}.png" for n in range(3, 7)}
    assert after["take_000005.png"] != before["take_000005.png"]
    assert states == ([("forward", 2, 0.5)] if propagation == "network" else [])
    assert trained == ([[0, 2, 5, 7]] if propagation == "network" else [])  # 2 and 7 are the finished mattes beside
    if propagation == "network":
        assert [frame["confidence"] == 1 for frame in done.frames] == [False, False, True, False]
    for number in () if propagation == "network" else (3, 5, 6):  # two steps of training find nothing
        result = np.asarray(Image.open(tmp_path / "out" / f"take_{number:06d}.png")) > 127
        truth = CLIP[number].alpha > 0.5
        assert (result & truth).sum() / (result | truth).sum() > 0.8, number


def spied(inner: Callable[..., None], calls: list[tuple[str, int, float]]) -> Callable[..., None]:
    def write(folder: Path, direction: str, index: int, tracked: TrackedMask) -> None:
        calls.append((direction, index, tracked.trust))
        inner(folder, direction, index, tracked)

    return write


def test_hints_of_a_range() -> None:
    keys = {0: Path("a"), 5: Path("b"), 9: Path("c")}
    hints = ClipHints(kind="mask", keys=keys, propagated=True)
    beside = {2: Path("x"), 9: Path("y")}
    joined = hints_of_range(hints, (3, 8), beside)
    assert joined.own_keys == [0, 5] and [key_trust(joined, at) for at in (0, 2, 5, 9)] == [1, 0.5, 1, 0.5]
    mattes = replace(joined, keys=beside)
    assert mattes.own_keys == [2, 9] and key_trust(mattes, 2) == key_trust(mattes, 9) == 1
    assert joined.keys == {0: Path("a"), 2: Path("x"), 5: Path("b"), 9: Path("y")} and joined.mattes == {2, 9}
    alone = hints_of_range(hints, (5, 5), beside)
    assert alone.keys == {5: Path("b")} and not alone.propagated and not alone.mattes
    box = parse_frame_prompts(boxes=["1,2,9,9:5"])[5]
    marked = replace(hints, keys={0: Path("a"), 2: Path(), 5: Path()}, prompts={2: box, 5: box})
    drawn = hints_of_range(marked, (5, 5), beside)  # no file yet: propagated, though the only frame has it
    assert drawn.propagated and drawn.keys == {0: Path("a"), 2: Path("x"), 5: Path(), 9: Path("y")}
    assert drawn.prompts == {5: box} and drawn.mattes == {2, 9}  # the finished matte takes the place of a box
    assert drawn.files() == [Path("a"), Path("x"), Path("y")]
    whole = ClipHints(kind="mask", keys={n: Path("m") for n in range(9)})
    assert hints_of_range(whole, (3, 4), {}) is whole


def refuse(spec: ClipSpec, text: str, error: type[Exception] = OutputError) -> None:
    with pytest.raises(error, match=text):
        matte(spec)


def test_what_cannot_be_redone_is_refused_and_nothing_changes(spec: ClipSpec, tmp_path: Path) -> None:
    again = replace(spec, redo=((3, 4),))
    refuse(again, r"no alpha '.*out\.mkv' in which frames could be matted again")
    matte(spec)
    before = (tmp_path / "out.mkv").read_bytes()
    refuse(replace(again, redo=((7, 9),)), r"--redo '7-9' leaves the frames 0 to 8.*from 0 to 8", InputError)
    refuse(replace(again, end=8), r"holds 9 frames that are not the 8 of the clip")
    refuse(replace(again, start=2), r"holds 9 frames that are not the 7")
    refuse(replace(again, bits=16), r"made with other settings: pixel format gray in place of gray16le")
    refuse(replace(again, codec="prores4444"), r"made with other settings: codec ffv1 in place of prores")
    refuse(replace(again, mask=Path(spec.mask or "") / "m0003.png"), "does not say which frame it is for", InputError)
    other = tmp_path / "other.mkv"
    write_stream(other, CLIP)
    refuse(replace(again, output=other), "made with other settings: pixel format")
    assert (tmp_path / "out.mkv").read_bytes() == before and not list(tmp_path.glob(".*"))


def test_stills_that_do_not_fit_are_refused(spec: ClipSpec, tmp_path: Path) -> None:
    wanted = replace(spec, codec="png", output=None, outputs=("alpha", "foreground"))
    refuse(replace(wanted, redo=((3, 4),)), "no alpha .*take_alpha' in which")
    matte(wanted)
    refuse(replace(wanted, redo=((3, 4),), outputs=("alpha",)), r"take_foreground' was made of.*--outputs alpha,foregr")
    refuse(replace(wanted, redo=((3, 4),), bits=16), "take_alpha' was made with other settings: bits 8 in place of 16")
    (tmp_path / "take_foreground" / "take_000008.png").unlink()
    refuse(replace(wanted, redo=((3, 4),)), r"1 of the 9 stills of '.*take_foreground' are missing, first take_000008")


def test_numbers_of_files_are_explained(tmp_path: Path) -> None:
    folder = tmp_path / "shot"
    folder.mkdir()
    for frame in CLIP[:4]:
        Image.fromarray(frame.image).save(folder / f"s{1001 + frame.number}.png")
    masks = write_masks(tmp_path / "masks", CLIP[:4])
    spec = ClipSpec(source=folder, mask=masks, model=LIGHT, redo=((1002, 1003),))
    with pytest.raises(InputError, match="the files 1002 to 1003 are frames 1-2"):
        plan_clip(spec)
    matte(replace(spec, redo=()))
    before = stills(tmp_path / "shot_alpha")
    Image.fromarray(np.full((66, 98), 255, np.uint8)).save(masks / "m1003.png")
    matte(replace(spec, redo=((1, 2),)))
    after = stills(tmp_path / "shot_alpha")
    assert {name for name in after if after[name] != before[name]} <= {"s1002.png", "s1003.png"}
    assert after["s1003.png"] != before["s1003.png"]


@pytest.mark.parametrize("codec", ["png", "ffv1"])
def test_a_redo_that_ends_early_changes_nothing_and_goes_on(
    spec: ClipSpec, tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(spec, codec=codec, output=tmp_path / ("out" if codec == "png" else "out.mkv"))

    def content() -> object:
        return stills(tmp_path / "out") if codec == "png" else (tmp_path / "out.mkv").read_bytes()

    matte(wanted)
    before = content()
    other_masks(spec, *range(9))
    again = replace(wanted, redo=((1, 2), (5, 7)))
    inner, computed = ClipPipeline.refine, list[int]()

    def refine(self: ClipPipeline, frame: FramePrior, **options: Any) -> FrameResult:
        computed.append(frame.number)
        if frame.number == 6 and computed.count(6) == 1:
            raise KeyboardInterrupt
        return inner(self, frame, **options)

    monkeypatch.setattr(ClipPipeline, "refine", refine)
    with pytest.raises(KeyboardInterrupt):
        matte(again)
    assert content() == before
    computed.clear()
    computed.append(6)
    done = matte(again, resume=True)
    assert content() != before and computed[1:3] == [5, 6] and done.kept >= 2
    resumed = content()
    matte(again)
    assert content() == resumed and not list(tmp_path.glob(".*"))


def test_a_move_that_fails_leaves_every_old_still(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = replace(spec, codec="png", output=None, outputs=("alpha", "foreground"))
    matte(wanted)
    before = stills(tmp_path / "take_alpha"), stills(tmp_path / "take_foreground")
    other_masks(spec, *range(9))
    moved, inner = list[str](), os.replace

    def failing(source: object, target: object) -> None:
        if Path(str(target)).suffix == ".png" and Path(str(target)).parent.name == "take_foreground":
            moved.append(str(target))
            if len(moved) == 2:
                raise OSError(5, "Input/output error")
        inner(source, target)  # type: ignore[arg-type]

    monkeypatch.setattr("uhrmat.core.stage.os.replace", failing)
    with pytest.raises(OutputError, match="Input/output error"):
        matte(replace(wanted, redo=((3, 5),)))
    assert (stills(tmp_path / "take_alpha"), stills(tmp_path / "take_foreground")) == before and len(moved) >= 2


def test_an_output_that_changes_meanwhile_is_left_alone(
    spec: ClipSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matte(spec)
    inner = redo.matte_segments

    def then_touched(*rest: object, **named: object) -> object:
        result = inner(*rest, **named)  # type: ignore[arg-type]
        os.utime(tmp_path / "out.mkv", (1, 1))
        return result

    monkeypatch.setattr(redo, "matte_segments", then_touched)
    before = (tmp_path / "out.mkv").read_bytes()
    refuse(replace(spec, redo=((3, 4),)), "out.mkv' was changed or replaced", InputError)
    assert (tmp_path / "out.mkv").read_bytes() == before
