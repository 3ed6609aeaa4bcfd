"""Whether a clip without hints has a subject: which frames are looked at, and what is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.video.helpers import frames as moving_frames
from tests.video.helpers import write_stream
from uhrmat.core.errors import NoSubjectError
from uhrmat.media.video import open_clip
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.video.subject import ClipSubjectParams, find_clip_subject


class Counting:
    """A network that marks half of the picture with one value a look."""

    name, working_size = "counting", None

    def __init__(self, *values: float) -> None:
        self.values, self.looks = values, 0

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        alpha = np.zeros(small.shape[:2], np.float32)
        alpha[:, : small.shape[1] // 2] = self.values[min(self.looks, len(self.values) - 1)]
        self.looks += 1
        return PriorResult(alpha, self.name)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stream(tmp_path_factory.mktemp("clip") / "c.mkv", moving_frames(6))


def look(clip: Path, network: Counting, every: int = 1, start: int = 0) -> list[str]:
    pipeline = StillPipeline("lpn-person", refiner="bilinear", precision="fp32")
    pipeline.priors.use("lpn-person", NetworkMatte(network))
    with open_clip(clip) as reader:
        params = ClipSubjectParams(interval=every / float(reader.info.rate))
        return find_clip_subject(reader, start, 6, pipeline, params)


def test_the_first_frame_with_a_subject_ends_the_look(clip: Path) -> None:
    sure = Counting(0.0, 0.0, 0.99)
    assert look(clip, sure) == [] and sure.looks == 3


def test_no_frame_has_one(clip: Path) -> None:
    for every, start, looks in ((1, 0, 6), (2, 0, 3), (2, 1, 3), (4, 0, 2)):
        empty = Counting(0.0)
        with pytest.raises(NoSubjectError, match="no subject found"):
            look(clip, empty, every, start)
        assert empty.looks == looks


def test_a_subject_that_every_view_puts_elsewhere_is_none(clip: Path) -> None:
    with pytest.raises(NoSubjectError):
        look(clip, Counting(0.8))  # mirrored, it marks the other half


def test_other_priors_are_not_looked_at(clip: Path) -> None:
    pipeline = StillPipeline("lpn-person", refiner="bilinear", precision="fp32")
    pipeline.priors.use("lpn-person", Counting(0.0))
    with open_clip(clip) as reader:
        assert find_clip_subject(reader, 0, 6, pipeline) == []
