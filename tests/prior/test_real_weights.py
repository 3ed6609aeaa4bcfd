"""Networks with their published weights, where these are at hand: they are recognised, and find what they should.

The weights and photographs lie beside the repository in shared/, or where UHRMAT_SHARED says.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from uhrmat.hub.catalog import find_entry
from uhrmat.hub.locate import recognise
from uhrmat.media import read_picture
from uhrmat.media.resample import area_average
from uhrmat.prior.base import LowResHints, PriorMethod, working_shape
from uhrmat.prior.networks.registry import load_bundled_subject, load_network
from uhrmat.train.lpn.measure import mask_iou

SHARED = Path(os.environ.get("UHRMAT_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "data"
WEIGHTS, VALIDATION = SHARED / "weights", SHARED / "dev/validation"
pytestmark = pytest.mark.skipif(not (WEIGHTS.is_dir() and VALIDATION.is_dir()), reason="no published weights are here")


def pets(count: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pictures (h, w, 3) in [0, 1], masks, and which pixels count."""
    result = []
    for path in sorted((VALIDATION / "oxford_pets").glob("*_trimap.png"))[:count]:
        trimap = np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
        photo = read_picture(path.with_name(path.name.replace("_trimap.png", ".jpg"))).pixels
        shape = working_shape(*trimap.shape, 320)
        known = area_average((trimap != 128).astype(np.float32), shape) > 0.99
        mask = area_average((trimap > 200).astype(np.float32), shape) > 0.5
        result.append((area_average(photo, shape, 255), mask, known))
    return result


def mean_iou(network: PriorMethod, count: int = 6) -> float:
    scores = []
    for picture, mask, known in pets(count):
        small = area_average(picture, working_shape(*picture.shape[:2], network.working_size))
        alpha = area_average(network(small, LowResHints()).alpha, mask.shape)
        scores.append(mask_iou((alpha > 0.5) & known, mask & known))
    return float(np.mean(scores))


def test_sinet_is_recognised_by_its_hash_and_runs() -> None:
    pytest.importorskip("onnxruntime")
    path = WEIGHTS / "anilsathyan7_Portrait-Segmentation/SINet_Softmax.onnx"
    entry = recognise(path)
    assert entry is not None and entry.name == "sinet"
    network = load_network(str(path))
    alpha = network(pets(1)[0][0], LowResHints()).alpha
    assert network.name == "sinet" and 0 <= alpha.min() <= alpha.max() <= 1


def test_u2netp_finds_pets() -> None:
    pytest.importorskip("onnxruntime")
    from uhrmat.prior.networks.onnx import OnnxPrior

    network = OnnxPrior(WEIGHTS / "u2netp/u2netp_fp16.onnx", find_entry("u2netp"))
    assert mean_iou(network) > 0.85


def test_the_bundled_network_finds_pets() -> None:
    assert mean_iou(load_bundled_subject()) > 0.6
