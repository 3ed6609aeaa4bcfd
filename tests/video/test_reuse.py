"""A prior is not run again while nothing happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.video.helpers import frames, hints, picture, pipeline
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.clean_plate.plate import PlatePrior
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.corrected import CorrectedPrior
from uhrmat.prior.closed_form.problem import Start
from uhrmat.prior.networks.lpn_trimap import TrimapNet
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.video.frames import ClipPipeline, TemporalOptions
from uhrmat.video.reuse import REUSE, ContinuedSolver, ReusedPrior, changed_places, unchanged

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


class Ramp(Counting):
    """A network whose alpha rises from left to right."""

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        return PriorResult(np.broadcast_to(np.linspace(0, 1, 60, dtype=np.float32), (40, 60)).copy(), self.name)


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


TRIMAP = np.full((40, 60), 128, np.uint8)
TRIMAP[:, :5], TRIMAP[:, -5:] = 0, 255


NEVER = replace(REUSE, refresh=100)


class Solving:
    """A solver whose alpha is the red channel where it solves; it records what it was called with."""

    def __init__(self) -> None:
        self.starts: list[Start | None] = []

    def __call__(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        self.starts.append(start)
        alpha = (image[..., 0] > 0.5).astype(np.float32)  # certain everywhere
        return alpha if start is None else np.where(start.changed, alpha, start.alpha), []


def test_places_that_changed() -> None:
    moved = noisy(1)
    moved[10:14, 10:14] += 0.2
    result = changed_places(moved, noisy(2), noisy(3))
    ys, xs = np.nonzero(result)
    reach = REUSE.side // 2
    assert result[10:14, 10:14].all()
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (10 - reach, 13 + reach, 10 - reach, 13 + reach)


def test_only_what_changed_is_solved_again() -> None:
    solving, moved = Solving(), SMALL.copy()
    moved[10:14, 10:14] += 0.2
    solver = ContinuedSolver(solving, NEVER)
    first, _ = solver(SMALL, TRIMAP, "closed-form")
    solver(SMALL, TRIMAP, "closed-form")
    same, _ = solver(SMALL, TRIMAP, "closed-form")
    second, _ = solver(moved, TRIMAP, "closed-form")
    starts = solving.starts
    assert starts[0] is None and starts[1] is not None and starts[1].changed.all()  # the first one's was clipped
    assert starts[2] is not None and not starts[2].changed.any() and starts[3] is not None
    assert not any(start.clip for start in starts[1:] if start is not None)
    reach = REUSE.side // 2 + REUSE.margin
    assert np.array_equal(np.argwhere(starts[3].changed)[[0, -1]], [[10 - reach] * 2, [13 + reach] * 2])
    assert np.array_equal(same, first)
    assert np.array_equal(second, np.where(starts[3].changed, moved[..., 0] > 0.5, first))


def test_soft_pixels_are_never_held_and_what_leaks_stays_between_frames() -> None:
    solving = Leaking()
    solver = ContinuedSolver(solving, NEVER)
    for _ in range(3):
        result, _ = solver(SMALL, TRIMAP, "closed-form")
        assert result.min() == 0 and result.max() == 1
    last = solving.starts[2]
    assert last is not None and last.alpha.min() == np.float32(-0.03)  # held as it was solved
    ys, xs = np.nonzero(last.changed)
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (19, 22, 29, 31)  # the soft ones and one around


class Leaking(Solving):
    """Alphas beyond 0 and 1, two soft pixels and one that is as good as 1."""

    def __call__(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        alpha, notes = super().__call__(image, trimap, name, start)
        alpha = np.where(alpha > 0.5, 1.02, -0.03).astype(np.float32)
        alpha[20, 30], alpha[21, 30], alpha[5, 5] = 0.3, 0.98, 0.995
        return alpha if start is not None and not start.clip else alpha.clip(0, 1), notes


def test_pixels_whose_hint_changed_are_solved_again() -> None:
    solving, wider = Solving(), TRIMAP.copy()
    wider[20, 2] = 128
    solver = ContinuedSolver(solving)
    solver(SMALL, TRIMAP, "closed-form")
    solver(SMALL, TRIMAP, "closed-form")
    solver(SMALL, wider, "closed-form")
    (start,) = solving.starts[2:]
    assert start is not None and start.changed[20, 2]
    assert start.changed.sum() == (2 * REUSE.margin + 1) * (REUSE.margin + 3)  # the border cuts it


@pytest.mark.parametrize("other", ["size", "name"])
def test_another_question_begins_anew(other: str) -> None:
    solving = Solving()
    solver = ContinuedSolver(solving)
    solver(SMALL, TRIMAP, "closed-form")
    solver(SMALL[:20], TRIMAP[:20], "closed-form") if other == "size" else solver(SMALL, TRIMAP, "rw")
    assert solving.starts == [None, None]


def test_slow_drift_is_solved_again_where_it_adds_up() -> None:
    """The left half grows brighter by less than a step each frame; the right half stands."""
    solving, drift = Solving(), np.zeros_like(SMALL)
    drift[:, :30] = 0.002
    flicker = np.random.default_rng(9).normal(0, 1 / 255, (9, *SMALL.shape)).astype(np.float32)
    solver = ContinuedSolver(solving, NEVER)
    solver(SMALL + flicker[0], TRIMAP, "closed-form")
    for number in range(9):
        solver(SMALL + np.float32(number) * drift + flicker[number], TRIMAP, "closed-form")
    shares = [0.0 if start is None else float(start.changed[:, :24].mean()) for start in solving.starts[1:]]
    shares[0] = 0.0  # the second frame is solved as a whole
    assert max(shares[1:3]) < 0.2 and max(shares) > 0.5
    assert not any(start.changed[:, 36:].any() for start in solving.starts[2:] if start is not None)


def test_all_of_it_is_solved_again_now_and_then() -> None:
    solving = Solving()
    solver = ContinuedSolver(solving, replace(REUSE, refresh=3))
    for _ in range(7):
        solver(SMALL, TRIMAP, "closed-form")
    assert solving.starts[0] is None
    assert [start.changed.mean() for start in solving.starts if start is not None] == [1, 0, 1, 0, 0, 1]


def test_a_solution_with_an_estimate_does_not_count_as_the_last_one() -> None:
    solving = Solving()
    solver = ContinuedSolver(solving, replace(REUSE, refresh=30))
    for _ in range(3):
        solver(SMALL, TRIMAP, "closed-form")
        estimate = np.full(TRIMAP.shape, 0.5, np.float32)
        solver(1 - SMALL, TRIMAP, "closed-form", Start(estimate, TRIMAP == 128, estimate=estimate))
    continued = solving.starts[::2]
    assert continued[0] is None and [start.changed.mean() for start in continued if start is not None] == [1, 0]
    assert all(start is not None and start.estimate is not None for start in solving.starts[1::2])


def test_every_prior_that_solves_a_system_takes_another_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wrapped solver is called in the copy, and not in the prior itself."""
    net = TrimapNet().eval()
    monkeypatch.setattr("uhrmat.prior.networks.lpn_trimap.load_trimap_net", lambda _: net)
    plate = 0.2 + 0.1 * SMALL
    before = plate + 0.6 * np.clip((np.arange(60, dtype=np.float32) - 20) / 20, 0, 1)[:, None]
    for method in (
        AffinityPrior("closed-form", Solving()),
        CorrectedPrior(Path("any"), Solving()),
        NetworkMatte(Ramp(), Solving()),
        PlatePrior(Solving()),
    ):
        inner = Solving()
        known = LowResHints(plate=plate) if method.name == "plate" else LowResHints(TRIMAP)
        method(before, known)
        assert not inner.starts
        method.with_solver(lambda _, inner=inner: inner)(before, known)  # type: ignore[misc]
        assert len(inner.starts) == 1, method.name


def test_a_clip_solves_where_it_changed_and_after_a_cut_everything() -> None:
    images = [frame.image for frame in frames(2, gust=0.0)]
    images[1] = images[1].copy()
    ys, xs = np.nonzero(frames(1)[0].trimap == 128)
    y, x = int(ys[len(ys) // 2]), int(xs[len(ys) // 2])
    images[1][y : y + 4, x : x + 4] = 255 - images[1][y : y + 4, x : x + 4]
    images += [images[0], 255 - images[0]]
    solving, made = Solving(), pipeline()
    made.priors.use("closed-form+knn", AffinityPrior("closed-form+knn", solving))
    clip = ClipPipeline(made)
    for number, image in enumerate(images):
        clip.frame(picture(image), number, hints(frames(1)[0].trimap), foreground=False)
    assert [start is None for start in solving.starts] == [True, False, False, True]
    assert solving.starts[2] is not None and 0 < solving.starts[2].changed.mean() < 0.5
    clip.reset()
    clip.frame(picture(images[2]), 3, hints(frames(1)[0].trimap), foreground=False)
    assert solving.starts[3] is None
