"""The mattes of a clip one frame after another, for programs that take frames instead of files."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_mask, read_matte, read_trimap, resize_mask
from uhrmat.hints.radius import Radius, check_radius
from uhrmat.media import Picture, write_alpha
from uhrmat.media.video import ClipReader, open_clip
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.choose import AFFINITY_PRIORS, choose_prior
from uhrmat.prior.chroma_key.key import KeyPrior
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.prior.registry import PriorRegistry
from uhrmat.video.consensus import seek_subject
from uhrmat.video.existing import check_reached, hints_of_range
from uhrmat.video.frames import ClipPipeline, FrameStats, TemporalOptions
from uhrmat.video.hints import ClipHints, HintReader, find_hints, key_hints, with_radius
from uhrmat.video.plan import check_propagation, count_frames, frame_range, parse_rate, working_side
from uhrmat.video.prompts import FramePrompts, write_prompt_masks
from uhrmat.video.propagate import begin_after, propagate_segment
from uhrmat.video.propagation.advice import best_hint_frame
from uhrmat.video.propagation.params import TRAINING, PropagationTrainingParams
from uhrmat.video.propagation.report import frame_figures, frames_in_state
from uhrmat.video.propagation.stage import edge_prior, make_tracker, prompt_priors
from uhrmat.video.propagation.states import key_trust
from uhrmat.video.ranges import FrameRange, check_ranges, parse_ranges
from uhrmat.video.screen import clip_screen
from uhrmat.video.segments import Segment, split
from uhrmat.video.spec import ClipSpec
from uhrmat.video.subject import find_clip_subject

ClipSource = Any
"""A hint of a clip: a file, a folder, an array, or a mapping from index of frame to file or array."""
_NO_SCREEN: tuple[float, ...] | None = None
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
    keep_empty: bool = False, prompts: FramePrompts | None = None,
    propagation: str = "network", training: PropagationTrainingParams = TRAINING,
    redo: str | None = None, previous: Path | Mapping[int, Path | np.ndarray] | None = None,
    guard: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> MattedClip:  # fmt: skip
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
        prompts: points and boxes by index of frame, None for the first.
        propagation: how masks are propagated, one of `propagation.params.METHODS`, or a promptable network.
        training: of the network that propagates them.
        redo: only these frames are matted, see `ranges.parse_ranges`.
        previous: mattes of an earlier run, in any form that the hint "alpha" takes: where hints are propagated, those
            of the frames beside the ranges of `redo` count as key frames.
        guard: a context in which each frame is computed, which may word errors in another way.

    Raises:
        NoSubjectError: no frame has a subject, see `keep_empty`.
        InputError: for what cannot work.
    """
    check_propagation(propagation)
    spec = ClipSpec(
        source=clip, start=start, end=stop, rate=None if rate is None else parse_rate(rate), key=key,
        radius=radius, propagation=propagation, training=training, redo=() if redo is None else parse_ranges(redo),
        prompts=prompts or {},
    )  # fmt: skip
    if previous is not None and not spec.redo:
        raise InputError("`previous` says what lies beside the frames of `redo`, which is missing.", "Give both.")
    folder = TemporaryDirectory(prefix="uhrmat-")
    try:
        run = _ClipRun(pipeline, spec, hints, plate, Path(folder.name), keep_empty, previous)
    except BaseException:
        folder.cleanup()
        raise

    def frames() -> Iterator[MattedFrame]:
        with folder:
            yield from run.frames(temporal, foreground, report or (lambda stage, done, total: None))

    return MattedClip(frames(), run.hints.keys, guard)


class MattedClip(Iterator[MattedFrame]):
    """The frames of a clip in order, each matted when it is asked for.

    Its properties speak of the frames that have come so far; they are empty where no network propagates masks.
    """

    def __init__(
        self, frames: Iterator[MattedFrame], keys: Collection[int], guard: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._frames, self._keys, self._guard = frames, frozenset(keys), guard
        self._figures: list[dict[str, Any]] = []

    def __iter__(self) -> MattedClip:
        return self

    def __next__(self) -> MattedFrame:
        with self._guard():
            frame = next(self._frames, None)
        if frame is None:
            raise StopIteration
        stats = frame.stats
        self._figures.append({
            "number": stats.number, "cut": stats.cut, "confidence": stats.confidence or 0.0,
            "propagation": stats.propagation,
        })  # fmt: skip
        return frame

    @property
    def doubtful(self) -> list[int]:
        """Frames whose propagated mask is doubtful."""
        return frames_in_state(self._figures, "doubtful")

    @property
    def lost(self) -> list[int]:
        """Frames in which next to nothing of the subject is left."""
        return frames_in_state(self._figures, "lost")

    @property
    def best_hint_frame(self) -> int | None:
        """The frame on which a hint would help most (`propagation.advice`); None where none is doubtful or lost."""
        return best_hint_frame(self._figures, self._keys)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A range of frames that is matted by itself.

    Attributes:
        start, stop: of its frames; `stop` is not included.
        hints: for them.
        folder: of their propagated alphas.
        pipeline: prior and refiner.
        affinity: the prior that solves the edges of propagated masks; None where none are propagated.
        side: working size of the prior in pixels.
    """

    start: int
    stop: int
    hints: ClipHints
    folder: Path
    pipeline: StillPipeline
    affinity: AffinityPrior | None
    side: int | None


class _ClipRun:
    """A clip that has been checked."""

    def __init__(
        self, pipeline: StillPipeline, spec: ClipSpec, hints: Mapping[str, Any], plate: Path | None, folder: Path,
        keep_empty: bool, previous: Path | Mapping[int, Path | np.ndarray] | None,
    ) -> None:  # fmt: skip
        self.spec, self._screen = spec, _NO_SCREEN
        with self._open() as reader:
            self.info = reader.info
            self.start, self.stop = frame_range(self.spec, count_frames(reader))
            check_ranges(spec.redo, self.start, self.stop, self.info.numbers)
            self.hints = self._find_hints(hints, plate, spec.key, spec.radius, folder, numbered=bool(spec.redo))
            if self.hints.keys and not self.hints.prompts:
                key_hints(self.hints, min(self.hints.keys), self._size)
                self.hints = with_radius(self.hints, reader)
            if spec.key is not None:
                self._screen = clip_screen(reader, self.start, self.stop, spec.key)
        known: Mapping[int, np.ndarray] = {}
        if previous is not None and self.hints.propagated:
            known = self._read_previous(previous, folder / "previous")
        ranges = spec.redo or ((self.start, self.stop - 1),)
        self.parts = [self._plan_part(pipeline, one, known, folder / f"frames-{one[0]}") for one in ranges]
        for part in self.parts if not (self.hints.given or keep_empty) else ():
            with self._open() as reader:
                find_clip_subject(reader, part.start, part.stop, part.pipeline)

    @property
    def _size(self) -> tuple[int, int]:
        """(H, W) of the frames."""
        return self.info.height, self.info.width

    def _plan_part(
        self, base: StillPipeline, frames: FrameRange, known: Mapping[int, np.ndarray], folder: Path
    ) -> _Part:
        """A range whose hints have been checked. known: finished mattes (H, W) of frames beside ranges."""
        hints, first, last = self.hints, *frames
        if self.spec.redo:
            beside = {index: known[index] for index in (first - 1, last + 1) if index in known}
            hints = self._hints_beside(frames, beside, folder)
        name = base.priors.name
        own = not isinstance(name, str)
        prior = name.name if not isinstance(name, str) else choose_prior(name, hints.given, clip=True).name
        if hints.propagated and name not in ("auto", *AFFINITY_PRIORS):
            raise InputError(
                f"The prior {prior} cannot propagate a hint from frame to frame.",
                'Use prior="auto", or give a hint for every frame.',
            )
        side = base.working_size or (None if own else working_side(prior, hints))
        affinity = edge_prior("auto" if name == "auto" else prior) if hints.propagated else None
        pipeline = copy.copy(base)
        pipeline.working_size = side
        if hints.propagated or self._screen is not None:
            pipeline.priors = PriorRegistry("alpha" if hints.propagated else "key", device=pipeline.device)
        if self._screen is not None:
            pipeline.priors.use("key", KeyPrior(self._screen))
        else:
            pipeline.prepare(frozenset({"alpha"}) if hints.propagated else hints.given)
        if hints.propagated and first - 1 in known and self.spec.redo:
            assert side is not None
            training = None if self.spec.propagation == "flow" else self.spec.training
            begin_after(folder, first - 1, known[first - 1], side, training, key_trust(hints, first - 1))
        return _Part(
            start=first, stop=last + 1, hints=hints, folder=folder, pipeline=pipeline, affinity=affinity, side=side
        )

    def _hints_beside(self, frames: FrameRange, beside: Mapping[int, np.ndarray], folder: Path) -> ClipHints:
        """The hints of a range of `redo`, with finished mattes beside it. Raises InputError where none reaches it."""
        files = {index: folder / f"beside-{index:06d}.png" for index, alpha in beside.items() if (alpha > 0.5).any()}
        hints = hints_of_range(self.hints, frames, files)
        if hints.propagated:
            check_reached(hints, frames, frames[0] - 1 in beside, self.spec.propagation)
            folder.mkdir(parents=True, exist_ok=True)
            for index, path in files.items():
                write_alpha(path, beside[index], "png16")
        return hints

    def _read_previous(self, previous: Path | Mapping[int, Path | np.ndarray], folder: Path) -> dict[int, np.ndarray]:
        """The finished mattes (H, W) of the frames beside the ranges of `redo`, where there are any."""
        folder.mkdir()
        mattes = self._find_hints({"alpha": previous}, None, None, None, folder, numbered=True)
        mattes = replace(mattes, propagated=False)
        wanted = {index for first, last in self.spec.redo for index in (first - 1, last + 1)}
        known = {}
        for index in sorted(wanted & mattes.keys.keys()):
            alpha = key_hints(mattes, index, self._size).alpha
            assert alpha is not None
            known[index] = alpha if alpha.shape == self._size else resize_mask(alpha, self._size)
        return known

    def frames(self, temporal: bool, foreground: bool, report: Report) -> Iterator[MattedFrame]:
        """Yield the frames; masks are propagated one segment ahead of them."""
        done, total = 0, sum(part.stop - part.start for part in self.parts)
        with self._open() as reader, self._open() as ahead:
            for part in self.parts:
                read_hint = HintReader(part.hints, self._size, part.folder)
                for segment in split(part.start, part.stop):
                    if part.affinity is not None:
                        report("propagate", done, total)
                        self._propagate(ahead, segment, part, part.affinity)
                    elif temporal and not part.hints.given:
                        report("propagate", done, total)
                        self._seek(ahead, segment, part)
                    clip = ClipPipeline(part.pipeline, TemporalOptions(temporal=temporal))
                    for frame in reader.frames(segment.start, segment.stop):
                        report("frame", done, total)
                        matte = clip.frame(frame.picture, frame.index, read_hint(frame.index), foreground=foreground)
                        stats, done = matte.stats, done + 1
                        if part.affinity is not None:
                            stats = replace(stats, **frame_figures(part.folder, frame.index))
                        yield MattedFrame(
                            index=frame.index, time=float(frame.time), alpha=matte.alpha.copy(),
                            foreground=matte.foreground, active=matte.active.copy(), picture=matte.picture, stats=stats,
                        )  # fmt: skip
        report("frame", total, total)

    def _seek(self, reader: ClipReader, segment: Segment, part: _Part) -> None:
        """Write what the network marks in the frames of a segment without hints."""
        method, _ = part.pipeline.priors.choose(frozenset())
        if isinstance(method, NetworkMatte):
            seek_subject(reader, segment, part.start, part.stop, method, part.folder)

    def _propagate(self, reader: ClipReader, segment: Segment, part: _Part, affinity: AffinityPrior) -> None:
        assert part.side is not None
        method, device = self.spec.propagation, part.pipeline.device
        hints = write_prompt_masks(part.hints, reader, prompt_priors(method, device=device), part.folder)
        tracker = make_tracker(
            method, reader, hints, affinity, part.folder, device=device, training=self.spec.training
        )  # fmt: skip
        propagate_segment(reader, segment, hints, affinity, part.side, part.folder, tracker=tracker)

    def _open(self) -> closing[ClipReader]:
        return closing(open_clip(self.spec.source, rate=self.spec.rate))

    def _find_hints(
        self, hints: Mapping[str, Any], plate: Path | None, key: str | None, radius: Radius, folder: Path,
        numbered: bool,
    ) -> ClipHints:  # fmt: skip
        """The hints, checked. numbered: a picture must say by its name which frame it is for."""
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
            redo=numbered,
            prompts=self.spec.prompts,
            **paths,
        )
        given = {name: hint for name, hint in hints.items() if not isinstance(hint, Path)}
        if not given:
            return clip_hints
        if paths or len(given) > 1 or clip_hints.prompts:
            marks = " and points or boxes" if clip_hints.prompts else ""
            raise InputError(f"Hints of two kinds were given: {_listed(hints)}{marks}.", "Keep one of them.")
        if plate is not None or key is not None:
            raise InputError("Hints of two kinds were given.", "Give a mask, trimap or alpha, or a plate or key.")
        kind, by_index = next(iter(given.items()))
        keys = {index: self._as_file(hint, kind, index, folder) for index, hint in by_index.items()}
        inside = {index: path for index, path in keys.items() if self.start <= index < self.stop}
        if not inside:
            raise InputError(f"There is no {kind} for a frame from {self.start} to {self.stop - 1}.", "Give one.")
        if self.start not in inside and self.spec.propagation == "flow" and not self.spec.redo:
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
