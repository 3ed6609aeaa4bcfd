"""The mattes of a clip one frame after another, for programs that take frames instead of files."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_mask, read_matte, read_trimap
from uhrmat.hints.radius import Radius, check_radius
from uhrmat.media import Picture, write_alpha
from uhrmat.media.video import ClipReader, open_clip
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.choose import AFFINITY_PRIORS, choose_prior
from uhrmat.prior.chroma_key.key import KeyPrior
from uhrmat.prior.registry import PriorRegistry
from uhrmat.video.frames import ClipPipeline, FrameStats, TemporalOptions
from uhrmat.video.hints import ClipHints, HintReader, find_hints, key_hints, with_radius
from uhrmat.video.plan import count_frames, frame_range, parse_rate, working_side
from uhrmat.video.propagate import propagate_segment
from uhrmat.video.propagation.clip import ClipTracker
from uhrmat.video.propagation.params import METHODS, TRAINING, PropagationTrainingParams
from uhrmat.video.propagation.stage import edge_prior
from uhrmat.video.screen import clip_screen
from uhrmat.video.segments import Segment, split
from uhrmat.video.spec import ClipSpec
from uhrmat.video.subject import find_clip_subject

ClipSource = Any
"""A hint of a clip: a file, a folder, an array, or a mapping from index of frame to file or array."""
Report = Callable[[str, int, int], None]
"""Called with the stage ("propagate", "frame"), how many frames are done, and of how many."""


@dataclass(frozen=True, kw_only=True)
class MattedFrame:
    """The matte of one frame; its arrays belong to the caller.

    Attributes:
        index: within the clip, from 0.
        time: in seconds from the clip's beginning.
        alpha: (H, W) float32 in [0, 1].
        foreground: (H, W, 3) straight colour in the picture's dtype, or None.
        active: (H, W) bool, the pixels that were computed for this frame.
        picture: the frame.
        stats: noise, active pixels, cuts, seconds by stage, notes.
    """

    index: int
    time: float
    alpha: np.ndarray
    foreground: np.ndarray | None
    active: np.ndarray
    picture: Picture
    stats: FrameStats

    def __repr__(self) -> str:
        return (
            f"MattedFrame({self.index}, {self.time:.3f} s, {self.picture.width}x{self.picture.height}, "
            f"{self.stats.active_share:.1%} refined)"
        )


def iterate_clip(
    pipeline: StillPipeline, clip: Path, hints: Mapping[str, Path | Mapping[int, Path | np.ndarray]], *,
    plate: Path | None = None, key: str | None = None, radius: Radius = None, start: int = 0, stop: int | None = None,
    rate: str | None = None, temporal: bool = True, foreground: bool = True, report: Report | None = None,
    keep_empty: bool = False,
    propagation: str = "network", training: PropagationTrainingParams = TRAINING,
) -> Iterator[MattedFrame]:  # fmt: skip
    """Matte the frames of a clip in order. What cannot work is refused before this returns; frames follow lazily.

    Args:
        pipeline: whose networks are used; it may be used for other things between two frames.
        clip: a video file, a folder of numbered pictures, or a pattern.
        hints: "trimap", "mask" or "alpha" → a picture, folder, pattern or clip, or files and arrays (H, W) by index of
            frame.
        plate, key: hints for every frame.
        radius: half the width in pixels of the unknown band that a mask gets, see `hints.trimap.choose_radius`.
        start, stop: indices of frames, `stop` not included; None: to the end.
        rate: frames per second of a sequence, as text.
        temporal: whether pixels that did not change are kept.
        foreground: whether foreground colours are estimated.
        report: called before each step.
        keep_empty: whether a clip without hints is matted even if no frame has a subject.
        propagation: how masks are propagated, one of `propagation.params.METHODS`.
        training: of the network that propagates them.

    Raises:
        NoSubjectError: no frame has a subject, see `keep_empty`.
        InputError: for what cannot work.
    """
    if propagation not in METHODS:
        raise InputError(f"There is no propagation called {propagation!r}.", f"Choose {' or '.join(METHODS)}.")
    spec = ClipSpec(
        source=clip, start=start, end=stop, rate=None if rate is None else parse_rate(rate), key=key,
        radius=radius, propagation=propagation, training=training,
    )  # fmt: skip
    folder = TemporaryDirectory(prefix="uhrmat-")
    try:
        run = _ClipRun(pipeline, spec, hints, plate, Path(folder.name), keep_empty)
    except BaseException:
        folder.cleanup()
        raise

    def frames() -> Iterator[MattedFrame]:
        with folder:
            yield from run.frames(temporal, foreground, report or (lambda stage, done, total: None))

    return frames()


class _ClipRun:
    """A clip that has been checked."""

    def __init__(
        self, pipeline: StillPipeline, spec: ClipSpec, hints: Mapping[str, Any], plate: Path | None, folder: Path,
        keep_empty: bool,
    ) -> None:  # fmt: skip
        self.spec, key = spec, spec.key
        self.folder = folder / "propagated"
        with self._open() as reader:
            self.info = reader.info
            self.start, self.stop = frame_range(self.spec, count_frames(reader))
            self.hints = self._find_hints(hints, plate, key, spec.radius, folder)
            name = pipeline.priors.name
            own = not isinstance(name, str)
            prior = name.name if not isinstance(name, str) else choose_prior(name, self.hints.given).name
            if self.hints.keys:
                key_hints(self.hints, min(self.hints.keys), (self.info.height, self.info.width))
                self.hints = with_radius(self.hints, reader)
            if self.hints.propagated and name not in ("auto", *AFFINITY_PRIORS):
                raise InputError(
                    f"The prior {prior} cannot propagate a hint from frame to frame.",
                    'Use prior="auto", or give a hint for every frame.',
                )
            screen = None if key is None else clip_screen(reader, self.start, self.stop, key)
        self.side = pipeline.working_size or (None if own else working_side(prior, self.hints))
        self._affinity = edge_prior("auto" if name == "auto" else prior) if self.hints.propagated else None
        self.pipeline = copy.copy(pipeline)
        self.pipeline.working_size = self.side
        if self.hints.propagated or screen is not None:
            self.pipeline.priors = PriorRegistry("alpha" if self.hints.propagated else "key", device=pipeline.device)
        if screen is not None:
            self.pipeline.priors.use("key", KeyPrior(screen))
        else:
            self.pipeline.prepare(frozenset({"alpha"}) if self.hints.propagated else self.hints.given)
        if not (self.hints.given or keep_empty):
            with self._open() as reader:
                find_clip_subject(reader, self.start, self.stop, self.pipeline)

    def frames(self, temporal: bool, foreground: bool, report: Report) -> Iterator[MattedFrame]:
        """Yield the frames; masks are propagated one segment ahead of them."""
        total = self.stop - self.start
        read_hint = HintReader(self.hints, (self.info.height, self.info.width), self.folder)
        with self._open() as reader, self._open() as ahead:
            for segment in split(self.start, self.stop):
                self._propagate(ahead, segment, report)
                clip = ClipPipeline(self.pipeline, TemporalOptions(temporal=temporal))
                for frame in reader.frames(segment.start, segment.stop):
                    report("frame", frame.index - self.start, total)
                    matte = clip.frame(frame.picture, frame.index, read_hint(frame.index), foreground=foreground)
                    yield MattedFrame(
                        index=frame.index, time=float(frame.time), alpha=matte.alpha.copy(),
                        foreground=matte.foreground, active=matte.active.copy(), picture=matte.picture,
                        stats=matte.stats,
                    )  # fmt: skip
        report("frame", total, total)

    def _propagate(self, reader: ClipReader, segment: Segment, report: Report) -> None:
        if self._affinity is not None:
            report("propagate", segment.start - self.start, self.stop - self.start)
            assert self.side is not None
            tracker = None
            if self.spec.propagation == "network":
                tracker = ClipTracker(
                    reader, self.hints, self._affinity, self.folder,
                    device=self.pipeline.device, training=self.spec.training,
                )  # fmt: skip
            propagate_segment(reader, segment, self.hints, self._affinity, self.side, self.folder, tracker=tracker)

    def _open(self) -> closing[ClipReader]:
        return closing(open_clip(self.spec.source, rate=self.spec.rate))

    def _find_hints(
        self, hints: Mapping[str, Any], plate: Path | None, key: str | None, radius: Radius, folder: Path
    ) -> ClipHints:  # fmt: skip
        check_radius(radius, frozenset(hints))
        paths = {name: hint for name, hint in hints.items() if isinstance(hint, Path)}
        clip_hints = find_hints(
            self.info,
            self.start,
            self.stop,
            plate=plate,
            key=key,
            radius=radius if paths else None,
            first_needed=self.spec.propagation == "flow",
            **paths,  # type: ignore[arg-type]
        )
        given = {name: hint for name, hint in hints.items() if not isinstance(hint, Path)}
        if not given:
            return clip_hints
        if paths or len(given) > 1:
            raise InputError(f"Hints of two kinds were given: {_listed(hints)}.", "Keep one of them.")
        if plate is not None or key is not None:
            raise InputError("Hints of two kinds were given.", "Give a mask, trimap or alpha, or a plate or key.")
        kind, by_index = next(iter(given.items()))
        keys = {index: self._as_file(hint, kind, index, folder) for index, hint in by_index.items()}
        inside = {index: path for index, path in keys.items() if self.start <= index < self.stop}
        if not inside:
            raise InputError(f"There is no {kind} for a frame from {self.start} to {self.stop - 1}.", "Give one.")
        if self.start not in inside and self.spec.propagation == "flow":
            raise InputError(f"There is no {kind} for the first frame, {self.start}.", "Give one for it.")
        return ClipHints(kind=kind, keys=inside, propagated=len(inside) < self.stop - self.start, radius=radius)

    def _as_file(self, hint: Path | np.ndarray, kind: str, index: int, folder: Path) -> Path:
        if isinstance(hint, Path):
            return hint
        path, size = folder / f"{kind}-{index:06d}.png", (self.info.height, self.info.width)
        if kind == "trimap":
            write_alpha(path, np.divide(read_trimap(hint, size), 255, dtype=np.float32))
        else:
            write_alpha(path, read_mask(hint, size) if kind == "mask" else read_matte(hint), "png16")
        return path


def _listed(kinds: Iterable[str]) -> str:
    """`a trimap and a mask`."""
    return " and ".join(f"an {kind}" if kind == "alpha" else f"a {kind}" for kind in kinds)
