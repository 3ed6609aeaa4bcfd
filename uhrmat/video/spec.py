"""What is wanted of a clip. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from uhrmat.core.options import ModelOptions
from uhrmat.hints.radius import Radius
from uhrmat.video.prompts import FramePrompts
from uhrmat.video.propagation.params import TRAINING, PropagationTrainingParams
from uhrmat.video.ranges import FrameRange
from uhrmat.video.segments import KEYFRAME_INTERVAL


@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """What is wanted of a clip. Paths and plain values only, so that it can be sent to another machine.

    Attributes:
        source: a video file, a folder of numbered frames, or a pattern.
        output: a file, a folder or a pattern; None: beside the clip.
        outputs: any of `targets.CONTENTS`; None: see `targets.choose_targets`.
        codec: a name in `media.video.CODECS`; None: by the output's extension.
        bits: per channel; None: the clip's.
        background: colour or picture of the composite.
        start, end: first frame and frame to end before, as indices; None: to the end of the clip.
        frames: number of frames, instead of `end`.
        redo: frames that are matted again inside the outputs that are there, see `video.redo`; none: all are matted.
        rate: frames per second of a sequence.
        trimap, mask, alpha: of the first frame, a folder or pattern of them by frame number, or a clip of them.
        radius: of the unknown band that masks get, see `hints.trimap.choose_radius`.
        prompts: points and boxes by index of frame, None for the first one, see `prompts.parse_frame_prompts`.
        plate: the scene without its subject.
        key: colour of the screen, see `hints.key_colour.parse_key`.
        temporal, threshold, averaged: see `frames.TemporalOptions`; threshold None: its default.
        interval: frames between key frames.
        propagation: how masks are propagated, one of `propagation.params.METHODS`, or a promptable network (a name of
            the catalogue or a folder).
        training: of the network that propagates them.
        model: prior, refiner, device and memory.
        keep_empty: matte the clip even if no frame has a subject; otherwise that is an error where there are no hints.
        apart: `output` is a folder whatever its name looks like, and each output in it has a name of its own.
    """

    source: Path
    output: Path | None = None
    outputs: tuple[str, ...] | None = None
    codec: str | None = None
    bits: int | None = None
    background: str | None = None
    start: int = 0
    end: int | None = None
    frames: int | None = None
    redo: tuple[FrameRange, ...] = ()
    rate: Fraction | None = None
    trimap: Path | None = None
    mask: Path | None = None
    alpha: Path | None = None
    radius: Radius = None
    prompts: FramePrompts = field(default_factory=dict)
    plate: Path | None = None
    key: str | None = None
    temporal: bool = True
    threshold: float | None = None
    interval: int = KEYFRAME_INTERVAL
    propagation: str = "network"
    training: PropagationTrainingParams = TRAINING
    model: ModelOptions = field(default_factory=ModelOptions)
    averaged: bool = True
    apart: bool = False
    keep_empty: bool = False
