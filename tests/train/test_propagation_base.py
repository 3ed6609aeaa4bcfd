"""Training of the network that mask propagation starts from, on a few small photographs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.train.resuming import resumed_like_unbroken
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError
from uhrmat.hub.bundled import bundled_weights
from uhrmat.hub.tensors import load_tensors
from uhrmat.prior.networks.lpn import load_person
from uhrmat.train.propagation import task as task_module
from uhrmat.train.propagation.run import run_propagation
from uhrmat.train.propagation.samples import PhotoPairParams, PhotoPairs
from uhrmat.train.propagation.task import PropagationTask
from uhrmat.train.recipe import PropagationRecipe, load_recipe
from uhrmat.train.subject.pool import Pool
from uhrmat.train.subject.teachers import Ensemble
from uhrmat.train.task import fit
from uhrmat.video.propagation.network import MaskNet, load_base_network
from uhrmat.video.propagation.params import PairParams


def _recipe(**changes: object) -> PropagationRecipe:
    small = {"side": 64, "batch": 2, "steps": 4, "warmup": 1, "ema": 0.5}
    return load_recipe("mask-propagation", PropagationRecipe, **(small | changes))


@pytest.fixture(autouse=True)
def short_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_module, "VALIDATION_PAIRS", 4)


@pytest.fixture()
def task(prepared: tuple[Pool, Ensemble]) -> PropagationTask:
    return PropagationTask(_recipe(), prepared[0], load_tensors(bundled_weights("lpn-person"))[0])


def test_the_targets_are_where_the_subject_is(prepared: tuple[Pool, Ensemble]) -> None:
    plain = PairParams(gain=0, offset=0, blur=0, distractor=0, deform=0)
    pairs = PhotoPairs(prepared[0], params=PhotoPairParams(pairs=plain, other_background=0))
    inputs, target = pairs.batch(np.random.default_rng(0), 96, 6)
    assert inputs.shape[:2] == (6, 4) and target.shape == (6, 1, *inputs.shape[2:])
    assert inputs.dtype == target.dtype == np.float32 and inputs.min() >= 0 and inputs.max() <= 1
    red = (inputs[:, 0] > 0.65) & (inputs[:, 1] < 0.35)
    assert target.any() and (red == (target[:, 0] > 0.5)).mean() > 0.97
    overlap = (inputs[:, 3] > 0.5) & (target[:, 0] > 0.5)
    assert 0 < overlap.sum() < (target > 0.5).sum()  # the last mask is of the same subject, a little elsewhere


def test_over_another_photograph_there_are_subjects_that_the_target_leaves_out(
    prepared: tuple[Pool, Ensemble],
) -> None:
    def unmarked(share: float) -> float:
        plain = PairParams(gain=0, offset=0, blur=0, distractor=0)
        pairs = PhotoPairs(prepared[0], params=PhotoPairParams(pairs=plain, other_background=share))
        inputs, target = pairs.batch(np.random.default_rng(3), 96, 12)
        return float(((inputs[:, 0] > 0.65) & (inputs[:, 1] < 0.35) & (target[:, 0] < 0.1)).mean())

    assert unmarked(1.0) > 5 * unmarked(0.0)


def test_held_out_photographs_and_those_without_subject_are_not_trained_on(prepared: tuple[Pool, Ensemble]) -> None:
    pool = prepared[0]
    trained, held_out = PhotoPairs(pool), PhotoPairs(pool, held_out=True)
    subjects = [photo for photo in pool.photos if photo.tag in ("person", "animal", "object")]
    assert held_out.count > 0 and trained.count + held_out.count <= len(subjects)


def test_a_resumed_run_is_that_of_an_unbroken_one(task: PropagationTask, tmp_path: Path) -> None:
    assert resumed_like_unbroken(task, tmp_path).step == task.recipe.steps


def test_it_learns(task: PropagationTask, tmp_path: Path) -> None:
    task.recipe = _recipe(steps=24, rate=2e-3)
    lines: list[dict[str, float]] = []
    fit(task, tmp_path / "run", workers=0, every=8, report=lines.append)
    assert lines[-1]["loss"] < lines[0]["loss"] and 0 < lines[-1]["iou_pairs"] <= 1


def test_it_starts_as_the_person_network() -> None:
    tensors, _ = load_tensors(bundled_weights("lpn-person"))
    planes = torch.rand(1, 4, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = load_person(bundled_weights("lpn-person"))(planes[:, :3]).logits
        torch.testing.assert_close(
            MaskNet.from_tensors(tensors, 4).eval()(planes).logits, expected, atol=1e-4, rtol=1e-4
        )  # fmt: skip


def test_command(photographs: Path, small_teachers: Path, tmp_path: Path) -> None:
    recipe, out = tmp_path / "small.toml", tmp_path / "run"
    numbers = _recipe(steps=2).as_dict()
    recipe.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in numbers.items()))
    arguments = ["--recipe", recipe, "--data", photographs, "--teachers", small_teachers, "--device", "cpu"]
    result = CliRunner().invoke(app, ["train", "propagation", "-o", str(out), *map(str, arguments)])
    assert result.exit_code == 0, result.output
    net = load_base_network(path=out / "mask-propagation.safetensors")
    assert net(torch.rand(1, 6, 40, 50)).logits.shape == (1, 1, 40, 50)
    assert "people 10" in (out / "mask-propagation.md").read_text()


@pytest.mark.parametrize(
    ("changes", "match"), [({"data": None}, "--data"), ({"weights": "shm-lite"}, "propagates masks")]
)  # fmt: skip
def test_refusals(
    photographs: Path, small_teachers: Path, tmp_path: Path, changes: dict[str, object], match: str
) -> None:
    options = {"data": photographs, "teachers": small_teachers, "device": "cpu"} | changes
    if isinstance(options.get("weights"), str):
        options["weights"] = bundled_weights(str(options["weights"]))
    with pytest.raises(InputError, match=match):
        run_propagation(_recipe(), tmp_path / "run", **options)  # type: ignore[arg-type]
