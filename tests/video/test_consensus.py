"""Clips without hints: what a network marks in each frame, averaged along the motion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.video.helpers import write_stream
from uhrmat.core.errors import InputError
from uhrmat.core.options import ModelOptions
from uhrmat.hints.read import Hints
from uhrmat.hints.subject import SubjectMask
from uhrmat.media.video import open_clip
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.train.synth.clip import ClipFrame
from uhrmat.video.consensus import CONSENSUS, average_along_motion, seek_subject
from uhrmat.video.plan import plan_clip
from uhrmat.video.report import ClipReport
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.segments import Segment
from uhrmat.video.spec import ClipSpec
from uhrmat.video.subject_masks import read_subject, subject_file, surest_frame

SIZE = (96, 128)
RADIUS, STEP = 22, 3


def centre(number: int) -> tuple[int, int]:
    """(y, x) of the disc."""
    return 48, 40 + STEP * number


def inside(number: int) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    row, column = centre(number)
    return np.asarray(np.hypot(y - row, x - column) < RADIUS)


def picture(number: int, seed: int = 0) -> np.ndarray:
    """A textured disc that moves before a textured background, (H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    back, front = (cv2.GaussianBlur(rng.uniform(0, 255, (*SIZE, 3)), (0, 0), 2) for _ in range(2))
    front = np.roll(front, STEP * number, 1) * (0.4, 0.5, 1.2)
    return np.rint(np.where(inside(number)[..., None], front, back).clip(0, 255)).astype(np.uint8)


def look(mask: np.ndarray, confidence: float = 0.8) -> SubjectMask:
    return SubjectMask(mask.astype(np.float32), confidence)


def overlap(alpha: np.ndarray, truth: np.ndarray) -> float:
    return float(((alpha > 0.5) & truth).sum() / ((alpha > 0.5) | truth).sum())


def test_frames_weigh_by_confidence_and_nearness() -> None:
    still = [picture(0)] * 3
    values, confidences = (0.9, 0.3, 0.6), (0.8, 0.5, 0.0)
    looks = [look(np.full(SIZE, value), confidence) for value, confidence in zip(values, confidences, strict=True)]
    params = replace(CONSENSUS, decay=0.5)
    logits = [np.log(value / (1 - value)) for value in values]
    weights = [0.64, 0.25, 0.05**2]  # a frame without a subject counts with the least confidence
    for at, alpha in enumerate(average_along_motion(still, looks, params)):
        near = [weight * 0.5 ** abs(at - other) for other, weight in enumerate(weights)]
        expected = 1 / (1 + np.exp(-np.dot(near, logits) / sum(near)))
        assert alpha.dtype == np.float32 and np.allclose(alpha, expected, atol=1e-4)


def test_what_one_frame_loses_or_adds_follows_the_motion_of_the_others() -> None:
    pictures = [picture(number) for number in range(7)]
    looks = [look(inside(number)) for number in range(7)]
    looks[3] = look(np.zeros(SIZE), 0.1)
    added = inside(5).copy()
    added[60:90, 5:35] = True
    looks[5] = look(added, 0.5)
    alphas = list(average_along_motion(pictures, looks))
    assert overlap(alphas[3], inside(3)) > 0.9 and overlap(alphas[3], inside(1)) < 0.8
    assert overlap(alphas[5], inside(5)) > 0.9 and overlap(added, inside(5)) < 0.7
    assert all(overlap(alphas[at], inside(at)) > 0.95 for at in (0, 6))


def test_nothing_comes_over_a_cut_and_one_frame_stands_alone() -> None:
    pictures = [picture(0), picture(1), 255 - picture(2, seed=5), 255 - picture(3, seed=5)]
    looks = [look(inside(0)), look(inside(1)), look(np.zeros(SIZE), 0.1), look(np.zeros(SIZE), 0.1)]
    alphas = list(average_along_motion(pictures, looks))
    assert max(alphas[2].max(), alphas[3].max()) < 0.1 and overlap(alphas[1], inside(1)) > 0.9
    (alone,) = average_along_motion(pictures[:1], looks[:1])
    assert np.allclose(alone, np.where(inside(0), 0.98, 0.02), atol=1e-3)
    assert list(average_along_motion([], [])) == []


class Marker:
    """A network that marks the disc by its colour, but in some of its looks nothing."""

    name, working_size = "marker", None

    def __init__(self, *blind: int) -> None:
        self.blind, self.looks = blind, 0

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        self.looks += 1
        colour = cv2.GaussianBlur(small, (0, 0), 2)
        alpha = (colour[..., 2] > 1.4 * colour[..., 0]).astype(np.float32) * np.float32(0.97)
        return PriorResult(alpha * (self.looks - 1 not in self.blind), self.name)


COUNT = 6
FRAMES = [ClipFrame(n, picture(n), inside(n).astype(np.float32), np.full(SIZE, 128, np.uint8)) for n in range(COUNT)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stream(tmp_path_factory.mktemp("clip") / "take.mkv", FRAMES)


def seek(clip: Path, folder: Path, marker: Marker, segment: tuple[int, int], params: Any = CONSENSUS) -> None:
    with open_clip(clip) as reader:
        seek_subject(reader, Segment(0, *segment), 0, COUNT, NetworkMatte(marker), folder, params)


def test_each_frame_is_looked_at_once_and_again_nothing_is_done(clip: Path, tmp_path: Path) -> None:
    marker = Marker(2)
    seek(clip, tmp_path, marker, (0, 3), replace(CONSENSUS, reach=1))
    assert marker.looks == 4  # frames 0 to 3
    assert [subject_file(tmp_path, at).is_file() for at in range(5)] == [True, True, True, False, False]
    third = read_subject(tmp_path, 2)
    assert third is not None and third.confidence == 0 and overlap(third.alpha, inside(2)) > 0.85
    first = read_subject(tmp_path, 0)
    assert first is not None and first.confidence > 0.9 and overlap(first.alpha, inside(0)) > 0.85
    seek(clip, tmp_path, marker, (3, 6), replace(CONSENSUS, reach=1))
    assert marker.looks == 6 and read_subject(tmp_path, 5) is not None
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    seek(clip, tmp_path, marker, (0, 6))
    assert marker.looks == 6 and {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_blocks_see_beyond_their_ends_and_segments_no_frame_outside_the_run(clip: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    seek(clip, whole, Marker(), (0, 6))
    seek(clip, parts, Marker(), (0, 6), replace(CONSENSUS, block=2))
    for at in range(6):  # all frames count in both
        assert subject_file(whole, at).read_bytes() == subject_file(parts, at).read_bytes()
    marker = Marker()
    with open_clip(clip) as reader:
        seek_subject(reader, Segment(0, 2, 4), 2, 4, NetworkMatte(marker), tmp_path / "inner")
    assert marker.looks == 2


def test_a_damaged_file_is_an_error_that_says_what_to_do(clip: Path, tmp_path: Path) -> None:
    seek(clip, tmp_path, Marker(), (0, 2))
    subject_file(tmp_path, 1).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(InputError, match="is damaged"):
        read_subject(tmp_path, 1)


def test_the_matte_is_made_of_the_mask_that_is_given_not_of_a_look() -> None:
    marker, small = Marker(), picture(0).astype(np.float32) / 255
    prior = NetworkMatte(marker)
    elsewhere = np.zeros((48, 64), np.float32)  # of another size
    elsewhere[30:45, 40:60] = 1
    result = prior(small, LowResHints(subject=SubjectMask(elsewhere, 0.42)))
    assert marker.looks == 0 and result.confidence == 0.42
    assert result.alpha[75, 100] == 1 and result.alpha[48, 40] == 0
    assert prior(small, LowResHints()).alpha[48, 40] == 1 and marker.looks
    assert Hints(subject=SubjectMask(elsewhere, 0.42)).given == frozenset()


def matte(clip: Path, output: Path, marker: Marker | None = None, **options: Any) -> ClipReport:
    spec = ClipSpec(
        source=clip, output=output, outputs=("alpha",), codec="png", interval=4,
        model=ModelOptions(refiner="bilinear", precision="fp32", device="cpu", prior="lpn-person"), **options,
    )  # fmt: skip
    plan = plan_clip(spec, overwrite=True)
    resources = ClipResources.load(plan)
    resources.pipeline.priors.use("lpn-person", NetworkMatte(marker or Marker(3)))
    return matte_clip(plan, resources)


def alpha_of(folder: Path, number: int) -> np.ndarray:
    return np.asarray(cv2.imread(str(sorted(folder.glob("*.png"))[number]), cv2.IMREAD_UNCHANGED)) > 127


def test_a_clip_without_hints_keeps_a_subject_that_one_look_misses(clip: Path, tmp_path: Path) -> None:
    done = matte(clip, tmp_path / "a", Marker(3, 4))  # frames 2 and 3: the first look is whether there is a subject
    assert all(overlap(alpha_of(tmp_path / "a", at), inside(at)) > 0.85 for at in range(COUNT))
    values = done.as_dict()
    confidences = [frame["subject_confidence"] for frame in done.frames]
    assert [value > 0.9 for value in confidences] == [True, True, False, False, True, True]
    assert surest_frame(done.frames) == (values["surest_frame"], max(confidences))
    (note,) = [note for note in done.notes if "along the motion" in note]
    assert f"surest in frame {values['surest_frame']} " in note


@pytest.mark.parametrize("options", [{"averaged": False}, {"temporal": False}])
def test_frame_by_frame_no_frame_looks_at_its_neighbours(clip: Path, tmp_path: Path, options: dict[str, bool]) -> None:
    done = matte(clip, tmp_path / "a", Marker(3, 4), **options)
    shown = [overlap(alpha_of(tmp_path / "a", at), inside(at)) for at in range(COUNT)]
    assert min(shown) == 0 and max(shown) > 0.85
    assert done.as_dict()["surest_frame"] is None and not any("along the motion" in note for note in done.notes)


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(clip: Path, tmp_path: Path) -> None:
    whole = matte(clip, tmp_path / "whole")
    spec = ClipSpec(
        source=clip, output=tmp_path / "part", outputs=("alpha",), codec="png", interval=4,
        model=ModelOptions(refiner="bilinear", precision="fp32", device="cpu", prior="lpn-person"),
    )  # fmt: skip
    plan = plan_clip(spec, overwrite=True)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for first in (True, False):
        resources = ClipResources.load(plan)
        resources.pipeline.priors.use("lpn-person", NetworkMatte(Marker(3) if first else Marker()))
        if first:
            with pytest.raises(KeyboardInterrupt):
                matte_clip(plan, resources, progress=stop)
            continue
        resumed = matte_clip(plan, resources, resume=True)
    assert resumed.kept >= 1 and resumed.as_dict()["surest_frame"] == whole.as_dict()["surest_frame"]
    files = [
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.png")} for name in ("whole", "part")
    ]  # fmt: skip
    assert len(files[0]) == COUNT and files[0] == files[1]
