"""Segmentation networks that take prompts, through transformers' own classes: SAM 2.1 (Ravi et al., 2024,
https://arxiv.org/abs/2408.00714) and EdgeTAM (Zhou et al., CVPR 2025, https://arxiv.org/abs/2501.07256).

One network serves stills and clips: it segments a frame from points, boxes or a mask, and remembers it for those that
follow. Input as the models' processors make it: a picture stretched to a square, normalised with ImageNet's mean and
standard deviation. No code comes from a repository; only safetensors are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hints.prompts import Box, Point, Prompts
from uhrmat.hub.tensors import check_values, load_tensors
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.choose import PROMPTABLE

Floats = npt.NDArray[np.float32]
_CLASSES = {
    "sam2": ("Sam2VideoConfig", "Sam2VideoModel", "Sam2VideoInferenceSession"),
    "edgetam": ("EdgeTamVideoConfig", "EdgeTamVideoModel", "EdgeTamVideoInferenceSession"),
}
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of the models' image processors."""
_ERROR = 40
"""Level of Python's logging from which on transformers reports."""
_STROKE_POINTS = 8
"""Points that stand for strokes, which these networks do not take."""
_BACKGROUND, _FOREGROUND, _BOX_FIRST, _BOX_LAST = 0, 1, 2, 3
"""Labels of points, as the models know them."""


def loader_of(folder: Path) -> str:
    """The loader of a folder in transformers' layout by its config.json, "sam2" or "edgetam"; "" for anything else."""
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return ""
    return PROMPTABLE.get(kind, "")


class PromptableNetwork:
    """A promptable network with its weights.

    Args:
        path: of a .safetensors file with its config.json beside it.
        loader: "sam2" or "edgetam".
        device: torch device.

    Attributes:
        side: of its square input, pixels.
        memory: frames whose results it looks back at.

    Raises:
        InputError: transformers, or a library that it needs for this network, is not installed.
        WeightsError: the file holds no such network.
    """

    def __init__(self, path: Path, loader: str, device: str = "cpu") -> None:
        self._net, self._session_class = _load(path, loader)
        self._net.to(device).eval()
        self.device = device
        self.side = int(self._net.config.image_size)
        self.memory = max(int(self._net.config.num_maskmem), int(self._net.config.max_object_pointers_in_encoder))

    def session(self, size: tuple[int, int]) -> PromptSession:
        """Begin with a clip, or with a picture, of `size` (h, w)."""
        import torch

        made = self._session_class(
            video_height=size[0], video_width=size[1], dtype=torch.float32,
            inference_device=self.device, inference_state_device=self.device, video_storage_device=self.device,
        )  # fmt: skip
        return PromptSession(self, made, size)

    def run(self, session: Any, index: int, picture: Floats, reverse: bool) -> Any:
        """One step of transformers' session on a frame (h, w, 3) in [0, 1]."""
        import torch

        square = cv2.resize(picture, (self.side, self.side), interpolation=_interpolation(picture, self.side))
        values = (square - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)
        frame = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1))).to(self.device)
        with torch.inference_mode():
            return self._net(session, frame=frame, frame_idx=index, reverse=reverse)


class PromptSession:
    """What the network remembers of a clip. Frames are given one after the other, in either direction.

    Args:
        network: see there.
        session: of transformers.
        size: (h, w) of the frames.
    """

    def __init__(self, network: PromptableNetwork, session: Any, size: tuple[int, int]) -> None:
        self._network, self._session, self._size = network, session, size
        self._outside: dict[int, list[Box]] = {}

    def add_prompts(self, index: int, prompts: Prompts) -> None:
        """Mark the subject on a frame. Every box is an object of its own, with the points in it.

        Args:
            index: of the frame, which must be the next that is given.
            prompts: in pixels of the frame.

        Raises:
            InputError: nothing marks the subject.
        """
        import torch

        if not prompts.has_subject:
            raise InputError(
                "Only background is marked, and this network needs a point or a box of the subject.", "Give one."
            )
        points = [*prompts.points, *_points_on(prompts.strokes)]
        boxes = [box for box in prompts.boxes if box.foreground]
        self._outside[index] = [box for box in prompts.boxes if not box.foreground]
        points += [Point((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2, False) for b in self._outside[index]]
        down, across = self._network.side / self._size[0], self._network.side / self._size[1]
        for number, box in enumerate(boxes or [None]):
            marks = [] if box is None else [(box.x0, box.y0, _BOX_FIRST), (box.x1, box.y1, _BOX_LAST)]
            mine = [p for p in points if box is None or not p.foreground or box.holds(p.x, p.y)]
            marks += [(p.x, p.y, _FOREGROUND if p.foreground else _BACKGROUND) for p in mine]
            coordinates = torch.tensor([[[[x * across, y * down] for x, y, _ in marks]]], dtype=torch.float32)
            labels = torch.tensor([[[label for *_, label in marks]]], dtype=torch.int32)
            inputs = {"point_coords": coordinates, "point_labels": labels}
            self._session.add_point_inputs(self._session.obj_id_to_idx(number), index, inputs)
        self._session.obj_with_new_inputs = list(range(len(boxes) or 1))

    def add_mask(self, index: int, mask: Floats) -> None:
        """Give a frame's mask (h, w) in [0, 1]; the frame must be the next that is given."""
        import torch

        square = cv2.resize(mask, (self._network.side,) * 2, interpolation=_interpolation(mask, self._network.side))
        plane = torch.from_numpy((square >= 0.5).astype(np.float32))[None, None]
        self._session.add_mask_inputs(self._session.obj_id_to_idx(0), index, plane)
        self._session.obj_with_new_inputs = [0]

    def step(self, index: int, picture: Floats, *, reverse: bool = False) -> tuple[Floats, float]:
        """The mask of a frame.

        Args:
            index: of the frame in its clip.
            picture: (h, w, 3) float32 RGB in [0, 1].
            reverse: the frames are given from the last to the first.

        Returns:
            (h, w) float32 in [0, 1], and how certain the network is that the subject is there, in [0, 1].
        """
        output = self._network.run(self._session, index, picture, reverse)
        logits = output.pred_masks.float().cpu().numpy()[:, 0]
        there = 1 / (1 + np.exp(-output.object_score_logits.float().cpu().numpy().reshape(-1)))
        planes = [cv2.resize(plane, self._size[::-1], interpolation=cv2.INTER_LINEAR) for plane in logits]
        mask = np.asarray(0.5 * (1 + np.tanh(0.5 * np.max(planes, axis=0))), np.float32)
        for box in self._outside.get(index, []):
            mask[round(box.y0) : round(box.y1), round(box.x0) : round(box.x1)] = 0
        self._forget(index, reverse)
        return mask, float(there.max())

    def _forget(self, index: int, reverse: bool) -> None:
        """Drop what is too far back to be looked at again, so that memory does not grow with the clip."""
        self._session.processed_frames = None
        far = [index + self._network.memory + 1] if reverse else [index - self._network.memory - 1]
        for outputs in self._session.output_dict_per_obj.values():
            for old in far:
                outputs["non_cond_frame_outputs"].pop(old, None)


class PromptablePrior:
    """A promptable network as a prior of stills, for `networks.matte.NetworkMatte`.

    Args:
        network: see there.
        name: of the prior.
    """

    working_size: int | None = None
    takes_prompts = True

    def __init__(self, network: PromptableNetwork, name: str) -> None:
        self.name, self.network = name, network

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if hints.prompts is None:
            raise InputError(f"The prior {self.name} needs points or boxes.", "Give some, or choose another prior.")
        session = self.network.session((small.shape[0], small.shape[1]))
        session.add_prompts(0, hints.prompts)
        return PriorResult(session.step(0, small)[0], self.name)


def _points_on(strokes: np.ndarray | None) -> list[Point]:
    """Points spread over strokes (h, w): each as far from the others as there is room."""
    if strokes is None or not strokes.any():
        return []
    rows, columns = np.nonzero(strokes)
    places = np.stack([columns, rows], 1).astype(np.float64)
    chosen = [int(np.hypot(*(places - places.mean(0)).T).argmin())]
    distance = np.full(len(places), np.inf)
    while len(chosen) < min(_STROKE_POINTS, len(places)):
        distance = np.minimum(distance, np.hypot(*(places - places[chosen[-1]]).T))
        chosen.append(int(distance.argmax()))
    return [Point(float(places[at][0]), float(places[at][1])) for at in chosen]


def _interpolation(array: np.ndarray, side: int) -> int:
    return cv2.INTER_AREA if min(array.shape[:2]) >= side else cv2.INTER_LINEAR


def _load(path: Path, loader: str) -> tuple[Any, Any]:
    """The network, and the class of its sessions."""
    need = "pip install 'uhrmat[sam]'"
    try:
        import transformers

        config_class, net_class, session_class = (getattr(transformers, name) for name in _CLASSES[loader])
    except (ImportError, AttributeError) as error:
        what = f"{path.parent.name} needs transformers 5 or newer, which is not installed."
        raise InputError(f"The network {what}", need) from error
    file = path.parent / "config.json"
    if not file.is_file():
        raise WeightsError(f"{path.parent} holds no config.json.", "Give a folder in transformers' layout.")
    try:
        check_values(load_tensors(path)[0], path)
        config = config_class.from_json_file(file)
        with _quiet():
            net, report = net_class.from_pretrained(
                path.parent, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except ImportError as error:  # timm, for EdgeTAM's backbone
        what = str(error).strip().splitlines()[0]
        raise InputError(
            f"The network {path.parent.name} needs a library that is not installed: {what}", need
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise _no_network(path, str(error).strip().splitlines()[0]) from error
    missing = [*report["missing_keys"], *report.get("mismatched_keys", ())]
    if missing:
        raise _no_network(path, f"{len(missing)} of its weights are missing, first {missing[0]}")
    return net, session_class


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar and no report of transformers on standard error."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(_ERROR)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call, unused-ignore]


def _no_network(path: Path, why: str) -> WeightsError:
    return WeightsError(f"{path} is no promptable network: {why}", "Give a folder in transformers' layout.")
