"""What a clip gives, and what is refused before any work."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from tests.video.helpers import frames, with_sound, write_frames, write_stream
from uhrmat import InputError, OutputError, UhrmatError
from uhrmat.core.options import ModelOptions
from uhrmat.video.plan import SHORT_SIDE, frame_range, parse_rate, plan_clip
from uhrmat.video.segments import Segment, split
from uhrmat.video.spec import ClipSpec

CLIP = frames(5)


@pytest.fixture
def shot(tmp_path: Path) -> ClipSpec:
    pictures, trimaps = write_frames(tmp_path, CLIP)
    return ClipSpec(source=pictures, trimap=trimaps)


@pytest.fixture
def stream(tmp_path: Path) -> ClipSpec:
    path = write_stream(tmp_path / "take.mkv", CLIP)
    Image.fromarray(CLIP[0].trimap).save(tmp_path / "first.png")
    return ClipSpec(source=path, trimap=tmp_path / "first.png")


def test_segments_cover_the_range_once() -> None:
    assert list(split(3, 10, 3)) == [Segment(0, 3, 6), Segment(1, 6, 9), Segment(2, 9, 10)]


def test_a_sequence_gives_a_sequence_beside_it(shot: ClipSpec) -> None:
    plan = plan_clip(shot)
    assert plan.codec.name == "png" and (plan.start, plan.stop) == (0, 5)
    assert [t.path.name for t in plan.targets] == ["shot_alpha"] and not plan.hints.propagated
    assert plan.side == SHORT_SIDE and plan.prior == "closed-form+knn" and not plan.needs_foreground


def test_a_stream_gives_its_alpha_beside_it_and_both_into_a_file_that_carries_alpha(stream: ClipSpec) -> None:
    beside = plan_clip(stream)
    assert beside.targets[0].path == stream.source.with_name("take_alpha.mov") and beside.hints.propagated
    into = plan_clip(replace(stream, output=stream.source.with_name("out.mov")))
    assert into.codec.name == "prores4444" and [t.content for t in into.targets] == ["foreground"]
    grey = plan_clip(replace(stream, output=stream.source.with_name("out.mp4")))
    assert grey.codec.name == "h264" and [t.content for t in grey.targets] == ["alpha"]


def test_several_outputs_lie_in_a_folder(stream: ClipSpec) -> None:
    wanted = replace(
        stream, output=stream.source.parent / "out", outputs=("alpha", "foreground"), background="white", codec="ffv1"
    )
    plan = plan_clip(wanted)
    assert [t.path.name for t in plan.targets] == ["take_alpha.mkv", "take_foreground.mkv", "take_composite.mkv"]
    assert plan.needs_foreground


def test_numbers_of_hints_are_those_of_the_frames(shot: ClipSpec) -> None:
    assert shot.trimap is not None
    (shot.trimap / "trimap_1003.png").unlink()
    plan = plan_clip(replace(shot, start=1, frames=3))
    assert sorted(plan.hints.keys) == [1, 3] and plan.hints.propagated
    with pytest.raises(InputError, match="no trimap for the first frame, number 1003"):
        plan_clip(replace(shot, start=2, propagation="flow"))
    assert min(plan_clip(replace(shot, start=2)).hints.keys) == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": Path("x.png")}, "Both --trimap and --mask"),
        ({"trimap": Path("nowhere.png")}, "does not exist"),
        ({"source": Path("nowhere.mp4")}, "nowhere.mp4"),
        ({"start": 5}, "do not exist"),
        ({"end": 3, "frames": 3}, "Both --end and --frames"),
        ({"interval": 0}, "interval"),
        ({"codec": "divx"}, "no codec"),
        ({"codec": "h264", "outputs": ("foreground",)}, "carries no alpha"),
        ({"outputs": ("alfa",)}, "no output named 'alfa'"),
        ({"outputs": ()}, "No output"),
        ({"outputs": ("composite",)}, "background"),
        ({"output": Path("out.mov"), "outputs": ("alpha", "foreground")}, "One file cannot hold"),
        ({"output": Path("out.mov"), "codec": "vp9"}, "cannot be written to"),
        ({"bits": 12}, "12 bits"),
        ({"model": ModelOptions(prior="mask")}, "mask"),
        ({"model": ModelOptions(prior="nonsense")}, "nonsense"),
    ],
)
def test_refusals(stream: ClipSpec, changes: dict[str, object], message: str) -> None:
    with pytest.raises(UhrmatError, match=message):
        plan_clip(replace(stream, **changes))  # type: ignore[arg-type]


def test_what_exists_is_kept_unless_it_may_go(stream: ClipSpec) -> None:
    stream.source.with_name("take_alpha.mov").touch()
    with pytest.raises(OutputError, match="exists"):
        plan_clip(stream)
    assert plan_clip(stream, overwrite=True) and plan_clip(stream, resume=True)


def test_the_input_is_no_output(stream: ClipSpec) -> None:
    with pytest.raises(OutputError, match="would replace an input"):
        plan_clip(replace(stream, output=stream.source), overwrite=True)


def test_settings_are_those_that_show_in_the_frames(stream: ClipSpec) -> None:
    same, *others = (plan_clip(x) for x in (stream, replace(stream, threshold=0.1), replace(stream, averaged=False)))
    assert plan_clip(stream).settings == same.settings
    assert len({same.settings, *(other.settings for other in others)}) == 3


def test_ranges() -> None:
    spec = ClipSpec(source=Path("x"), start=2)
    assert frame_range(spec, 9) == (2, 9)
    assert frame_range(replace(spec, frames=3), 9) == (2, 5)
    assert frame_range(replace(spec, end=99), 9) == (2, 9)


def test_rates() -> None:
    assert parse_rate("30000/1001") == Fraction(30000, 1001)
    for wrong in ("x", "0", "1/0", "-3"):
        with pytest.raises(InputError, match="rate"):
            parse_rate(wrong)


@pytest.mark.parametrize(("name", "beside"), [("out.webm", "out.mka"), ("f_%04d.png", "f.mka")])
def test_sound_that_will_lie_beside_the_output_replaces_nothing_unasked(
    stream: ClipSpec, name: str, beside: str
) -> None:
    with_sound(stream.source)
    wanted = replace(stream, output=stream.source.with_name(name))
    stream.source.with_name(beside).write_bytes(b"a recording")
    with pytest.raises(OutputError, match=f"{beside} exists"):
        plan_clip(wanted)
    assert plan_clip(wanted, overwrite=True).info.has_audio
    assert plan_clip(replace(wanted, output=stream.source.with_name("out.mov"))).info.has_audio  # holds it itself


def test_a_rate_on_a_file_is_the_rate_of_the_job(stream: ClipSpec) -> None:
    with_sound(stream.source)
    plan = plan_clip(replace(stream, rate=Fraction(12)))
    assert (plan.info.rate, plan.info.duration, plan.info.has_audio) == (12, 5 / 12, False)
