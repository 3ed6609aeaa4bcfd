"""Other people's networks that find people, as they come: TFLite and ONNX files, each fed as its authors say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from uhrmat import hub
from uhrmat.prior.base import LowResHints
from uhrmat.prior.networks.onnx import OnnxPrior
from uhrmat.train.lpn.measure import Segmenter

_VOC_PERSON = 15


def others(folder: Path, threads: int) -> dict[str, Segmenter]:
    """A finder for each file of the folder that is known here, by name."""
    result: dict[str, Segmenter] = {}
    for path in sorted(folder.rglob("selfie_segmentation*.tflite")):
        result[f"MediaPipe {path.stem}"] = _tflite(path, threads, lambda x: x / 255, lambda y: y[0, ..., 0])
    for path in sorted(folder.rglob("deeplabv3*_quant.tflite")):
        result[f"Coral {path.stem}"] = _tflite(path, threads, lambda x: x, lambda y: y[0] == _VOC_PERSON)
    for path in sorted(folder.rglob("ppseg*float32.tflite")):
        result["PP-HumanSeg lite 398x224"] = _tflite(path, threads, lambda x: x / 127.5 - 1, lambda y: y[0, 1])
    for path in sorted(folder.rglob("SINet_Softmax.onnx")):
        result["SINet (anilsathyan7)"] = _sinet(path, threads)
    for path in sorted(folder.rglob("deeplab_nchw.onnx")):
        result["DeepLab (anilsathyan7)"] = _onnx(path, threads, lambda x: x / 127.5 - 1, _second)
    return result


def _sinet(path: Path, threads: int) -> Segmenter:
    """Asked as uhrmat's own prior asks it, by the catalogue."""
    prior = OnnxPrior(path, hub.find_entry("sinet"), threads)
    return lambda picture: prior(picture.astype(np.float32) / 255, LowResHints()).alpha


def _second(y: np.ndarray) -> np.ndarray:
    """The second of two classes, of which the network gives the logits (1, 2, h, w)."""
    return np.asarray(1 / (1 + np.exp(y[0, 0] - y[0, 1])), np.float32)


def _tflite(
    path: Path, threads: int, feed: Callable[[np.ndarray], np.ndarray], take: Callable[[np.ndarray], np.ndarray]
) -> Segmenter:
    from ai_edge_litert.interpreter import Interpreter

    net: Any = Interpreter(str(path), num_threads=threads)
    net.allocate_tensors()
    [into, *_], [out, *_] = net.get_input_details(), net.get_output_details()

    def ask(small: np.ndarray) -> np.ndarray:
        net.set_tensor(into["index"], feed(small)[None].astype(into["dtype"]))
        net.invoke()
        return take(net.get_tensor(out["index"]))

    return _resized(ask, int(into["shape"][1]), int(into["shape"][2]))


def _onnx(
    path: Path, threads: int, feed: Callable[[np.ndarray], np.ndarray], take: Callable[[np.ndarray], np.ndarray]
) -> Segmenter:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.log_severity_level = threads, 3
    net = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    into = net.get_inputs()[0]

    def ask(small: np.ndarray) -> np.ndarray:
        return take(net.run(None, {into.name: feed(small).transpose(2, 0, 1)[None].astype(np.float32)})[0])

    return _resized(ask, int(into.shape[2]), int(into.shape[3]))


def _resized(ask: Callable[[np.ndarray], np.ndarray], height: int, width: int) -> Segmenter:
    """The picture stretched to the network's size, its answer stretched back: what their demonstrations do."""

    def find(picture: np.ndarray) -> np.ndarray:
        small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        result = ask(small).astype(np.float32)
        return np.asarray(cv2.resize(result, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)

    return find
