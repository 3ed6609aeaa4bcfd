"""Whole runs of `uhrmat train subject` on a few small photographs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.train.resuming import resumed_like_unbroken
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError
from uhrmat.hub.bundled import bundled_weights
from uhrmat.hub.tensors import load_tensors
from uhrmat.prior.networks.lpn import SubjectNet, fold_batch_norm, load_person, load_subject
from uhrmat.train.recipe import SubjectRecipe, load_recipe
from uhrmat.train.subject.pool import Pool
from uhrmat.train.subject.run import run_subject
from uhrmat.train.subject.task import Student, SubjectTask, initial_state, plane_loss
from uhrmat.train.subject.teachers import Ensemble
from uhrmat.train.task import fit


def _recipe(**changes: object) -> SubjectRecipe:
    small = {"side": 64, "batch": 4, "steps": 6, "warmup": 1, "ema": 0.5, "teachers": ["selfie"]}
    return load_recipe("lpn-subject-lite", SubjectRecipe, **(small | changes))


@pytest.fixture()
def task(prepared: tuple[Pool, Ensemble]) -> SubjectTask:
    return SubjectTask(_recipe(), *prepared)


def test_the_loss_falls(task: SubjectTask, tmp_path: Path) -> None:
    task.recipe = _recipe(steps=15, rate=3e-3)
    lines: list[dict[str, float]] = []
    fit(task, tmp_path / "run", workers=0, every=5, report=lines.append)
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert {"iou_street", "left", "hints"} <= lines[-1].keys() and lines[-1]["left"] == 0


def test_a_resumed_run_is_that_of_an_unbroken_one(task: SubjectTask, tmp_path: Path) -> None:
    assert resumed_like_unbroken(task, tmp_path).step == task.recipe.steps


@pytest.mark.parametrize("size", ["lite", "base"])
def test_without_normalisation_the_network_is_the_same(size: str) -> None:
    torch.manual_seed(0)
    net = SubjectNet(size=size)
    net(torch.rand(2, 3, 64, 96))  # moves the running statistics
    image = torch.rand(1, 3, 70, 90)
    with torch.no_grad():
        want, got = net.eval()(image).logits, fold_batch_norm(net)(image).logits
    assert want.shape == (1, 2, 70, 90)
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_it_starts_from_the_network_of_people() -> None:
    student = Student({"eighth": 3}, norm=False, size="lite")
    student.load_state_dict(initial_state(student, load_tensors(bundled_weights("lpn-person"))[0]))
    image = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        both, people = student.eval()(image)[0].logits, load_person(bundled_weights("lpn-person"))(image).logits
    # pixel shuffle reads four channels a plane: both planes begin as the one of people
    torch.testing.assert_close(both[:, :1], people)
    torch.testing.assert_close(both[:, 1:], people)
    with pytest.raises(ValueError, match="stem"):
        initial_state(Student({}, norm=False, size="base"), {"stem.0.weight": torch.zeros(1)})


def test_pixels_without_weight_do_not_count() -> None:
    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    true, weight = torch.ones(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    weight[1] = 0
    whole = plane_loss(logits[:1], true[:1], weight[:1], "subject")
    half = plane_loss(logits, true, weight, "subject")
    for name in whole:
        torch.testing.assert_close(half[name], whole[name])


def test_command(photographs: Path, small_teachers: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "small.toml"
    numbers = _recipe(steps=2).as_dict()
    recipe.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in numbers.items()))
    out = tmp_path / "run"
    arguments = [
        "--recipe",
        recipe,
        "--data",
        photographs,
        "--teachers",
        small_teachers,
        "--weights",
        bundled_weights("lpn-person"),
    ]
    result = CliRunner().invoke(app, ["train", "subject", "-o", str(out), *map(str, arguments), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert load_subject(out / "lpn-subject.safetensors")(torch.rand(1, 3, 40, 50)).logits.shape == (1, 2, 40, 50)
    card = (out / "lpn-subject.md").read_text()
    assert "people 10" in card and "set 14" in card and "U²-Net-P" in card and "teachers = ['selfie']" in card
    assert json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"] == 2


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"data": None}, "--data"), ({"teachers": None}, "no teacher"), ({"weights": "shm-lite"}, "another shape")],
)
def test_refusals(
    photographs: Path, small_teachers: Path, tmp_path: Path, changes: dict[str, object], match: str
) -> None:
    options = {"data": photographs, "teachers": small_teachers, "device": "cpu"} | changes
    if isinstance(options.get("weights"), str):
        options["weights"] = bundled_weights(str(options["weights"]))
    with pytest.raises(InputError, match=match):
        run_subject(_recipe(), tmp_path / "run", **options)  # type: ignore[arg-type]
