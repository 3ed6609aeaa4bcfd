"""`MattingPipeline`: mattes of pictures and clips from Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch

from uhrmat.api.convert import (
    BoxesLike,
    HintLike,
    PictureLike,
    PointsLike,
    as_list,
    is_batch,
    split_hint,
    to_clip_hint,
    to_hint,
    to_picture,
    to_plate,
)
from uhrmat.api.errors import python_errors
from uhrmat.api.priors import PriorLike, resolve_prior
from uhrmat.api.result import MattingResult
from uhrmat.core.errors import InputError
from uhrmat.core.units import parse_bytes
from uhrmat.hints.prompts import Prompts, parse_prompts
from uhrmat.hints.radius import Radius
from uhrmat.pipeline import StillPipeline
from uhrmat.video.iterate import ClipSource, MattedClip, iterate_clip
from uhrmat.video.prompts import parse_frame_prompts

STAGES = ("read", "prior", "refine", "foreground")
Batch = list[Any] | tuple[Any, ...]


@dataclass(frozen=True)
class Progress:
    """What a pipeline does at the moment.

    Attributes:
        stage: "read", "prior", "refine", "foreground", "propagate" (masks of a clip) or "frame".
        done: stages of the picture, or frames of the clip, that are finished.
        total: of how many.
        item: index of the picture in its batch.
    """

    stage: str
    done: int
    total: int
    item: int = 0


OnProgress = Callable[[Progress], None]


class MattingPipeline:
    """Mattes pictures and clips. Networks are loaded once; keep one for many pictures, and close it, or use `with`.

    Args:
        prior: what decides on the small copy: "auto" (the hints decide), a name (see `uhrmat models list`), a file of
            weights, a function `f(small, hints)`, or an array of low-resolution alpha (see `api.priors`).
        refiner: "shm" (SparseMat), "ddfe" (HRIMF-AMR), or, to compare with, "projection", "guided", "bilinear".
        weights: of the refiner, a name or a .safetensors file; None: those that belong to it.
        working_size: short side of the small copy, in pixels; None: the prior's own.
        engine: sparse convolutions: "auto", "tiles", "spconv" or "dense".
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        precision: "auto", "fp32", "bf16" or "fp16".
        threads: of the CPU; None: torch's default.
        max_memory: budget in bytes or as text ("8GB"); None: a share of what is free.
        overflow: what is done over budget: "cascade" (coarse to fine) or "parts" (tiles, exact).

    Raises:
        InputError: for an option that does not exist.
        WeightsError: for weights that are missing, damaged or of another network.

    Example:
        >>> with uhrmat.MattingPipeline() as pipeline:
        ...     result = pipeline("photo.jpg", trimap="photo_trimap.png")
        ...     result.save("out")
    """

    def __init__(
        self, *, prior: PriorLike = "auto", refiner: str = "shm", weights: str | os.PathLike[str] | None = None,
        working_size: int | None = None, engine: str = "auto", device: str | torch.device = "auto",
        precision: str = "auto", threads: int | None = None, max_memory: int | str | None = None,
        overflow: str = "cascade",
    ) -> None:  # fmt: skip
        with python_errors():
            if working_size is not None and working_size < 1:
                raise InputError(f"`working_size={working_size}` must be positive.", "Give pixels, like 768.")
            if threads is not None and threads < 1:
                raise InputError(f"`threads={threads}` must be positive.", "Give 1 or more.")
            budget = parse_bytes(max_memory) if isinstance(max_memory, str) else max_memory
            self._prior = prior
            self._still: StillPipeline | None = StillPipeline(
                resolve_prior(prior), refiner, working_size=working_size, engine=engine, device=str(device),
                precision=precision, threads=threads, max_memory=budget, overflow=overflow,
                weights=None if weights is None else os.fspath(weights),
            )  # fmt: skip

    @overload
    def __call__(
        self, image: Batch, *, trimap: Any = None, mask: Any = None, alpha: Any = None, plate: Any = None,
        key: str | None = None, radius: Radius = None, points: Any = None, boxes: Any = None, foreground: bool = True,
        progress: OnProgress | None = None, keep_empty: bool = False,
    ) -> list[MattingResult]: ...  # fmt: skip

    @overload
    def __call__(
        self, image: PictureLike, *, trimap: HintLike | None = None, mask: HintLike | None = None,
        alpha: HintLike | None = None, plate: PictureLike | None = None, key: str | None = None,
        radius: Radius = None, points: PointsLike | None = None, boxes: BoxesLike | None = None,
        foreground: bool = True, progress: OnProgress | None = None, keep_empty: bool = False,
    ) -> MattingResult: ...  # fmt: skip

    def __call__(
        self, image: Any, *, trimap: Any = None, mask: Any = None, alpha: Any = None, plate: Any = None,
        key: str | None = None, radius: Radius = None, points: Any = None, boxes: Any = None, foreground: bool = True,
        progress: OnProgress | None = None, keep_empty: bool = False,
    ) -> MattingResult | list[MattingResult]:  # fmt: skip
        """Matte one picture, or each picture of a batch.

        Args:
            image: a path, an array (H, W[, C]), a tensor (C, H, W) or (H, W[, C]), a PIL image or a
                `uhrmat.media.Picture`; uint8, uint16, or floats in [0, 1]; RGB order. A list of these, or an array or
                tensor of four dimensions, is a batch.
            trimap: black background, white foreground, grey unknown, of the picture's size: a path, array, tensor or
                PIL image. Known pixels come out exactly 0 or 1.
            mask: coarse mask of the subject, bool, {0, 255} or [0, 1], in the picture's proportions.
            alpha: an alpha of low resolution that is to be refined.
            plate: the scene without its subject.
            key: the screen's colour: "green", "blue", "#rrggbb" or "auto".
            radius: half the width in pixels of the unknown band that a mask gets; None: 2 % of the short side; "auto":
                0.75 % where the mask's edge fits the picture.
            points: pixels (x, y) of the subject, or (x, y, False) of the background: a list of them, of texts like
                "120,340" and "-20,30", or an array (N, 2).
            boxes: boxes (x0, y0, x1, y1) around the subject, x1 and y1 outside, or (x0, y0, x1, y1, False) of nothing
                but background: a list of them, of texts, or an array (N, 4).
            foreground: whether foreground colours are estimated.
            progress: called with a `Progress` at the beginning of every stage and at the end.
            keep_empty: whether a picture without hints in which no subject is found is matted all the same.

        Returns:
            A `MattingResult`, or a list of them for a batch. For a batch, `trimap`, `mask`, `alpha`, `points` and
            `boxes` are lists of the same length (entries may be None); `plate` is one for all, or a list.

        Raises:
            InputError: for a picture or hints that cannot be used, and where no hint is given and no subject is found.
            MemoryBudgetError: where the memory budget is too small.
        """
        with python_errors():
            if not is_batch(image):
                return self._one(
                    image, trimap, mask, alpha, plate, key, radius, _prompts(points, boxes), foreground, progress, 0,
                    keep_empty,
                )  # fmt: skip
            pictures = as_list(image)
            hints = [split_hint(hint, len(pictures), name) for name, hint in
                     (("trimap", trimap), ("mask", mask), ("alpha", alpha))]  # fmt: skip
            hints.append(split_hint(plate, len(pictures), "plate", shared=True))
            marks = [split_hint(given, len(pictures), name) for name, given in (("points", points), ("boxes", boxes))]
            hints.append([_prompts(*both) for both in zip(*marks, strict=True)])
            rows = enumerate(zip(pictures, *hints, strict=True))
            return [
                self._one(
                    picture, known, coarse, low, scene, key, radius, marked, foreground, progress, number, keep_empty
                )
                for number, (picture, known, coarse, low, scene, marked) in rows
            ]

    def video(
        self, clip: str | os.PathLike[str], *, trimap: ClipSource | None = None, mask: ClipSource | None = None,
        alpha: ClipSource | None = None, plate: str | os.PathLike[str] | None = None, key: str | None = None,
        radius: Radius = None, start: int = 0, stop: int | None = None, rate: float | str | None = None,
        temporal: bool = True, foreground: bool = True, propagation: str = "network",
        points: Any = None, boxes: Any = None, progress: OnProgress | None = None, keep_empty: bool = False,
        redo: str | None = None, previous: ClipSource | None = None,
    ) -> MattedClip:  # fmt: skip
        """Matte a clip frame by frame, as `uhrmat video` does, without writing files.

        Args:
            clip: a video file, a folder of numbered pictures, or a pattern like "shot_%04d.exr".
            trimap, mask, alpha: one of them, for the first frame, from which it is propagated, or for several: a
                picture, a folder or pattern of numbered ones, a video file, an array, or a mapping from frame index to
                file or array. An alpha of any resolution for every frame is refined without propagation.
            plate: file of the scene without its subject.
            key: the screen's colour, as for pictures; decided once for the clip.
            radius: as for pictures; "auto" is chosen once, by the first frame.
            start, stop: indices of frames; `stop` is not included, None: to the end.
            rate: frames per second of a sequence of pictures.
            temporal: whether pixels that did not change are kept from earlier frames.
            foreground: whether foreground colours are estimated.
            propagation: how masks are propagated: "network", trained on the clip's key frames; "flow", optical flow; or
                a network of the Hub, "edgetam" or "sam2.1-tiny".
            points, boxes: as for pictures, on the first frame; or a mapping from frame index to them; or texts that
                name the frame, "120,340:25".
            progress: called with a `Progress` for each frame.
            keep_empty: whether a clip without hints is matted even if no subject is found in any frame.
            redo: only these frames, like "120-180" or "7,30-42", counted from 0, the last one included, to replace
                those of an earlier run. Hints say which frame they are for: a folder, pattern, clip or mapping.
            previous: mattes of that run, in any form that `alpha` takes for more than one frame: where hints are
                propagated, those of the frames beside the ranges of `redo` count as key frames.

        Returns:
            An iterator over a `MattedFrame` for each frame: `index`, `time`, `alpha`, `foreground`, `picture`, and
            `stats`, with `confidence` and `propagation` ("sure", "doubtful", "lost") where a network propagates masks.
            Its `doubtful`, `lost` and `best_hint_frame` name frames among those that have come so far.

        Raises:
            InputError: for a clip or hints that cannot be used; before the first frame.
        """
        still = self._open()
        hints = {"trimap": trimap, "mask": mask, "alpha": alpha}
        if rate is not None and not isinstance(rate, str):
            rate = repr(rate)

        def report(stage: str, done: int, total: int) -> None:
            if progress is not None:
                progress(Progress(stage, done, total))

        with python_errors():
            for name, hint in {**hints, "previous": previous}.items() if redo is not None else ():
                if hint is not None and not isinstance(hint, (str, os.PathLike, Mapping)):
                    raise InputError(
                        f"With `redo`, `{name}` must say which frame it is for.",
                        f"Give a mapping, {name}={{frame: array}}, or a folder of numbered pictures.",
                    )
            frames = iterate_clip(
                still, Path(clip), {name: to_clip_hint(hint, name) for name, hint in hints.items() if hint is not None},
                plate=None if plate is None else Path(plate), key=key, radius=radius, start=start, stop=stop, rate=rate,
                temporal=temporal, foreground=foreground, report=report, propagation=propagation,
                keep_empty=keep_empty, redo=redo, guard=python_errors, prompts=_frame_prompts(points, boxes),
                previous=None if previous is None else to_clip_hint(previous, "alpha"),
            )  # fmt: skip
        return frames

    @property
    def device(self) -> str:
        """The device that is used, for example "cuda:0"."""
        return self._open().device

    def close(self) -> None:
        """Let go of the networks; the pipeline cannot be used afterwards."""
        self._still = None

    def __enter__(self) -> MattingPipeline:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._still is None:
            return "MattingPipeline(closed)"
        prior = self._prior if isinstance(self._prior, str) else "own"
        return f"MattingPipeline(prior={prior}, refiner={self._still.refiner.name}, device={self._still.device})"

    def _open(self) -> StillPipeline:
        if self._still is None:
            raise InputError("This pipeline is closed.", "Make another one.")
        return self._still

    def _one(
        self, image: Any, trimap: Any, mask: Any, alpha: Any, plate: Any, key: str | None, radius: Radius,
        prompts: Prompts | None, foreground: bool, progress: OnProgress | None, item: int, keep_empty: bool,
    ) -> MattingResult:  # fmt: skip
        still = self._open()
        stages = STAGES if foreground else STAGES[:-1]

        def report(stage: str) -> None:
            if progress is not None:
                progress(Progress(stage, stages.index(stage), len(stages), item))

        result = still.matte(
            to_picture(image), trimap=to_hint(trimap, "trimap"), mask=to_hint(mask, "mask"),
            alpha=to_hint(alpha, "alpha"), plate=to_plate(plate), key=key, radius=radius, prompts=prompts,
            foreground=foreground, on_stage=report, keep_empty=keep_empty,
        )  # fmt: skip
        if progress is not None:
            progress(Progress(stages[-1], len(stages), len(stages), item))
        return MattingResult(**vars(result))


def matte(
    image: Any, *, trimap: Any = None, mask: Any = None, alpha: Any = None, plate: Any = None, key: str | None = None,
    radius: Radius = None, points: Any = None, boxes: Any = None, foreground: bool = True,
    progress: OnProgress | None = None, keep_empty: bool = False, **options: Any,
) -> MattingResult | list[MattingResult]:  # fmt: skip
    """Matte a picture, or a batch, with a pipeline made for this call.

    Args:
        image, trimap, mask, alpha, plate, key, radius, points, boxes, foreground, progress, keep_empty: as for calling
            a `MattingPipeline`.
        **options: of `MattingPipeline`: prior, refiner, device, precision, max_memory, …

    Returns:
        A `MattingResult`, or a list of them. Raises what the pipeline raises.
    """
    with MattingPipeline(**options) as pipeline:
        result: MattingResult | list[MattingResult] = pipeline(
            image, trimap=trimap, mask=mask, alpha=alpha, plate=plate, key=key, radius=radius, points=points,
            boxes=boxes, foreground=foreground, progress=progress, keep_empty=keep_empty,
        )  # fmt: skip
        return result


def _prompts(points: PointsLike | None, boxes: BoxesLike | None) -> Prompts | None:
    """Points and boxes of one picture; None where there are none."""
    return parse_prompts(() if points is None else points, () if boxes is None else boxes)


def _frame_prompts(points: Any, boxes: Any) -> dict[int | None, Prompts]:
    """Points and boxes of a clip by index of frame, None for the first."""
    made: dict[int | None, Prompts] = {}
    for kind, given in (("points", points), ("boxes", boxes)):
        by_frame = given if isinstance(given, Mapping) else {None: () if given is None else given}
        for frame, marks in by_frame.items():
            parts: list[tuple[int | None, Prompts | None]]
            texts = [marks] if isinstance(marks, str) else [mark for mark in marks if isinstance(mark, str)]
            others = [] if isinstance(marks, str) else marks
            if not texts:
                parts = [(None, parse_prompts(**{kind: others}))]
            else:
                parts = list(parse_frame_prompts(**{kind: texts}).items())
            for named, prompts in parts:
                index = frame if named is None else named
                if prompts is not None:
                    before = made.get(index, Prompts())
                    made[index] = Prompts((*before.points, *prompts.points), (*before.boxes, *prompts.boxes))
    return made
