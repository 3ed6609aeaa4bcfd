"""The ablations on one tiny picture and six tiny scenes: every case is there, and parts that are off are off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import ablation
from uhrmat.refine.features import CHANNELS, PRIOR, PROJECTION, mask_colour_line
from uhrmat.refine.shm.network import SHM


@pytest.fixture(scope="module")
def result(disc: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, float]]]:
    """What the command writes for a disc on noise."""
    folder = tmp_path_factory.mktemp("ablation")
    before = torch.get_num_threads()
    options = {"--data": disc, "--cache": disc / "scenes", "--runs": folder / "runs", "--results": folder}
    words = [str(word) for pair in options.items() for word in pair]
    ablation.main([*words, "--parts", *ablation.PARTS, "--working-size", "48", "--quick", "--threads", "1"])
    torch.set_num_threads(before)
    return json.loads((folder / "ablation.json").read_text())


def test_every_way_and_every_network_is_measured(result: dict[str, list[dict[str, float]]]) -> None:
    assert [row["case"] for row in result["ways"]] == list(ablation.WAYS)
    trained, measured = result["networks"][:4], result["networks"][4:]
    assert [row["case"] for row in trained] == [row["case"] for row in measured] == list(ablation.NETWORKS)
    assert all(row["steps"] == 2 and row["held out"] > 0 for row in trained)
    assert all(row["sad"] > 0 and row["mse"] > 0 for row in (*result["ways"], *measured))


def test_a_wider_band_has_more_active_pixels(result: dict[str, list[dict[str, float]]]) -> None:
    active = [row["active"] for row in result["dilation"]]
    assert active == sorted(set(active)) and len(active) == len(ablation.DILATIONS)


def test_scenes_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        ablation.main(["--data", str(tmp_path), "--parts", "networks"])


def test_gates_depend_on_what_they_are_said_to() -> None:
    torch.manual_seed(0)
    small, alpha = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    for size, inside in (("lite", True), ("lite-se", False), ("lite-no-gate", False)):
        net = SHM(size)
        torch.nn.init.normal_(net.gate.gate.weight)
        context = torch.rand(1, 32, 4, 4)
        first, second = (net.gate(context, a) for a in (alpha, alpha.flip(-1)))
        assert torch.equal(first, second) != inside
        assert (net.gates(small, alpha) == 1).all() == (size == "lite-no-gate")


def test_without_its_line_a_refiner_begins_at_the_prior() -> None:
    features = torch.rand(4, 5, CHANNELS)
    hidden = mask_colour_line(features)
    assert torch.equal(hidden[..., PROJECTION], features[..., PRIOR])
    assert torch.equal(hidden[..., :PROJECTION], features[..., :PROJECTION])
    assert torch.equal(hidden[..., 7:10], features[..., 7:10]) and not hidden[..., [5, 6, *range(10, 16)]].any()
    assert torch.equal(mask_colour_line(features.movedim(-1, 0), 0), hidden.movedim(-1, 0))
