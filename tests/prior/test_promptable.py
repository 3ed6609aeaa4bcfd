"""SAM 2 and EdgeTAM with random weights, from folders in transformers' layout and from a Hub on 127.0.0.1."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hints.prompts import Box, Point, Prompts
from uhrmat.prior.base import LowResHints
from uhrmat.prior.choose import choose_prior, takes_prompts
from uhrmat.prior.registry import PriorRegistry

transformers = pytest.importorskip("transformers", minversion="5.0")

from tests.prior.promptable_networks import save_edgetam, save_sam2  # noqa: E402
from uhrmat.prior.networks.promptable import PromptableNetwork, loader_of  # noqa: E402
from uhrmat.prior.networks.registry import load_network  # noqa: E402

SIZE = (48, 72)


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sam2(tmp_path_factory.mktemp("sam2") / "tiny-sam2")


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((*SIZE, 3), np.float32)


def reference(folder: Path, points: list[list[float]], labels: list[int]) -> np.ndarray:
    """What transformers' own still-picture class gives for points: (h, w) logits, before resizing."""
    import cv2
    import torch

    net = transformers.Sam2VideoModel.from_pretrained(folder).eval()
    square = cv2.resize(picture(), (64, 64), interpolation=cv2.INTER_LINEAR)
    values = (square - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    session = transformers.Sam2VideoInferenceSession(video_height=SIZE[0], video_width=SIZE[1], dtype=torch.float32)
    coordinates = torch.tensor([[[[x * 64 / SIZE[1], y * 64 / SIZE[0]] for x, y in points]]])
    session.add_point_inputs(session.obj_id_to_idx(0), 0, {
        "point_coords": coordinates, "point_labels": torch.tensor([[labels]], dtype=torch.int32),
    })  # fmt: skip
    session.obj_with_new_inputs = [0]
    frame = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
    with torch.inference_mode():
        return np.asarray(net(session, frame=frame, frame_idx=0).pred_masks[0, 0].numpy())


@pytest.mark.parametrize(
    ("prompts", "points", "labels"),
    [
        (Prompts((Point(30, 20), Point(5, 40, False))), [[30, 20], [5, 40]], [1, 0]),
        (Prompts(boxes=(Box(10, 8, 60, 40),)), [[10, 8], [60, 40]], [2, 3]),
        (Prompts((Point(30, 20),), (Box(10, 8, 60, 40),)), [[10, 8], [60, 40], [30, 20]], [2, 3, 1]),
    ],
    ids=["points", "box", "both"],
)
def test_a_picture_is_segmented_as_transformers_does(
    sam2: Path, prompts: Prompts, points: list[list[float]], labels: list[int]
) -> None:
    import cv2

    alpha = load_network(str(sam2))(picture(), LowResHints(prompts=prompts)).alpha
    logits = cv2.resize(reference(sam2, points, labels), SIZE[::-1], interpolation=cv2.INTER_LINEAR)
    assert alpha.shape == SIZE and alpha.dtype == np.float32
    assert np.abs(alpha - 1 / (1 + np.exp(-logits))).max() < 1e-4
    assert np.ptp(alpha) > 1e-3  # the random network does say something of the picture


def test_boxes_are_objects_of_their_own_and_background_boxes_are_cut_out(sam2: Path) -> None:
    network = load_network(str(sam2))
    first, second = Box(0, 0, 30, 48), Box(40, 0, 72, 48)
    each = [network(picture(), LowResHints(prompts=Prompts(boxes=(box,)))).alpha for box in (first, second)]
    both = network(picture(), LowResHints(prompts=Prompts(boxes=(first, second)))).alpha
    assert np.abs(both - np.maximum(*each)).max() < 1e-5
    cut = network(picture(), LowResHints(prompts=Prompts(boxes=(first, Box(4, 4, 9, 9, False))))).alpha
    assert (cut[4:9, 4:9] == 0).all() and cut[10, 10] > 0


def test_a_clip_is_followed_from_a_mask_and_memory_does_not_grow(sam2: Path) -> None:
    network = PromptableNetwork(sam2 / "model.safetensors", "sam2")
    mask = np.zeros(SIZE, np.float32)
    mask[10:40, 20:50] = 1
    session = network.session(SIZE)
    session.add_mask(0, mask)
    given, score = session.step(0, picture())
    assert ((given > 0.5) == (mask > 0.5)).mean() > 0.9 and score > 0.99  # the mask itself, at the network's size
    followed = [session.step(index, picture(index))[0] for index in range(1, 2 * network.memory + 6)]
    assert all(np.isfinite(m).all() for m in followed) and np.abs(followed[0] - followed[1]).max() > 1e-4
    kept = session._session.output_dict_per_obj[0]
    assert list(kept["cond_frame_outputs"]) == [0]
    assert len(kept["non_cond_frame_outputs"]) <= network.memory + 1
    back = network.session(SIZE)
    back.add_mask(5, mask)
    back.step(5, picture(5))
    assert np.isfinite(back.step(4, picture(4), reverse=True)[0]).all()


def test_strokes_become_points(sam2: Path) -> None:
    strokes = np.zeros(SIZE, bool)
    strokes[20, 10:60] = True
    alpha = load_network(str(sam2))(picture(), LowResHints(prompts=Prompts(strokes=strokes))).alpha
    assert alpha.shape == SIZE and np.isfinite(alpha).all()


def test_edgetam_goes_the_same_way(tmp_path: Path) -> None:
    folder = save_edgetam(tmp_path / "tiny-edgetam")
    assert loader_of(folder) == "edgetam"
    network = load_network(str(folder))
    alpha = network(picture(), LowResHints(prompts=Prompts((Point(30, 20),)))).alpha
    assert network.name == "tiny-edgetam" and alpha.shape == SIZE and np.ptp(alpha) > 1e-3
    session = PromptableNetwork(folder / "model.safetensors", "edgetam").session(SIZE)
    session.add_prompts(0, Prompts(boxes=(Box(10, 8, 60, 40),)))
    masks = [session.step(index, picture(index))[0] for index in range(3)]
    assert all(np.isfinite(m).all() for m in masks) and np.abs(masks[1] - masks[2]).max() > 1e-5


def test_a_folder_and_a_name_need_prompts(sam2: Path) -> None:
    for name in (str(sam2), "sam2.1-tiny", "edgetam"):
        assert takes_prompts(name)
        assert choose_prior(name, frozenset({"prompts"})).name == name
        with pytest.raises(InputError, match="needs points or boxes"):
            choose_prior(name, frozenset())
    assert loader_of(sam2) == "sam2" and loader_of(sam2.parent) == ""
    with pytest.raises(InputError, match="Only background is marked"):
        load_network(str(sam2))(picture(), LowResHints(prompts=Prompts((Point(1, 1, False),))))


def test_its_mask_goes_the_way_of_a_mask(sam2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, choice = PriorRegistry(str(sam2)).choose(frozenset({"prompts"}))
    blob = np.zeros(SIZE, np.float32)
    blob[10:40, 20:50] = 1
    monkeypatch.setattr("uhrmat.prior.networks.promptable.PromptSession.step", lambda *a, **k: (blob, 1.0))
    flat = np.full((*SIZE, 3), 0.2, np.float32)
    flat[10:40, 20:50] = 0.8
    result = method(flat, LowResHints(prompts=Prompts((Point(30, 20),))))
    assert result.alpha[25, 35] == 1 and result.alpha[2, 2] == 0 and result.confidence is None


def test_damaged_weights_are_refused(sam2: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = shutil.copytree(sam2, tmp_path / "broken")
    tensors = load_file(broken / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if "memory_attention" not in k}, broken / "model.safetensors")
    with pytest.raises(WeightsError, match="of its weights are missing"):
        load_network(str(broken))
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(sam2 / "model.safetensors", alone)
    with pytest.raises(WeightsError, match=r"holds no config\.json"):
        PromptableNetwork(alone / "model.safetensors", "sam2")
    (alone / "config.json").write_text("[1]")
    with pytest.raises(WeightsError, match="is no promptable network"):
        PromptableNetwork(alone / "model.safetensors", "sam2")


def test_without_transformers_one_sentence_says_how_to_install(sam2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match="needs transformers 5 or newer") as raised:
        load_network(str(sam2))
    assert raised.value.hint == "pip install 'uhrmat[sam]'"


def test_a_missing_backbone_library_is_named(tmp_path: Path) -> None:
    folder = save_edgetam(tmp_path / "edgetam")
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["backbone_config"] = {"model_type": "timm_wrapper", "architecture": "repvit_m1"}
    (folder / "config.json").write_text(json.dumps(config))
    try:
        import timm  # noqa: F401
    except ImportError:
        with pytest.raises(InputError, match="timm"):
            load_network(str(folder))


def test_the_pinned_files_come_from_the_hub_and_are_verified(
    sam2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    from huggingface_hub import close_session, constants

    from tests.hub.server import COMMIT, Hub, serving
    from uhrmat.hub import locate
    from uhrmat.hub.entry import CatalogEntry, WeightsFile
    from uhrmat.prior.networks import registry

    served = {name: (sam2 / name).read_bytes() for name in ("model.safetensors", "config.json")}

    def entry(size_of_config: int) -> CatalogEntry:
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in served.items()}
        values: dict[str, Any] = {
            "title": "t", "task": "prompts", "source": "hub", "loader": "sam2", "licence": "MIT", "commercial": True,
            "data": "none", "repo": "org/sam", "revision": COMMIT,
        }  # fmt: skip
        files = (
            WeightsFile("model.safetensors", len(served["model.safetensors"]), sums["model.safetensors"]),
            WeightsFile("config.json", size_of_config, sums["config.json"]),
        )
        return CatalogEntry(name="tiny", files=files, **values)

    known = entry(0)  # of unknown size: the hash alone decides
    monkeypatch.setattr(locate, "catalog_entries", lambda: (known,))
    monkeypatch.setattr(locate, "find_entry", lambda name: known if name == "tiny" else None)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with serving(Hub({"org/sam": served})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        close_session()
        assert not locate.is_cached(known)
        prior = registry.load_network("tiny")
        assert prior.name == "tiny" and locate.is_cached(known)
        requests = len(hub.requests)
        registry.load_network("tiny")
        assert len(hub.requests) == requests  # the second time from the cache
    served["config.json"] = json.dumps({"model_type": "sam2_video"}).encode()
    (path := next((tmp_path / "cache").rglob("config.json"))).resolve().write_bytes(served["config.json"])
    with pytest.raises(WeightsError, match=r"config\.json has SHA-256"):
        registry.load_network("tiny")
    assert not path.exists()
