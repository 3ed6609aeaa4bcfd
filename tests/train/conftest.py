"""A folder of small training photographs and teachers that find what is red in a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from uhrmat.train.subject import pool as pool_module
from uhrmat.train.subject import teachers
from uhrmat.train.subject.photos import write_photos
from uhrmat.train.subject.pool import Pool, load_pool
from uhrmat.train.subject.teachers import Ensemble, TeacherSpec

SIDE = 64
KEPT = 128
"""Side of the stored photographs in these tests."""


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red bars: people with masks, a free set with every tag, two photographs with masks, two places, a matte."""
    root, rng = tmp_path_factory.mktemp("photographs"), np.random.default_rng(0)

    def save(path: str, left: int | None, mask: str = "", suffix: str = ".jpg") -> None:
        photo, alpha = rng.integers(90, 160, (96, 72, 3), np.uint8), np.zeros((96, 72), np.uint8)
        if left is not None:
            photo[20:80, left : left + 24], alpha[20:80, left : left + 24] = (30, 30, 230), 255
        for name, pixels in ((f"{path}{suffix}", photo), (mask, alpha)):
            if name:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(root / name), pixels)

    for number in range(11):
        save(f"people/photo/{number}", 10 + 3 * number, f"people/mask/{number}.png")
    rows = []
    for number, tag in enumerate(("person", "animal", "object", "none", "ambiguous") * 3):
        save(f"photos_free/set/f{number}", None if tag == "none" else 10 + 2 * number)
        rows.append(f"f{number}.jpg\t{tag}\tsomewhere")
    (root / "photos_free/set/index.tsv").write_text("\n".join(rows) + "\n")
    for name, left in (("a", 20), ("b", None)):
        save(f"photos_masked/coco/{name}", left, f"photos_masked/coco/{name}_all.png")
        cv2.imwrite(str(root / f"photos_masked/coco/{name}_person.png"), np.zeros((96, 72), np.uint8))
    (root / "photos_masked/coco/index.tsv").write_text(
        "file\ttag\tperson_fraction\tall_fraction\na.jpg\tmain\t0\t0.2\nb.jpg\tnone\t0\t0\n"
    )
    return root


@pytest.fixture(scope="session")
def red_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 64 x 64 pictures whose result is high where red is high and green is low; "middle" is a layer."""
    weights = numpy_helper.from_array(np.array([12, -12, 0], np.float32).reshape(1, 3, 1, 1), "weights")
    shift = numpy_helper.from_array(np.array([-4], np.float32), "shift")
    nodes = [
        helper.make_node("Conv", ["picture", "weights", "shift"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["alpha"]),
        helper.make_node("AveragePool", ["alpha"], ["middle"], kernel_shape=[8, 8], strides=[8, 8]),
    ]
    into = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    out = helper.make_tensor_value_info("alpha", TensorProto.FLOAT, [1, 1, SIDE, SIDE])
    path = tmp_path_factory.mktemp("teachers") / "red.onnx"
    graph = helper.make_graph(nodes, "teacher", [into], [out], [weights, shift])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def small_teachers(red_net: Path) -> Iterator[Path]:
    """The folder of a network that stands in for all four teachers; photographs are kept smaller than in earnest."""

    def read(y: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"subject": y, "person": y, "animal": y}

    spec = TeacherSpec(
        file=red_net.name, side=(SIDE, SIDE), feed=lambda x: x, output="alpha", read=read,
        hints={"quarter": ("logits",), "eighth": ("middle",), "sixteenth": ("middle", "alpha")},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name in teachers.TEACHERS:
            patch.setitem(teachers.TEACHERS, name, spec)
        patch.setattr(pool_module, "SIDE", KEPT)
        yield red_net.parent


@pytest.fixture(scope="session")
def prepared(
    photographs: Path, small_teachers: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Pool, Ensemble]:
    """The photographs, labelled, and the teachers."""
    folder = tmp_path_factory.mktemp("pool")
    write_photos(photographs, folder / "photos.safetensors")
    ensemble = Ensemble(small_teachers, folder)
    result = load_pool(
        folder / "photos.safetensors", ensemble, torch.device("cpu"), torch.float32, folder / "labels"
    )  # fmt: skip
    return result, ensemble
