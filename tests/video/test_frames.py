"""The state of a clip: what is kept, what is computed again, what heals."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from tests.video.helpers import HEIGHT, WIDTH, frames, hints, picture, pipeline
from uhrmat import InputError
from uhrmat import pipeline as stills
from uhrmat.foreground import within_budget
from uhrmat.refine.resident import run as resident
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.sparsity.temporal import TEMPORAL_SPARSITY, thresholds
from uhrmat.video.frames import ClipPipeline, FrameResult, TemporalOptions
from uhrmat.video.state import SMOOTHING, SmoothedPrior

SCENE = frames(1)[0]


def run(clip: ClipPipeline, images: list[np.ndarray], trimap: np.ndarray = SCENE.trimap) -> list[FrameResult]:
    return [clip.frame(picture(x), n, hints(trimap), foreground=False) for n, x in enumerate(images)]


def brighter(step: float) -> np.ndarray:
    return np.clip(SCENE.image.astype(float) + step, 0, 255).astype(np.uint8)


def test_an_unchanged_frame_costs_nothing_and_changes_nothing() -> None:
    first, second = run(ClipPipeline(pipeline()), [SCENE.image] * 2)
    assert first.stats.key and first.stats.active == first.stats.band > 0
    assert not second.stats.key and second.stats.active == 0 and second.stats.reuse_share == 1
    assert np.array_equal(first.alpha, second.alpha)


def test_only_what_changed_is_computed_again() -> None:
    moved = SCENE.image.copy()
    ys, xs = np.nonzero(SCENE.trimap == 128)
    y, x = int(ys[len(ys) // 2]), int(xs[len(ys) // 2])
    moved[y, x] = 255 - moved[y, x]
    second = run(ClipPipeline(pipeline()), [SCENE.image, moved])[1]
    ys, xs = np.nonzero(second.active)
    assert second.active[y, x] and 0 < second.stats.active < second.stats.band
    assert max(np.abs(ys - y).max(), np.abs(xs - x).max()) <= 7


def test_slow_drift_does_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    params = replace(TEMPORAL_SPARSITY, clean_threshold=TEMPORAL_SPARSITY.threshold)  # as of a noisy clip
    monkeypatch.setattr("uhrmat.video.frames.thresholds", partial(thresholds, params=params))
    steps = [brighter(3.0 * n) for n in range(9)]
    result = run(ClipPipeline(pipeline()), steps)
    shares = [m.stats.reuse_share for m in result]
    assert shares[1] == 1  # 3 of 255 lie below 0.05
    assert min(shares[1:6]) < 0.2  # what they add up to does not
    fresh = run(ClipPipeline(pipeline(), TemporalOptions(temporal=False)), steps)[-1]
    assert np.abs(result[-1].alpha - fresh.alpha).mean() < 0.01


def test_without_temporal_every_frame_is_a_key_frame() -> None:
    result = run(ClipPipeline(pipeline(), TemporalOptions(temporal=False)), [SCENE.image] * 2)
    assert all(m.stats.key and m.stats.active == m.stats.band for m in result)


def test_what_the_prior_is_sure_of_heals() -> None:
    clip, wrong = ClipPipeline(pipeline()), SCENE.trimap.copy()
    wrong[:20, :20] = 255
    assert run(clip, [SCENE.image], wrong)[0].alpha[:12, :12].min() == 1
    healed = clip.frame(picture(SCENE.image), 1, hints(SCENE.trimap), foreground=False)
    sky = SCENE.trimap[:12, :12] == 0
    assert sky.any() and (healed.alpha[:12, :12][sky] == 0).all()


def test_a_cut_begins_anew() -> None:
    result = run(ClipPipeline(pipeline()), [SCENE.image, 255 - SCENE.image])
    assert [m.stats.cut for m in result] == [False, True] and result[1].stats.key
    alone = run(ClipPipeline(pipeline()), [255 - SCENE.image])[0]
    assert np.array_equal(result[1].alpha, alone.alpha)


def test_after_a_reset_nothing_before_it_counts() -> None:
    clip, images = ClipPipeline(pipeline()), [frame.image for frame in frames(4, noise=2.0)]
    run(clip, images[:2])
    clip.reset()
    again, alone = run(clip, images[2:]), run(ClipPipeline(pipeline()), images[2:])
    for a, b in zip(again, alone, strict=True):
        assert np.array_equal(a.alpha, b.alpha) and a.stats.active == b.stats.active


def test_reuse_under_noise_steadies_the_matte() -> None:
    images = [frame.image for frame in frames(5, gust=0.0, noise=2.0)]
    still, fresh = (run(ClipPipeline(pipeline("shm"), TemporalOptions(temporal=t)), images) for t in (True, False))
    assert np.mean([m.stats.reuse_share for m in still[1:]]) > 0.5
    jitter = [np.mean([np.abs(b.alpha - a.alpha).mean() for a, b in pairwise(x)]) for x in (still, fresh)]
    assert jitter[0] < 0.5 * jitter[1]


def test_a_pixel_that_enters_the_band_is_computed_even_if_it_did_not_change() -> None:
    wider = SCENE.trimap.copy()
    wider[:9, :9] = 128  # less than half of the picture is unknown: a trimap, no scribbles
    clip = ClipPipeline(pipeline())
    run(clip, [SCENE.image])
    result = clip.frame(picture(SCENE.image), 1, hints(wider), foreground=False)
    new = trimap_mask(wider) & ~trimap_mask(SCENE.trimap)
    assert new.any() and result.active[new].all() and result.stats.reuse_share > 0


def test_foreground_is_asked_for() -> None:
    result = ClipPipeline(pipeline()).frame(picture(SCENE.image), 0, hints(SCENE.trimap))
    assert result.foreground is not None and result.foreground.shape == (HEIGHT, WIDTH, 3)


def test_a_gpu_refines_and_colours_a_key_frame_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other frames are averaged in between, on the host."""
    images = [SCENE.image, SCENE.image.copy()]
    images[1][:, WIDTH // 2 :] = brighter(30)[:, WIDTH // 2 :]
    modes, still = (TemporalOptions(), TemporalOptions(temporal=False)), pipeline(refiner="shm")

    def matte(options: TemporalOptions) -> list[FrameResult]:
        clip = ClipPipeline(still, options)
        return [clip.frame(picture(x), n, hints(SCENE.trimap)) for n, x in enumerate(images)]

    want = [matte(options) for options in modes]
    monkeypatch.setattr(stills, "stays_on_device", lambda *given: True)
    sent, send, hosts, on_host = list[int](), resident.upload, list[int](), within_budget.estimate_foreground
    monkeypatch.setattr(resident, "upload", lambda arrays, device: sent.append(len(arrays)) or send(arrays, device))
    monkeypatch.setattr(within_budget, "estimate_foreground", lambda *given: hosts.append(1) or on_host(*given))
    for options, before, by_host in zip(modes, want, ([1], []), strict=True):
        sent.clear(), hosts.clear()
        got = matte(options)
        assert sent == [6, 6] and hosts == by_host
        assert [frame.stats.key for frame in got] == [True, not options.temporal]
        for one, other in zip(got, before, strict=True):
            assert one.foreground is not None and other.foreground is not None
            assert np.abs(one.alpha - other.alpha).max() < 0.02
            shown = other.alpha > 0.1
            assert np.abs(one.foreground.astype(int) - other.foreground.astype(int))[shown].max() <= 3


def test_one_size_for_all_frames() -> None:
    clip = ClipPipeline(pipeline())
    run(clip, [SCENE.image])
    with pytest.raises(InputError, match="49x33, the frames before 98x66"):
        clip.frame(picture(SCENE.image[::2, ::2]), 1, hints(SCENE.trimap[::2, ::2]))


def test_a_threshold_is_a_share() -> None:
    with pytest.raises(InputError, match="threshold"):
        TemporalOptions(threshold=2)


def test_the_prior_is_steady_where_the_picture_stands_still_and_follows_where_it_moves() -> None:
    small, unchanged_colours = np.full((20, 20, 3), 0.5, np.float32), SmoothedPrior()
    nowhere = np.zeros((20, 20), bool)
    unchanged_colours(small, np.zeros((20, 20), np.float32), nowhere, 0.0, 1.0)
    moved = small.copy()
    moved[:, 10:] = 0.9
    result = unchanged_colours(moved, np.full((20, 20), 0.8, np.float32), nowhere, 0.0, 1.0)
    assert np.allclose(result[:, 12:], 0.8)
    assert np.allclose(result[:, :8], (1 - SMOOTHING.keep) * 0.8)


@pytest.mark.parametrize(("noise", "share"), [(0.0, 1.0), (1.1 / 255, 1 - SMOOTHING.keep)])
def test_a_small_change_moves_the_prior_where_there_is_no_noise_to_take_it_for(noise: float, share: float) -> None:
    small, unchanged_colours = np.full((20, 20, 3), 0.5, np.float32), SmoothedPrior()
    nowhere = np.zeros((20, 20), bool)
    unchanged_colours(small, np.zeros((20, 20), np.float32), nowhere, noise, 8.0)
    result = unchanged_colours(small + np.float32(0.01), np.full((20, 20), 0.8, np.float32), nowhere, noise, 8.0)
    assert np.allclose(result, share * 0.8)


def test_priors_may_run_ahead_of_the_refiner() -> None:
    """Over a cut too: all priors first, then all refinements, or frame by frame."""
    images = [frame.image for frame in frames(3, noise=2.0)]
    images += [255 - image for image in images[:2]]
    together, apart = run(ClipPipeline(pipeline()), images), ClipPipeline(pipeline())
    priors = [apart.find_prior(picture(x), n, hints(SCENE.trimap)) for n, x in enumerate(images)]
    for prior, expected in zip(priors, together, strict=True):
        result = apart.refine(prior, foreground=False)
        assert np.array_equal(result.alpha, expected.alpha) and np.array_equal(result.active, expected.active)
        assert replace(result.stats, seconds={}) == replace(expected.stats, seconds={})
    assert [prior.cut for prior in priors] == [False, False, False, True, False]
