"""Mask propagation by a network that is trained on the clip: pairs, training, tracking, files, reports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.video.helpers import frames, pipeline, write_stream
from tests.video.tracked import TINY, disc, key_frame, same_alpha, undecided
from uhrmat.core.errors import InputError
from uhrmat.core.options import ModelOptions
from uhrmat.hints.files import read_alpha
from uhrmat.media.video import Frame, open_clip
from uhrmat.video.hints import ClipHints
from uhrmat.video.iterate import iterate_clip
from uhrmat.video.plan import plan_clip
from uhrmat.video.propagate import propagate_segment, scaled_to_certain, trimap_of_tracked
from uhrmat.video.propagation.advice import best_hint_frame
from uhrmat.video.propagation.clip import ClipTracker
from uhrmat.video.propagation.crop import Crop, cut_out, put_back, subject_crop
from uhrmat.video.propagation.guide import SubjectGuide
from uhrmat.video.propagation.network import (
    load_base_network,
    load_network,
    network_shape,
    propagate_by_network,
    save_network,
    train_network,
)
from uhrmat.video.propagation.pairs import KeyFrame, PairMaker, inpaint_background, key_crop
from uhrmat.video.propagation.params import PAIRS, TRACKING, PropagationTrainingParams
from uhrmat.video.propagation.report import frame_figures, propagation_notes
from uhrmat.video.propagation.states import TrackedMask, blend_directions, network_file, read_state, write_state
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.segments import Segment
from uhrmat.video.spec import ClipSpec

CLIP = frames(7)


def test_pairs_show_the_subject_where_the_target_says() -> None:
    maker = PairMaker(key_frame(), np.random.default_rng(1), replace(PAIRS, gain=0, offset=0, blur=0, distractor=0))
    assert maker.background.max() < 0.3  # nothing of the subject is left in it
    empty = 0
    for _ in range(20):
        inputs, target = maker.pair()
        assert inputs.shape == (64, 96, 4) and inputs.dtype == target.dtype == np.float32
        assert inputs.min() >= 0 and inputs.max() <= 1
        red = inputs[..., 0] > 0.5
        assert (red == (target > 0.43)).mean() > 0.98
        empty += not inputs[..., 3].any()
    assert 0 < empty < 10


def test_pairs_of_a_key_frame_without_subject_have_empty_targets() -> None:
    key = key_frame()
    inputs, target = PairMaker(KeyFrame(key.picture, 0 * key.alpha), np.random.default_rng(0)).pair()
    assert not target.any() and inputs[..., :3].any()


def test_a_subject_that_fills_the_picture_has_a_background_of_one_colour() -> None:
    picture = np.full((64, 96, 3), 0.7, np.float32)
    background = inpaint_background(KeyFrame(picture, np.ones((64, 96), np.float32)))
    assert np.allclose(background, 0.5)
    alpha = np.ones((64, 96), np.float32)
    alpha[:2] = 0
    assert np.allclose(inpaint_background(KeyFrame(picture, alpha)), 0.7)


def test_the_bundled_network_follows_the_mask_it_is_given() -> None:
    """Two equal squares: the one whose last mask is given is the subject."""
    picture = np.full((128, 192, 3), 0.3, np.float32)
    left, right = np.zeros((2, 128, 192), np.float32)
    left[40:88, 20:68], right[40:88, 120:168] = 1, 1
    picture[(left + right) > 0] = np.float32([0.9, 0.3, 0.1])
    net = load_base_network()
    for given, other in ((left, right), (right, left)):
        mask = propagate_by_network(net, picture, np.roll(given, 4, 1), undecided(picture))
        assert mask[given > 0].mean() > 0.5 and mask[given > 0].mean() > 2 * mask[other > 0].mean()


@pytest.mark.parametrize(
    ("size", "shape"), [((480, 854), (256, 448)), ((2160, 3840), (256, 448)), ((66, 98), (64, 96)), ((8, 9), (32, 32))]
)
def test_the_networks_pictures_are_multiples_of_its_stride(size: tuple[int, int], shape: tuple[int, int]) -> None:
    assert network_shape(*size, 256) == shape


def test_training_learns_the_subject_and_is_the_same_each_time(tmp_path: Path) -> None:
    params = PropagationTrainingParams(steps=25, batch=2)
    before = torch.get_num_threads()
    first, second = (train_network([key_frame()], params=params) for _ in range(2))
    assert torch.get_num_threads() == before
    assert first is not None and second is not None
    for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    key = key_frame()
    planes = SubjectGuide.bundled().look(key.picture).planes
    mask = propagate_by_network(first, key.picture, np.roll(key.alpha, 3, 1), planes)
    assert mask[key.alpha > 0].mean() > 0.6 > 0.3 > mask[key.alpha == 0].mean()
    save_network(first, tmp_path / "n.safetensors")
    stored = load_network(tmp_path / "n.safetensors")
    again = propagate_by_network(stored, key.picture, np.roll(key.alpha, 3, 1), planes)
    assert np.array_equal(mask, again)


def test_training_stops_at_once() -> None:
    stop = threading.Event()
    stop.set()
    assert train_network([key_frame()], params=TINY, stop=stop) is None


def test_steps_grow_with_the_key_frames() -> None:
    params = PropagationTrainingParams(steps=150, further_steps=50)
    assert [params.total_steps(count) for count in (1, 2, 5)] == [150, 200, 350]


def test_a_crop_has_the_frames_shape_and_lies_inside() -> None:
    middle = subject_crop(disc(30, 48, 9), 2.0)  # 19 pixels high
    assert middle.height == pytest.approx(2 * 19, abs=4)
    assert middle.top + middle.height / 2 == pytest.approx(30, abs=1)
    assert middle.left + middle.width / 2 == pytest.approx(48, abs=1)
    corner = subject_crop(disc(0, 95, 6), 2.0)
    assert corner.top == 0 and corner.left + corner.width == pytest.approx(96)
    assert corner.width / corner.height == pytest.approx(96 / 64)
    whole = Crop(0, 0, 96, 64)
    assert subject_crop(disc(30, 48, 30), 3.0) == whole and subject_crop(np.zeros((64, 96)), 2.0) == whole


def test_a_crop_does_not_shrink_with_a_mask_that_is_being_lost() -> None:
    sizes = [subject_crop(disc(30, 48, 2), 2.0, area).height for area in (0.0, 150.0, 400.0)]
    assert sizes[0] == pytest.approx(0.35 * 64)  # the least there is
    assert sizes[1] == pytest.approx(2 * 150**0.5) and sizes[2] == pytest.approx(2 * 400**0.5)


def test_a_crop_put_back_is_where_it_was() -> None:
    subject = disc(20, 60, 6)
    crop = subject_crop(subject, 2.0)
    enlarged = cut_out(subject, crop)
    assert enlarged.sum() == pytest.approx(subject.sum() * (64 / crop.height) ** 2, rel=0.05)
    assert np.abs(put_back(enlarged, crop) - subject).mean() < 0.005
    whole = Crop(0, 0, 96, 64)
    assert np.array_equal(cut_out(subject, whole), subject) and np.array_equal(put_back(subject, whole), subject)


def test_key_frames_are_cropped_around_their_subject() -> None:
    key = key_frame((128, 192))
    cropped = key_crop(key, 2.0)
    assert cropped.picture.shape == key.picture.shape and cropped.alpha.shape == key.alpha.shape
    assert cropped.alpha.sum() > 3 * key.alpha.sum()
    assert np.array_equal(cropped.picture[cropped.alpha == 1][0], np.float32([0.9, 0.3, 0.1]))


def test_a_mask_that_is_sure_nowhere_still_has_known_foreground() -> None:
    subject = disc(30, 48, 14)
    assert set(np.unique(trimap_of_tracked(0.6 * subject))) == {0, 128}
    scaled = scaled_to_certain(0.6 * subject)
    assert scaled.max() == 1 and set(np.unique(trimap_of_tracked(scaled))) == {0, 128, 255}
    assert np.array_equal(scaled_to_certain(subject), subject)
    assert np.array_equal(scaled_to_certain(0.4 * subject), 0.4 * subject)  # lost


def test_directions_are_weighted_by_confidence_and_nearness() -> None:
    near = TrackedMask(mask=np.full((2, 2), 200, np.uint8), confidence=0.9, distance=1, key_area=4)
    far = TrackedMask(mask=np.zeros((2, 2), np.uint8), confidence=0.9, distance=30, key_area=4)
    blended = blend_directions(near, far)
    assert blended is not None and 120 < blended.mask[0, 0] < 150 and blended.distance == 1
    doubtful = blend_directions(replace(near, confidence=0.0), far)
    assert doubtful is not None and doubtful.mask[0, 0] < 5 and doubtful.confidence > 0.8
    distrusted = blend_directions(replace(near, trust=0.1), far)  # of a finished matte: the hint's direction decides
    assert distrusted is not None and distrusted.mask[0, 0] < 50 and distrusted.trust > 0.7
    alone = blend_directions(replace(near, trust=0.1), replace(far, trust=0.1))
    assert alone is not None and alone.mask[0, 0] == blended.mask[0, 0]
    assert blend_directions(near, None) is near and blend_directions(None, far) is far
    assert blend_directions(None, None) is None


def test_states_come_back_from_their_files(tmp_path: Path) -> None:
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    tracked = TrackedMask(mask=mask, confidence=0.1, distance=7, key_area=2.5, trust=0.3)
    write_state(tmp_path, "forward", 5, tracked)
    got = read_state(tmp_path, "forward", 5)
    assert got is not None and np.array_equal(got.mask, tracked.mask)
    assert (got.confidence, got.distance, got.key_area, got.trust) == (0.1, 7, 2.5, 0.3)
    assert read_state(tmp_path, "backward", 5) is None
    (tmp_path / "forward-000005.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(InputError, match="is damaged"):
        read_state(tmp_path, "forward", 5)


def test_lost_and_doubtful_frames_are_named(tmp_path: Path) -> None:
    full, nothing = np.full((8, 8), 255, np.uint8), np.zeros((8, 8), np.uint8)
    for index, (mask, confidence) in enumerate([(full, 1.0), (full, 0.2), (nothing, 0.9)]):
        write_state(tmp_path, "forward", index, TrackedMask(mask=mask, confidence=confidence, key_area=64))
    figures = [frame_figures(tmp_path, index) for index in range(4)]
    assert [f.get("propagation") for f in figures] == ["sure", "doubtful", "lost", None]
    assert figures[1]["confidence"] == 0.2
    states = ["sure", "doubtful", "doubtful", "sure", "doubtful", "lost", "lost"]
    notes = propagation_notes([{"number": 10 + at, "propagation": state} for at, state in enumerate(states)])
    assert notes == [
        "the subject is lost from frame 15 (frames 15-16): give a hint there",
        "the propagated mask is doubtful from frame 11 (frames 11-12, 14): give a hint there",
        "a hint on frame 14 would help most",
    ]
    assert propagation_notes([{"number": 0}, {"number": 1, "propagation": "sure"}]) == []


def test_a_tracked_mask_is_known_away_from_its_edges() -> None:
    mask = np.zeros((200, 200), np.float32)
    mask[50:150, 50:150] = 1
    mask[90:95, 90:95] = 0.5
    trimap = trimap_of_tracked(mask)
    assert trimap[100, 60] == 255 and trimap[10, 10] == 0 and trimap[92, 92] == 128
    assert (trimap[100, 48:52] == 128).all() and trimap[100, 46] == 0 and trimap[100, 54] == 255


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    for at in (0, 4, 6):
        mask = (CLIP[at].alpha > 0.5).astype(np.uint8) * 255
        Image.fromarray(mask).save(tmp_path / f"key{at}.png")
    return write_stream(tmp_path / "take.mkv", CLIP)


def propagate(clip: Path, keys: tuple[int, ...], folder: Path, *segments: Segment) -> dict[str, bytes]:
    hints = ClipHints(kind="mask", keys={at: clip.parent / f"key{at}.png" for at in keys}, propagated=True)
    for segment in segments or (Segment(0, 0, 7),):
        with closing(open_clip(clip)) as reader:
            tracker = ClipTracker(reader, hints, same_alpha, folder, training=TINY)
            propagate_segment(reader, segment, hints, same_alpha, 64, folder, tracker=tracker)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("keys", [(0,), (0, 6), (4,), (6,)])
def test_going_on_after_a_stop_gives_the_same_files(clip: Path, tmp_path: Path, keys: tuple[int, ...]) -> None:
    whole = propagate(clip, keys, tmp_path / "whole", Segment(0, 0, 3), Segment(1, 3, 7))
    assert {f"{at:06d}.png" for at in range(7)} <= whole.keys() and "network.safetensors" in whole
    backward = {name for name in whole if name.startswith("backward")}
    gaps = {(0,): (), (0, 6): range(1, 6), (4,): range(4), (6,): range(6)}[keys]
    assert backward == {f"backward-{at:06d}.npz" for at in gaps}
    broken = tmp_path / "broken"
    propagate(clip, keys, broken, Segment(0, 0, 3))
    for name in ("000002.png", "forward-000002.npz", "backward-000001.npz"):
        (broken / name).unlink(missing_ok=True)
    assert propagate(clip, keys, broken, Segment(0, 0, 3), Segment(1, 3, 7)) == whole


@pytest.mark.parametrize(("span", "passes"), [(12, [(0, 6)]), (3, [(0, 3), (5, 6)])])
def test_frames_near_each_other_are_decoded_in_one_pass(
    clip: Path, tmp_path: Path, span: int, passes: list[tuple[int, int]]
) -> None:
    hints = ClipHints(kind="mask", keys={0: tmp_path / "key0.png"}, propagated=True)
    with closing(open_clip(clip)) as reader:
        asked: list[tuple[int, int | None]] = []
        decode = reader.frames

        def spied(start: int = 0, stop: int | None = None) -> Iterator[Frame]:
            asked.append((start, stop))
            return decode(start, stop)

        reader.frames = spied  # type: ignore[method-assign]
        tracker = ClipTracker(reader, hints, same_alpha, tmp_path, tracking=replace(TRACKING, recall_span=span))
        frames = tracker._frames([5, 0, 2])
        assert sorted(frames) == [0, 2, 5] and asked == passes
        assert all(frame.index == at for at, frame in frames.items())
        with pytest.raises(InputError, match="Frame 99 cannot be decoded"):
            tracker._frames([5, 99])


def test_the_clips_network_is_made_once(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = propagate(clip, (0,), tmp_path / "work", Segment(0, 0, 3))
    monkeypatch.setattr("uhrmat.video.propagation.clip.train_network", None)
    second = propagate(clip, (0,), tmp_path / "work", Segment(1, 3, 7))
    assert first["network.safetensors"] == second["network.safetensors"] and "000006.png" in second
    network_file(tmp_path / "work").unlink()
    with pytest.raises(TypeError):
        propagate(clip, (0,), tmp_path / "work", Segment(1, 3, 7))


@pytest.fixture
def spec(clip: Path, tmp_path: Path) -> Iterator[ClipSpec]:
    model = ModelOptions(refiner="guided", precision="fp32", working_size=48, device="cpu")
    yield ClipSpec(
        source=clip, output=tmp_path / "out.mkv", outputs=("alpha",), mask=tmp_path / "key0.png", interval=3,
        model=model, training=TINY,
    )  # fmt: skip


def test_a_clips_report_says_how_certain_each_frame_is(spec: ClipSpec) -> None:
    plan = plan_clip(spec)
    done = matte_clip(plan, ClipResources.load(plan))
    values = done.as_dict()
    assert values["propagation"] == "network" and len(values["frames"]) == 7
    assert all(0 <= frame["confidence"] <= 1 for frame in values["frames"])
    states = [frame["propagation"] for frame in values["frames"]]
    assert states[0] == "sure" and values["frames"][0]["confidence"] == 1
    assert values["doubtful"] == [at for at, state in enumerate(states) if state == "doubtful"]
    assert values["lost"] == [at for at, state in enumerate(states) if state == "lost"]
    wanted = bool(values["doubtful"] or values["lost"])
    assert any("give a hint there" in note for note in done.notes) == wanted
    flow = plan_clip(replace(spec, propagation="flow"), overwrite=True)
    assert flow.settings != plan.settings
    values = matte_clip(flow, ClipResources.load(flow)).as_dict()
    assert values["propagation"] == "flow" and "confidence" not in values["frames"][1] and values["lost"] == []


def test_a_clip_is_matted_from_a_mask_of_any_frame(spec: ClipSpec, tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    (tmp_path / "key4.png").rename(folder / "m4.png")
    plan = plan_clip(replace(spec, mask=folder))
    done = matte_clip(plan, ClipResources.load(plan))
    assert [frame["number"] for frame in done.frames if frame["confidence"] == 1] == [4]
    assert "the first mask, m4.png, is for frame 4: propagated backward to frame 0" in done.notes
    with pytest.raises(InputError, match="no mask for the first frame"):
        plan_clip(replace(spec, mask=folder, propagation="flow"))


def test_an_unknown_propagation_is_refused(spec: ClipSpec) -> None:
    with pytest.raises(InputError, match=r"no propagation and no tracker called 'magic'.*network, flow"):
        plan_clip(replace(spec, propagation="magic"))
    with pytest.raises(InputError, match="no tracker called 'magic'"):
        iterate_clip(pipeline(), spec.source, {"mask": spec.mask or Path()}, propagation="magic")


def test_frames_without_files_are_those_that_the_command_writes(spec: ClipSpec, tmp_path: Path) -> None:
    model = replace(spec.model, working_size=40)
    plan = plan_clip(replace(spec, output=tmp_path / "a_%04d.png", bits=16, interval=60, model=model))
    matte_clip(plan, ClipResources.load(plan))
    written = [read_alpha(path) for path in sorted(tmp_path.glob("a_*.png"))]
    hint = {"mask": tmp_path / "key0.png"}
    made = list(iterate_clip(pipeline(), spec.source, hint, training=TINY, foreground=False))
    for frame, alpha in zip(made, written, strict=True):
        assert np.abs(frame.alpha - alpha).max() < 2e-3


def advice(
    confidence: list[float], keys: tuple[int, ...] = (), cuts: tuple[int, ...] = (), first: int = 0
) -> int | None:
    """Frames of these confidences, doubtful below 0.5; one below 0 is lost."""
    states = ["lost" if value < 0 else "doubtful" if value < 0.5 else "sure" for value in confidence]
    rows = [
        {"number": first + at, "confidence": max(0.0, value), "propagation": state, "cut": first + at in cuts}
        for at, (value, state) in enumerate(zip(confidence, states, strict=True))
    ]
    return best_hint_frame(rows, keys)


def test_the_best_hint_is_where_most_doubt_is_reached() -> None:
    assert advice([1.0] * 9) is None
    assert best_hint_frame([{"number": 0, "cut": False}], ()) is None
    assert advice([1, 1, 1, 0.2, 1, 1]) == 3
    assert advice([1, 0.4, 0.4, 0.4, 0.4, 0.4, 1]) == 3, "in the middle of a run"
    assert advice([1, 0.4, 1, 1, 1, 1, 0.4, 0.4, 0.4]) == 7, "by the longer of two runs"
    assert advice([1, 0.4, 0.4, 1, 1, 1, -1, -1, 1]) == 6, "doubt of lost frames is whole"
    assert advice([0.4, 1, 1, 0.4], keys=(1,)) == 0, "nothing reaches over a key frame: of equals the first"
    assert advice([0.4, 1, 0.4, 0.4, 1], keys=(1,)) == 2
    assert advice([0.4, 0.4, 0.4, 0.4, 0.4], cuts=(2,)) == 3, "nor over a cut"
    assert advice([0.4, 0.4, 0.4], keys=(1,), first=1) == 2, "a frame that has a hint needs none"
    assert advice([0.4], keys=(0,)) is None
    far = [0.4] * 3 + [1.0] * 200 + [0.3] * 2
    assert advice(far) == 1, "distance counts"


def test_the_advice_is_among_the_notes() -> None:
    rows = [{"number": at, "confidence": 0.2, "propagation": "doubtful", "cut": False} for at in (4, 5, 6)]
    assert propagation_notes(rows)[-1] == "a hint on frame 5 would help most"
    assert propagation_notes(rows, (5,))[-1] == "a hint on frame 4 would help most"
