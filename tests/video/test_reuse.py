"""A prior is not run again while nothing happens."""

from __future__ import annotations

import numpy as np

from tests.video.helpers import frames, hints, picture, pipeline
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.video.frames import ClipPipeline, TemporalOptions
from uhrmat.video.reuse import ReusedPrior, unchanged

SMALL = np.random.default_rng(0).random((40, 60, 3), dtype=np.float32)


class Counting:
    """A prior that counts how often it is called."""

    name, working_size = "counting", None

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        self.calls += 1
        return PriorResult(np.full(small.shape[:2], 0.1 * self.calls, np.float32), self.name)


class Remembering(Counting):
    def reset(self) -> None:
        """Nothing to forget."""


def noisy(seed: int, sigma: float = 2 / 255) -> np.ndarray:
    return SMALL + np.random.default_rng(seed).normal(0, sigma, SMALL.shape).astype(np.float32)


def answers(method: Counting, smalls: list[np.ndarray], known: list[LowResHints] | None = None) -> list[float]:
    kept = ReusedPrior()
    text = known or [LowResHints()] * len(smalls)
    return [round(float(kept(method, x, h).alpha[0, 0]), 3) for x, h in zip(smalls, text, strict=True)]


def test_noise_is_no_change_and_a_moving_spot_is() -> None:
    assert unchanged(noisy(1), noisy(2), noisy(3))
    moved = noisy(1)
    moved[10:14, 10:14] += 0.2
    assert not unchanged(moved, noisy(2), noisy(3))
    assert not unchanged(SMALL[:20], SMALL, SMALL)


def test_the_last_answer_is_given_again_until_something_changes() -> None:
    brighter = SMALL + 0.1
    assert answers(Counting(), [SMALL, SMALL, noisy(1), brighter, brighter]) == [0.1, 0.1, 0.1, 0.2, 0.2]


def test_slow_drift_is_noticed() -> None:
    result = answers(Counting(), [SMALL + np.float32(0.004 * n) for n in range(7)])
    assert result == [0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.3]


def test_another_hint_is_another_question_and_a_memory_is_fed() -> None:
    trimaps = [LowResHints(np.full((40, 60), value, np.uint8)) for value in (0, 0, 128)]
    assert answers(Counting(), [SMALL] * 3, trimaps) == [0.1, 0.1, 0.2]
    assert answers(Counting(), [SMALL] * 3, [LowResHints(key=k) for k in ("auto", "auto", "blue")]) == [0.1, 0.1, 0.2]
    assert answers(Remembering(), [SMALL] * 3) == [0.1, 0.2, 0.3]


def test_a_static_shot_is_solved_once_and_a_key_frame_again() -> None:
    shot = [frame.image for frame in frames(4, gust=0.0, noise=2.0)]
    known = hints(frames(1)[0].trimap)
    for temporal, expected in ((True, 1), (False, 4)):
        method, made = Counting(), pipeline()
        made.priors.use("closed-form+knn", method)
        clip = ClipPipeline(made, TemporalOptions(temporal=temporal))
        for number, image in enumerate(shot):
            clip.frame(picture(image), number, known, foreground=False)
        assert method.calls == expected
        clip.reset()
        clip.frame(picture(shot[-1]), 4, known, foreground=False)
        assert method.calls == expected + 1
