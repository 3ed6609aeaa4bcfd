"""The blend over time: clips, crops and training, on clips of 66 lines matted with the guided filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from uhrmat.core.errors import InputError
from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.pipeline import StillPipeline
from uhrmat.refine.time import TimeNet
from uhrmat.train.clips import FootageCache, clip_recipe, make_footage
from uhrmat.train.recipe import TimeRecipe, load_recipe
from uhrmat.train.synth.clip import ClipRecipe, render_clip
from uhrmat.train.task import fit
from uhrmat.train.time_crops import TimeStream, _turned, build_window, draw_window
from uhrmat.train.time_task import TimeTask, losses, replay
from uhrmat.video.blend import TimeBlend
from uhrmat.video.frames import ClipPipeline

HEIGHT, WIDTH, FRAMES = 66, 98, 5


def _clip(seed: int) -> ClipRecipe:
    return ClipRecipe(
        HEIGHT, WIDTH, FRAMES, seed=seed, gust=2.0, period=12, margin=0.03, noise=2.0, pan=1.5 * (seed % 2)
    )


def _matter() -> StillPipeline:
    return StillPipeline(refiner="guided", precision="fp32")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found, tool = FootageCache(tmp_path_factory.mktemp("clips")), _matter()
    for seed in range(4):
        found.store(seed, make_footage(_clip(3 + seed), 1.6, tool))
    return found.folder


def _recipe(**changes: object) -> TimeRecipe:
    small = {"side": 48, "batch": 2, "steps": 6, "warmup": 2, "held_out": 1, "scenes": 4, "ema": 0.9, "frames": 2}
    return load_recipe("time", TimeRecipe, **{**small, **changes})


def _whole(cache: Path, seed: int) -> dict[str, torch.Tensor]:
    crop = build_window(FootageCache(cache).load(seed), (0, 0, 0), WIDTH, FRAMES - 1)
    return {name: x[None] for name, x in crop.items()}


def _restless() -> TimeNet:
    torch.manual_seed(2)
    net = TimeNet()
    torch.nn.init.normal_(net.last.weight, std=0.1)
    return net.eval()


def test_the_untrained_network_replays_the_rule(cache: Path) -> None:
    batch = _whole(cache, 1)
    with torch.no_grad():
        found = replay(TimeNet(), batch)
    assert batch["where"].float().mean() > 0.05
    assert (found - batch["rule"]).abs().max() < 2e-3
    assert (replay(None, batch) - batch["rule"]).abs().max() > 0.02


def test_training_sees_what_inference_sees(cache: Path) -> None:
    tool, net, batch = _matter(), _restless(), _whole(cache, 0)
    tool.working_size = round(HEIGHT / 1.6)
    clip = ClipPipeline(tool, blend=TimeBlend(net, "tiles", torch.float32, "cpu"))
    with torch.no_grad():
        found, ruled = replay(net, batch)[0].numpy(), batch["rule"][0].numpy()
    for frame in render_clip(_clip(3)):
        matte = clip.frame(Picture.from_array(frame.image), frame.number, Hints(trimap=frame.trimap), foreground=False)
        assert np.abs(matte.alpha - found[frame.number]).max() < 4e-3
    assert np.abs(found - ruled).max() > 0.05


def test_a_turned_crop_is_answered_alike(cache: Path) -> None:
    """Where the last alpha along the motion is all that counts, losses do not depend on the crop's orientation."""
    net = TimeNet()
    assert net.last.bias is not None
    net.last.bias.data[2] = 30.0
    crop = build_window(FootageCache(cache).load(0), (0, 8, 8), 48, 2)
    crop["maps"][..., 0], crop["maps"][..., 1] = 1.3, -0.6
    plain, *others = (
        losses(
            replay(net, {k: x[None] for k, x in _turned(crop, turn).items()}),
            {k: x[None] for k, x in _turned(crop, turn).items()},
        )
        for turn in range(8)
    )
    for found in others:
        assert float(found["l1"].detach()) == pytest.approx(float(plain["l1"].detach()), rel=1e-4)
        assert float(found["flicker"].detach()) == pytest.approx(float(plain["flicker"].detach()), rel=1e-4)


def test_batches_depend_on_their_number_only(cache: Path) -> None:
    def batch(start: int, skip: int) -> torch.Tensor:
        stream = iter(TimeStream(cache, _recipe(), start))
        for _ in range(skip):
            next(stream)
        return next(stream)["image"]

    assert torch.equal(batch(0, 2), batch(2, 0)) and not torch.equal(batch(0, 0), batch(1, 0))


def test_crops_have_something_to_look_back_at(cache: Path) -> None:
    footage = FootageCache(cache).load(1)
    shares = [
        float(draw_window(footage, _recipe(), np.random.default_rng(n))["where"][1:].float().mean()) for n in range(8)
    ]
    assert min(shares) > float(_whole(cache, 1)["where"].float().mean()) * 0.7


def test_losses_are_zero_for_the_truth_and_see_flicker(cache: Path) -> None:
    batch = _whole(cache, 1)
    assert all(float(x) < 2e-4 for x in losses(batch["alpha"], batch).values())
    steady = batch["alpha"] + 0.1
    flickering = batch["alpha"] + 0.1 * torch.tensor([1.0, -1] * 3)[None, :FRAMES, None, None]
    assert float(losses(steady, batch)["change"]) < 1e-4
    assert float(losses(flickering, batch)["change"]) == pytest.approx(0.2, rel=0.01)
    assert float(losses(flickering, batch)["flicker"]) == pytest.approx(0.2, rel=0.01)


def test_the_loss_falls(cache: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    recipe = _recipe(steps=24, batch=3, rate=0.01, held_out=1)
    fit(TimeTask(recipe, cache), tmp_path, workers=0, every=24, report=lines.append)
    assert lines[-1]["network_dtssd"] < lines[-1]["rule_dtssd"] < lines[-1]["alone_dtssd"]


def test_a_resumed_run_ends_with_the_same_weights(cache: Path, tmp_path: Path) -> None:
    task = TimeTask(_recipe(), cache)
    whole = fit(task, tmp_path / "whole", workers=0, every=6).ema.state_dict()
    fit(task, tmp_path / "parts", workers=0, every=6, seconds=1e-9)
    resumed = fit(task, tmp_path / "parts", workers=0, every=6)
    assert resumed.step == 6 and float(whole["last.weight"].abs().max()) > 0
    assert all(torch.equal(value, resumed.ema.state_dict()[name]) for name, value in whole.items())


def test_held_out_clips_show_other_photographs() -> None:
    photos = [Path(f"{n}.jpg") for n in range(10)]
    shown = [{p for seed in range(12) for p in clip_recipe(seed, held, photos).backgrounds} for held in (True, False)]
    assert shown[0] and shown[1] and not shown[0] & shown[1]


def test_an_empty_cache_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training clips"):
        TimeTask(_recipe(), tmp_path).stream(0)
