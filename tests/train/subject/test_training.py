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
from uhrmat.prior.networks.lpn import PersonNet, SubjectNet, fold_batch_norm, load_subject
from uhrmat.train.recipe import SubjectRecipe, load_recipe
from uhrmat.train.subject.encoder import load_encoder
from uhrmat.train.subject.pool import Pool
from uhrmat.train.subject.run import run_subject
from uhrmat.train.subject.task import Student, SubjectTask, initial_state, plane_loss
from uhrmat.train.subject.teachers import Ensemble
from uhrmat.train.task import fit, new_state, train_step


def _recipe(**changes: object) -> SubjectRecipe:
    small = {"side": 64, "batch": 4, "steps": 6, "warmup": 1, "ema": 0.5, "teachers": ["selfie"], "hint": 0.3}
    start = {"encoder": "", "normalise": False}
    return load_recipe("lpn-subject", SubjectRecipe, **(small | start | changes))


@pytest.fixture()
def task(prepared: tuple[Pool, Ensemble]) -> SubjectTask:
    return SubjectTask(_recipe(), *prepared)


def test_the_loss_falls(task: SubjectTask, tmp_path: Path) -> None:
    task.recipe = _recipe(steps=36, rate=3e-3, normalise=True)
    lines: list[dict[str, float]] = []
    fit(task, tmp_path / "run", workers=0, every=12, report=lines.append)
    assert lines[-1]["loss"] < 0.9 * lines[0]["loss"]
    assert {"iou_street", "left", "hints"} <= lines[-1].keys() and lines[-1]["left"] == 0


def test_a_resumed_run_is_that_of_an_unbroken_one(task: SubjectTask, tmp_path: Path) -> None:
    assert resumed_like_unbroken(task, tmp_path).step == task.recipe.steps


@pytest.mark.parametrize("kind", [PersonNet, SubjectNet])
def test_without_normalisation_the_network_is_the_same(kind: type[PersonNet]) -> None:
    torch.manual_seed(0)
    net = kind()
    net(torch.rand(2, 3, 64, 96))  # moves the running statistics
    image = torch.rand(1, 3, 70, 90)
    with torch.no_grad():
        want, got = net.eval()(image).logits, fold_batch_norm(net)(image).logits
    assert want.shape == (1, net.config.outputs, 70, 90)
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_it_starts_from_finished_weights() -> None:
    student = Student({"eighth": 3}, norm=False)
    weights = bundled_weights("lpn-subject")
    student.load_state_dict(initial_state(student, load_tensors(weights)[0]))
    image = torch.rand(1, 3, 96, 64)
    with torch.no_grad():
        torch.testing.assert_close(student.eval()(image)[0].logits, load_subject(weights)(image).logits)
    with pytest.raises(ValueError, match="stem"):
        initial_state(Student({}, norm=False), {"stem.0.weight": torch.zeros(1)})


def test_it_starts_from_an_encoder_of_the_same_shape() -> None:
    torch.manual_seed(0)
    net, other = SubjectNet(norm=False), SubjectNet(norm=False)
    layers = [m for part in (other.stem, other.stages) for m in part.modules() if isinstance(m, torch.nn.Conv2d)]
    load_encoder(net, [(layer.weight, layer.bias) for layer in layers] + [(torch.zeros(9), None)])
    image = torch.rand(1, 3, 70, 90)
    with torch.no_grad():
        features, wanted = net.forward_features(image)[1], other.forward_features(image)[1]
    for grid in ("quarter", "eighth", "sixteenth"):
        torch.testing.assert_close(features[grid][0], wanted[grid][0])
    assert not net.summary.weight.any() and not net.summary.bias.any()
    before = net.stem[0].weight.clone()
    with pytest.raises(InputError, match="not the MobileNetV2"):
        load_encoder(net, [(torch.zeros(32, 3, 5, 5), torch.zeros(32))])
    assert torch.equal(net.stem[0].weight, before)


def test_the_encoder_has_a_rate_of_its_own(prepared: tuple[Pool, Ensemble]) -> None:
    task = SubjectTask(_recipe(encoder_rate=0.1, rate=1e-3, warmup=0), *prepared)
    state = new_state(task, torch.device("cpu"))
    before = {name: value.clone() for name, value in state.net.state_dict().items()}
    train_step(task, state, next(iter(task.stream(0))), torch.float32)
    # Adam's first step moves every parameter by about its rate, whatever the gradient
    moved = {name: float((value - before[name]).abs().max()) for name, value in state.net.state_dict().items()}
    assert moved["net.stages.2.0.expand.0.weight"] == pytest.approx(1e-4, rel=0.05)
    assert moved["net.ups.0.mix.0.weight"] == pytest.approx(1e-3, rel=0.05)
    sizes = [sum(p.numel() for p in group["params"]) for group in state.optimiser.param_groups]
    assert sum(sizes) == sum(p.numel() for p in state.net.parameters())


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
        bundled_weights("lpn-subject"),
    ]
    result = CliRunner().invoke(app, ["train", "subject", "-o", str(out), *map(str, arguments), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert load_subject(out / "lpn-subject.safetensors")(torch.rand(1, 3, 40, 50)).logits.shape == (1, 2, 40, 50)
    card = (out / "lpn-subject.md").read_text()
    assert "people 10" in card and "set 14" in card and "U²-Net-P" in card and "teachers = ['selfie']" in card
    assert json.loads((out / "log.jsonl").read_text().splitlines()[-1])["step"] == 2


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"data": None}, "--data"), ({"teachers": None}, "no teacher"), ({"weights": "lpn-person"}, "another shape")],
)
def test_refusals(
    photographs: Path, small_teachers: Path, tmp_path: Path, changes: dict[str, object], match: str
) -> None:
    options = {"data": photographs, "teachers": small_teachers, "device": "cpu"} | changes
    if isinstance(options.get("weights"), str):
        options["weights"] = bundled_weights(str(options["weights"]))
    with pytest.raises(InputError, match=match):
        run_subject(_recipe(), tmp_path / "run", **options)  # type: ignore[arg-type]
