"""Samples, crops, losses, the loop and the whole run, on scenes of 64 to 96 pixels."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.docs.schema import compare
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError
from uhrmat.refine.features import PROJECTION, residual_baseline
from uhrmat.refine.shm.refiner import load_shm
from uhrmat.train import samples
from uhrmat.train import task as training
from uhrmat.train.crops import CropSource, CropStream, build_crop
from uhrmat.train.losses import gradient, laplacian_pyramid, masked_l1, masked_l2
from uhrmat.train.recipe import Recipe, load_recipe
from uhrmat.train.samples import SampleCache, SampleView, fill_samples
from uhrmat.train.shm_task import ShmTask, learning_rate, outputs, train
from uhrmat.train.task import new_state, train_step

SIDE = 64


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    patch = pytest.MonkeyPatch()
    patch.setattr(samples, "SAMPLE_VIEWS", (SampleView(96, (0.8, 1.2), ((1.5, 2.0), (3.0, 4.0))),))
    fill_samples(folder, None, range(8))
    patch.undo()
    return folder


def _recipe(**changes: object) -> Recipe:
    small = {
        "side": SIDE,
        "batch": 2,
        "steps": 6,
        "warmup": 2,
        "held_out": 2,
        "scenes": 8,
        "rate": 2e-3,
        "ema": 0.9,
        "exact": 0.0,
    }
    return load_recipe("shm-lite", **{**small, **changes})


def test_samples_survive_the_disk(cache: Path) -> None:
    store = SampleCache(cache)
    assert store.seeds() == list(range(8)) and not list(cache.glob(".*"))
    result = store.load(3)
    assert result.image.shape == (96, 96, 3) and result.trimap.dtype == np.uint8 and len(result.priors) == 2
    assert (result.alpha[result.trimap == 255] == 1).all() and (result.alpha[result.trimap == 0] == 0).all()
    assert result.priors[0].shape[0] > result.priors[1].shape[0]


def test_batches_depend_on_their_number_only(cache: Path) -> None:
    def first(start: int, skip: int) -> torch.Tensor:
        stream = iter(CropStream(cache, SIDE, 5, 2, 2, start))
        for _ in range(skip):
            next(stream)
        return next(stream)["features"]

    assert torch.equal(first(0, 3), first(3, 0)) and not torch.equal(first(0, 0), first(1, 0))


@pytest.mark.parametrize("which", [0, 1])
def test_a_crop_sees_and_starts_from_what_inference_does(cache: Path, which: int) -> None:
    from uhrmat.media import Picture
    from uhrmat.refine.features import ColourLineFeatures, PictureColours

    views = CropSource(SampleCache(cache).load(4))
    crop, start = build_crop(views, (20, 9), SIDE, which), np.zeros((96, 96), np.float32)
    picture, sample = Picture.from_array(views.sample.image), views.sample
    features = ColourLineFeatures(
        PictureColours(picture), (96, 96), views.small_images[which], sample.priors[which], sample.trimap, start
    )
    ys, xs = torch.meshgrid(torch.arange(20, 20 + SIDE), torch.arange(9, 9 + SIDE), indexing="ij")
    seen = features(ys, xs)
    assert torch.allclose(crop["features"].permute(1, 2, 0), seen, atol=1e-5)
    result = residual_baseline(seen, crop["fallback"][0], crop["trust"][0])
    assert torch.allclose(result, torch.from_numpy(start[20 : 20 + SIDE, 9 : 9 + SIDE]), atol=1e-5)
    assert (
        float(crop["trust"]) == pytest.approx(features.network_weight)
        and (result - seen[..., PROJECTION] / 2 - 0.5).abs().max() > 0.01
    )


def test_a_softened_crop_is_a_part_of_the_blurred_scene(cache: Path) -> None:
    views = CropSource(SampleCache(cache).load(4))
    sharp, soft = (build_crop(views, (20, 9), SIDE, 1, blur=soft) for soft in (0.0, 0.6))
    sigma = 0.6 * 96 / len(views.sample.priors[1])
    for plane, result in ((views.sample.alpha, soft["alpha"][0]), (views.sample.image, soft["features"][:3])):
        whole = cv2.GaussianBlur(plane.astype(np.float32), (0, 0), sigma)[20 : 20 + SIDE, 9 : 9 + SIDE]
        expected = torch.from_numpy(whole) if plane.ndim == 2 else torch.from_numpy(whole / 127.5 - 1).permute(2, 0, 1)
        assert torch.allclose(result, expected, atol=0.01)
    assert torch.equal(sharp["alpha"][0], torch.from_numpy(views.sample.alpha[20 : 20 + SIDE, 9 : 9 + SIDE]))
    assert soft["alpha"].diff().abs().sum() < sharp["alpha"].diff().abs().sum()


def test_an_untrained_network_answers_where_it_starts(cache: Path) -> None:
    task = ShmTask(_recipe(), cache)
    batch, net = next(iter(task.stream(0))), task.build()
    result = outputs(net, batch, torch.float32)[-1][:, 0]
    start = residual_baseline(batch["features"].movedim(1, -1), batch["fallback"][:, 0], batch["trust"][:, 0])
    assert torch.equal(result, start)


def test_losses_by_hand() -> None:
    true = torch.zeros(1, 1, 4, 4)
    result, mask = true.clone(), torch.ones_like(true, dtype=torch.bool)
    assert all(float(loss(result, true, mask)) == 0 for loss in (masked_l1, masked_l2, gradient, laplacian_pyramid))
    result[0, 0, 1, 1] = 0.5
    assert float(masked_l1(result, true, mask)) == pytest.approx(0.5 / 17)
    assert float(masked_l2(result, true, mask)) == pytest.approx(0.25 / 17)
    assert float(gradient(result, true, mask)) == pytest.approx(2.0 / 17)
    assert float(laplacian_pyramid(result + 0.25, true + 0.25, mask)) > 0


def test_learning_rate_warms_up_and_falls() -> None:
    recipe = load_recipe("shm-lite", steps=1000, warmup=100, rate=1.0, floor=0.1)
    rates = [learning_rate(recipe, step) for step in (0, 99, 550, 1000)]
    assert rates == pytest.approx([0.01, 1.0, 0.55, 0.1])


def test_the_loss_falls(cache: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    train(_recipe(steps=60, batch=3), cache, tmp_path, workers=0, every=12, report=lines.append)
    lines = [line for line in lines if "network" in line]  # a slow machine shows lines without validation between them
    assert len(lines) == 5 and lines[-1]["network"] < lines[0]["network"], lines
    assert lines[-1]["l1"] + lines[-1]["l2"] < lines[0]["l1"] + lines[0]["l2"]


def test_a_resumed_run_ends_with_the_same_weights(cache: Path, tmp_path: Path) -> None:
    whole = train(_recipe(), cache, tmp_path / "whole", workers=0, every=3).ema.state_dict()
    stopped = train(_recipe(), cache, tmp_path / "parts", workers=0, every=3, seconds=0)
    assert stopped.step == 0
    train(_recipe(), cache, tmp_path / "parts", workers=0, every=3, seconds=1e-9)
    resumed = train(_recipe(), cache, tmp_path / "parts", workers=0, every=3)
    assert resumed.step == 6
    assert all(torch.equal(value, resumed.ema.state_dict()[name]) for name, value in whole.items())


def test_a_checkpoint_in_the_middle_is_picked_up(cache: Path, tmp_path: Path) -> None:
    whole = train(_recipe(), cache, tmp_path / "whole", workers=0, every=3).ema.state_dict()

    class Stop(Exception):
        pass

    def stop(line: dict[str, float]) -> None:
        raise Stop

    with pytest.raises(Stop):
        train(_recipe(), cache, tmp_path / "cut", workers=0, every=3, report=stop)
    resumed = train(_recipe(), cache, tmp_path / "cut", workers=0, every=3)
    assert all(torch.equal(value, resumed.ema.state_dict()[name]) for name, value in whole.items())


def test_the_command_writes_weights_that_load(cache: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    values = {**_recipe(steps=2).as_dict(), "recipe": None}
    del values["recipe"]
    recipe.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in values.items()))
    out = tmp_path / "run"
    arguments = ["train", "shm", "-o", str(out), "--recipe", str(recipe), "--cache", str(cache), "--workers", "0"]
    result = CliRunner().invoke(app, [*arguments, "--every", "1", "--json"])
    assert result.exit_code == 0, result.output
    compare("train", json.loads(result.stdout))
    path = Path(json.loads(result.stdout)["weights"])
    assert load_shm(str(path)).size == "lite"
    card = path.with_suffix(".md").read_text()
    assert "Apache-2.0" in card and "SHA-256" in card and "2 steps of 2 crops" in card
    assert (out / "curves.png").stat().st_size > 0 and len((out / "log.jsonl").read_text().splitlines()) == 2


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no recipe"):
        load_recipe("nothing")
    (tmp_path / "odd.toml").write_text("size = 'lite'")
    with pytest.raises(InputError, match="lacks or misspells"):
        load_recipe(tmp_path / "odd.toml")
    (tmp_path / "bad.toml").write_text("size = ")
    with pytest.raises(InputError, match="not valid TOML"):
        load_recipe(tmp_path / "bad.toml")
    with pytest.raises(InputError, match="no training samples"):
        train(_recipe(), tmp_path / "none", tmp_path)


def test_the_papers_size_learns_from_all_its_outputs(cache: Path, tmp_path: Path) -> None:
    """The recipe of SparseMat, on small crops: the loss falls, and every side output has learned."""
    recipe = load_recipe("sparsemat", side=SIDE, batch=2, steps=8, held_out=2, scenes=8, rate=1e-3)
    task = ShmTask(recipe, cache)
    state, batch = new_state(task, torch.device("cpu")), next(iter(task.stream(0)))
    before = [p.detach().clone() for p in state.net.sides.parameters()]  # type: ignore[union-attr]
    first, _ = task.loss(state.net.train(), batch, torch.float32)
    assert len(outputs(state.net, batch, torch.float32)) == 4
    for _ in range(recipe.steps):
        train_step(task, state, batch, torch.float32)
    last, _ = task.loss(state.net, batch, torch.float32)
    assert float(last.detach()) < 0.9 * float(first.detach())
    after = state.net.sides.parameters()  # type: ignore[union-attr]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert set(task.validate(state.net, torch.float32)) == {"prior", "projection", "fallback", "network"}


def test_a_checkpoint_is_read_to_the_host(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AdamW refuses step counters on a GPU, where they would be if the checkpoint were read to the network's device."""
    state, read, seen = new_state(ShmTask(_recipe(), cache), torch.device("cpu")), torch.load, list[str]()

    def load(path: Path, map_location: str, weights_only: bool) -> object:
        seen.append(str(map_location))
        return read(path, map_location=map_location, weights_only=weights_only)

    state.step = 3
    state.save(tmp_path / "checkpoint.pt")
    monkeypatch.setattr(torch, "load", load)
    state.load(tmp_path / "checkpoint.pt")
    assert seen == ["cpu"] and state.step == 3


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda:1", True), ("mps", False)])
def test_batches_for_a_gpu_are_page_locked(device: str, pinned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def loader(stream: object, size: None, *, num_workers: int, pin_memory: bool) -> list[object]:
        seen.append(pin_memory)
        return []

    monkeypatch.setattr(training, "DataLoader", loader)
    assert list(training._batches(CropStream.__new__(CropStream), 0, torch.device(device))) == []
    assert seen == [pinned]
