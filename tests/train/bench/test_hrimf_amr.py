"""The tables of HRIMF-AMR on two tiny pictures whose alpha is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.docs.schema import compare, printed
from uhrmat.cli.app import app
from uhrmat.refine.ddfe.network import DDFE, SIZES
from uhrmat.refine.shm.network import SHM
from uhrmat.sparse import ActiveSet, DenseEngine, TilesEngine
from uhrmat.train.bench.hrimf_amr import ADAPTABILITY_UPSAMPLERS, UPSAMPLERS, measure
from uhrmat.train.bench.pictures import find_items
from uhrmat.train.bench.tables import tables
from uhrmat.train.bench.work import count_macs


def _write(folder: Path, name: str, shift: float) -> None:
    """A disc of one colour with a soft edge on noise of another."""
    y, x = np.mgrid[:72, :96]
    alpha = np.clip((24 + shift - np.hypot(y - 36, x - 48)) / 6 + 0.5, 0, 1)[..., None]
    noise = np.random.default_rng(1).normal(0, 4, (72, 96, 3))
    colour = alpha * [60, 90, 210] + (1 - alpha) * [170, 120, 40] + noise
    cv2.imwrite(str(folder / f"{name}.png"), np.rint(np.clip(colour, 0, 255)).astype(np.uint8))
    cv2.imwrite(str(folder / f"{name}_gt.png"), np.rint(alpha[..., 0] * 255).astype(np.uint8))
    distance = np.hypot(y - 36, x - 48)
    trimap = np.where(distance < 16, 255, np.where(distance > 32, 0, 128)).astype(np.uint8)
    cv2.imwrite(str(folder / f"{name}_trimap.png"), trimap)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    _write(folder, "a", 0)
    _write(folder, "b", 3)
    (folder / "c.png").write_bytes((folder / "a.png").read_bytes())
    return folder


def test_pictures_are_found_in_both_layouts(data: Path, tmp_path: Path) -> None:
    assert [item.name for item in find_items(data)] == ["a", "b"], "c has no trimap"
    base = tmp_path / "alphamatting"
    for part, kind in (("Images", ""), ("Trimap1", "_trimap"), ("GroundTruth", "_gt")):
        (base / part).mkdir(parents=True)
        (base / part / "a.png").write_bytes((data / f"a{kind}.png").read_bytes())
    assert find_items(tmp_path) == find_items(base) and find_items(base)[0].truth == base / "GroundTruth" / "a.png"
    assert find_items(tmp_path / "nothing") == []


def test_every_method_with_and_without_ddfe(data: Path) -> None:
    notes: list[str] = []
    result = measure(find_items(data), ("closed-form", "rw", "no-such-method"), note=notes.append)
    assert result.pictures == ["a", "b"] and len(notes) == 2
    assert "no-such-method" in result.skipped and "no-such-method" in result.skipped["no-such-method"]
    made = tables(result, ("closed-form", "rw", "no-such-method"))
    pairs = [(row["method"], row["upsampling"]) for row in made["adaptability"]]
    assert pairs == [(method, way) for method in ("closed-form", "rw") for way in ADAPTABILITY_UPSAMPLERS]
    assert {row["upsampling"] for row in made["ablation"]} == set(UPSAMPLERS) - result.skipped.keys()
    assert {row["method"] for row in made["error correction"]} == {"closed-form", "rw"}
    by_way = {row["upsampling"]: row for row in made["complexity"]}
    assert by_way["bilinear"]["parameters"] == 0 == by_way["bilinear"]["gflops"]
    assert by_way["DDFE"]["parameters"] == sum(p.numel() for p in DDFE("line").parameters())
    assert 0 < by_way["DDFE paper size"]["gflops"] < by_way["DDFE"]["gflops"] < by_way["SHM"]["gflops"]


def test_low_resolution_errors_are_against_the_averaged_truth(data: Path) -> None:
    result = measure(find_items(data)[:1], ("closed-form",))
    low = result.mean_low("closed-form")
    high = result.mean("closed-form", "bilinear")
    assert low is not None and high is not None
    assert 0 < low["mad"] < high["mad"] < 100 and 0 < low["mse"] < high["mse"]


@pytest.mark.parametrize("size", sorted(SIZES))
def test_operations_are_counted_at_active_pixels_alike_on_both_engines(size: str) -> None:
    net, mask = DDFE(size).eval(), np.random.default_rng(0).random((40, 40)) < 0.3
    weights = sum(p.numel() for name, p in net.named_parameters() if name.endswith("weight"))
    for engine in (DenseEngine(mask), TilesEngine(ActiveSet.from_mask(mask))):
        with torch.no_grad(), count_macs(net) as work:
            net(engine, engine.sample(lambda y, x: torch.rand(*y.shape, net.config.inputs)))
        assert work.macs == weights * mask.sum() and work.gflops == pytest.approx(2e-9 * work.macs)


def test_operations_of_strided_layers_follow_their_own_sites() -> None:
    net, mask = SHM("lite").eval(), np.ones((16, 16), bool)
    result = []
    for engine in (DenseEngine(mask), TilesEngine(ActiveSet.from_mask(mask))):
        with torch.no_grad(), count_macs(net) as work:
            x = engine.sample(lambda y, _: torch.rand(*y.shape, net.config.inputs))
            net(engine, x, torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64))
        result.append(work.macs)
    assert result[0] == result[1]
    assert net.down.weight.numel() * 64 + net.stem.weight.numel() * 256 < result[0]


def test_the_command_prints_tables_and_json(data: Path) -> None:
    arguments = ["bench", "hrimf-amr", "--data", str(data), "--methods", "closed-form", "--limit", "1"]
    text = CliRunner().invoke(app, arguments)
    assert text.exit_code == 0 and all(f"Table {n}" in text.output for n in ("II,", "III,", "IV,", "V,"))
    document = printed(*arguments)
    compare("bench hrimf-amr", document)
    assert document["pictures"] == ["a"] and len(document["tables"]["adaptability"]) == len(ADAPTABILITY_UPSAMPLERS)


def test_two_tables_measure_three_ways_only(data: Path) -> None:
    arguments = ["bench", "hrimf-amr", "--data", str(data), "--methods", "closed-form", "--limit", "1"]
    document = printed(*arguments, "--adaptability")
    compare("bench hrimf-amr", document)
    tables_made = document["tables"]
    assert list(tables_made) == ["adaptability", "error correction"]
    assert [row["upsampling"] for row in tables_made["adaptability"]] == list(ADAPTABILITY_UPSAMPLERS)
    assert measure(find_items(data)[:1], ("closed-form",), all_upsamplers=False).parameters.keys() == set(
        ADAPTABILITY_UPSAMPLERS
    )


def test_an_empty_folder_is_said_in_a_sentence(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "hrimf-amr", "--data", str(tmp_path)])
    assert result.exit_code == 0 and "nothing was measured" in result.output
    document = printed("bench", "hrimf-amr", "--data", str(tmp_path))
    compare("bench hrimf-amr", document)
    assert "tables" not in document
