"""The network that corrects the affinity prior in training: cut-outs, scenes, crops, learning, the command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.docs.schema import compare
from tests.train.resuming import resumed_like_unbroken
from uhrmat.cli.app import app
from uhrmat.core.errors import WeightsError
from uhrmat.hub.bundled import bundled_weights
from uhrmat.hub.tensors import load_tensors
from uhrmat.prior.networks.lpn_trimap import (
    GRID,
    TrimapNet,
    estimate_alpha,
    fold_trimap_net,
    load_trimap_net,
    start_encoder,
)
from uhrmat.train.recipe import TrimapRecipe, load_recipe
from uhrmat.train.subject.pool import Pool
from uhrmat.train.subject.teachers import Ensemble
from uhrmat.train.task import fit
from uhrmat.train.trimap.cutouts import CutoutParams, cut_out, find_cutouts, write_cutouts
from uhrmat.train.trimap.scenes import Material, TrimapScene, TrimapSceneCache, TrimapSceneParams, make_scene
from uhrmat.train.trimap.task import CropStream, TrimapTask, draw_crop

SIDE = 64


def _disc(seed: int) -> TrimapScene:
    """A soft disc whose prior is too dark by a half within the band."""
    ys, xs = np.mgrid[:96, :96]
    rng = np.random.default_rng(seed)
    off = np.hypot(ys - rng.uniform(40, 56), xs - rng.uniform(40, 56)) - 28
    alpha = np.clip(0.5 - off / 12, 0, 1).astype(np.float32)
    trimap = np.where(alpha == 1, 255, np.where(alpha == 0, 0, 128)).astype(np.uint8)
    image = np.rint(255 * (alpha[..., None] * (0.9, 0.5, 0.3) + (1 - alpha[..., None]) * (0.1, 0.2, 0.4)))
    closed = np.where(trimap == 128, alpha * 0.5, alpha).astype(np.float32)
    return TrimapScene(image=image.astype(np.uint8), alpha=alpha, trimap=trimap, closed=closed)


def _fill(folder: Path, count: int) -> None:
    scenes = TrimapSceneCache(folder)
    for seed in range(count):
        scene = _disc(seed)
        stored = np.rint(scene.alpha * 65535).astype(np.uint16)
        scenes.write(seed, image=scene.image, alpha=stored, trimap=scene.trimap, closed=scene.closed.astype(np.float16))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    _fill(folder, 6)
    return folder


def _recipe(**changes: object) -> TrimapRecipe:
    small = {"side": SIDE, "batch": 4, "steps": 4, "warmup": 2, "held_out": 2, "scenes": 6, "ema": 0.9}
    return load_recipe("lpn-trimap", TrimapRecipe, **{**small, **changes})


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (2, 7)])
def test_the_estimate_has_a_quarter_of_the_size_and_the_alpha_all_of_it(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net, planes = TrimapNet().eval(), (torch.rand(1, 3, *size), torch.zeros(1, 2, *size), torch.rand(1, 1, *size))
    assert net(*planes).shape[2:] == (-(-size[0] // 4), -(-size[1] // 4))
    alpha = estimate_alpha(net, *planes)
    assert alpha.shape == planes[2].shape and float(alpha.min()) >= 0 and float(alpha.max()) <= 1


def test_where_the_network_agrees_with_the_prior_its_detail_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = torch.rand(1, 1, 40, 52)
    net = TrimapNet().eval()
    agreeing = torch.logit(torch.nn.functional.avg_pool2d(closed, GRID))
    mirrored = agreeing.flip(-1)
    answers = iter((agreeing, mirrored))
    monkeypatch.setattr(TrimapNet, "forward", lambda *_: next(answers))
    alpha = estimate_alpha(net, torch.rand(1, 3, 40, 52), torch.zeros(1, 2, 40, 52), closed)
    assert torch.allclose(alpha, closed, atol=1e-5)


def test_folding_the_normalisation_changes_nothing() -> None:
    torch.manual_seed(1)
    net, planes = TrimapNet(norm=True), (torch.rand(2, 3, 64, 64), torch.zeros(2, 2, 64, 64), torch.rand(2, 1, 64, 64))
    for _ in range(3):
        net(*planes)
    folded = fold_trimap_net(net.eval())
    assert float((net(*planes) - folded(*planes)).detach().abs().max()) < 1e-4


def test_the_encoder_starts_as_that_of_the_subject_network() -> None:
    tensors = load_tensors(bundled_weights("lpn-subject"))[0]
    net = TrimapNet(norm=True)
    start_encoder(net, tensors)
    first = net.state_dict()["stem.0.weight"]
    assert torch.equal(first[:, :3], tensors["stem.0.weight"]) and not first[:, 3:].any()
    assert torch.equal(net.state_dict()["stages.3.0.project.weight"], tensors["stages.3.0.project.weight"])
    assert torch.equal(net.state_dict()["stem.0.bias"], tensors["stem.0.bias"])
    with pytest.raises(WeightsError, match=r"no stem\.0\.weight"):
        start_encoder(net, {})


def test_a_subject_is_cut_out_at_its_box() -> None:
    ys, xs = np.mgrid[:300, :400]
    disc = np.hypot(ys - 160, xs - 150) < 80
    picture = np.where(disc[..., None], (200, 120, 60), (30, 60, 30)).astype(np.uint8)
    cut = cut_out(picture, disc.astype(np.uint8) * 255, 0.02)
    assert cut is not None
    pixels, alpha = cut
    assert pixels.shape[:2] == alpha.shape and min(alpha.shape) >= 160 and max(alpha.shape) <= 200
    inside = pixels[..., 0] > 100
    assert alpha[inside].mean() > 245 and alpha[~inside].mean() < 10
    assert cut_out(picture, np.zeros((300, 400), np.uint8), 0.02) is None
    assert cut_out(picture, np.full((300, 400), 255, np.uint8), 0.02) is None
    assert cut_out(picture[:, :, :], (np.hypot(ys - 160, xs - 150) < 40).astype(np.uint8) * 255, 0.02) is None


def test_a_scene_holds_its_prior_and_is_the_same_again(tmp_path: Path) -> None:
    ys, xs = np.mgrid[:160, :160]
    disc = np.clip(60.5 - np.hypot(ys - 80, xs - 80), 0, 1)
    cv2.imwrite(str(tmp_path / "a.jpg"), np.where(disc[..., None] > 0.5, (40, 90, 220), (200, 180, 160)))
    cv2.imwrite(str(tmp_path / "a.png"), np.rint(disc * 255))
    cv2.imwrite(str(tmp_path / "b.jpg"), np.zeros((10, 10, 3)))
    assert find_cutouts(tmp_path) == [(tmp_path / "a.jpg", tmp_path / "a.png")]
    material = Material([], [], find_cutouts(tmp_path))
    params = TrimapSceneParams(side=128, matte_share=0.0, cutout_share=1.0)
    scene, again = (make_scene(3, material, params) for _ in range(2))
    assert all(np.array_equal(getattr(scene, name), getattr(again, name)) for name in ("image", "alpha", "trimap"))
    known = scene.trimap != 128
    assert scene.image.shape == (128, 128, 3) and {0, 128, 255} == set(np.unique(scene.trimap))
    assert np.array_equal(scene.closed[known], scene.alpha[known]) and 0 < scene.error < 0.5
    store = TrimapSceneCache(tmp_path / "scenes")
    store.make(3, material, params)
    stored = store.load(3)
    assert np.array_equal(stored.image, scene.image) and np.abs(stored.closed - scene.closed).max() < 1e-3


def test_crops_keep_maps_together() -> None:
    crop = draw_crop(_disc(3), SIDE, np.random.default_rng(1))
    assert all(x.shape == (count, SIDE, SIDE) for x, count in zip(crop.values(), (3, 2, 1, 1), strict=True))
    unknown = crop["known"].sum(0) == 0
    assert unknown.any() and (crop["alpha"][0][crop["known"][0] == 1] > 0.99).all()
    assert float((crop["closed"] - crop["alpha"] / 2)[0][unknown].abs().max()) < 1e-3


def test_batches_depend_on_their_number_only(cache: Path) -> None:
    first = iter(CropStream(cache, _recipe()))
    next(first)
    second, again = next(first), next(iter(CropStream(cache, _recipe(), 1)))
    assert all(torch.equal(second[name], again[name]) for name in second)


def test_the_estimate_comes_nearer_to_the_truth_than_the_prior(cache: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    fit(TrimapTask(_recipe(steps=60, rate=3e-3), cache), tmp_path, workers=0, every=30, report=lines.append)
    assert lines[-1]["l2"] < 0.5 * lines[0]["l2"] and lines[-1]["network"] < 0.8 * lines[-1]["prior"]


def test_a_resumed_run_ends_with_the_same_weights(cache: Path, tmp_path: Path) -> None:
    resumed_like_unbroken(TrimapTask(_recipe(), cache), tmp_path)


def test_subjects_with_masks_and_agreed_labels_are_cut_out(
    photographs: Path, prepared: tuple[Pool, Ensemble], tmp_path: Path
) -> None:
    params = CutoutParams(people_every=2, least_side=10)
    write_cutouts(photographs, prepared[0], tmp_path, params=params)
    names = {photo.stem for photo, _ in find_cutouts(tmp_path)}
    labelled = {name for name in names if name.startswith("set-")}
    assert len([name for name in names if name.startswith("people-")]) == 5 and "coco-a" in names
    assert labelled and not labelled & {f"set-f{number}" for number in (3, 4, 8, 9, 13, 14)}  # empty and ambiguous
    photo, alpha = next(pair for pair in find_cutouts(tmp_path) if pair[0].stem == "coco-a")
    pixels, cover = cv2.imread(str(photo)), cv2.imread(str(alpha), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None and cover is not None and pixels.shape[:2] == cover.shape
    assert pixels[cover > 250].mean(0)[2] > 200 > 60 > pixels[cover > 250].mean(0)[0]
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_cutouts(photographs, prepared[0], tmp_path, params=params)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_the_command_writes_weights_that_load(photographs: Path, small_teachers: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(photographs, data)
    (data / "textures").mkdir()
    cv2.imwrite(str(data / "textures" / "place.jpg"), np.full((90, 90, 3), 90, np.uint8))
    recipe = tmp_path / "tiny.toml"
    numbers = _recipe(steps=2, scenes=18).as_dict()
    recipe.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in numbers.items()))
    _fill(run / "cache" / "trimap-scenes", 18)
    arguments = ["--recipe", recipe, "--data", data, "--teachers", small_teachers, "--device", "cpu", "--workers", 0]
    result = CliRunner().invoke(app, ["train", "trimap", "-o", str(run), *map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    compare("train", json.loads(result.stdout))
    path = Path(json.loads(result.stdout)["weights"])
    assert path.name == "lpn-trimap.safetensors" and not load_trimap_net(path).training
    assert "2 steps of 4 crops of 64 x 64 from 18 scenes" in path.with_suffix(".md").read_text()


def test_without_photographs_the_command_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "trimap", "-o", str(tmp_path / "run")])
    assert result.exit_code == 2 and "--data" in result.output
    recipe = tmp_path / "other.toml"
    recipe.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in _recipe().as_dict().items() if k != "bce"))
    result = CliRunner().invoke(app, ["train", "trimap", "-o", str(tmp_path / "run"), "--recipe", str(recipe)])
    assert result.exit_code == 2 and "bce" in result.output
