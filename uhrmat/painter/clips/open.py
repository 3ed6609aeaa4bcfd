"""Open a clip for painting: its frames, what was painted before, and the hints to start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.options import ModelOptions
from uhrmat.media import read_info
from uhrmat.media.composite import parse_background
from uhrmat.media.video.container import is_clip
from uhrmat.media.video.sequence import is_pattern
from uhrmat.painter.clips.frames import ClipFrames
from uhrmat.painter.clips.keys import KeyFrames
from uhrmat.painter.clips.request import ClipRequest, ResultForm
from uhrmat.painter.clips.session import ClipSession
from uhrmat.painter.run import StartHints
from uhrmat.painter.session import LazyPipeline
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.worker import PriorProcess
from uhrmat.video.hints import find_hints, key_hints
from uhrmat.video.targets import choose_targets, stem_of


def names_clip(source: Path) -> bool:
    """Whether a path names a clip: a video file, a folder or a pattern; else it is a photograph, or neither."""
    if source.is_dir() or is_pattern(source):
        return True
    if not source.is_file():
        return False
    try:
        read_info(source)
    except InputError:
        return is_clip(source)
    return False


def keys_folder(frames: ClipFrames, folder: Path | None) -> Path:
    """Where the trimaps of a clip's painted frames are kept. folder: of the results; None: beside the clip."""
    return (folder or frames.source.parent) / f"{stem_of(frames.source, frames.info)}_keys"


def open_clip_session(
    clip: Path, start: StartHints, model: ModelOptions, folder: Path | None,
    painted: Mapping[int, StartHints] | None = None, *, form: ResultForm | None = None, saves: bool = True,
) -> ClipSession:  # fmt: skip
    """A session for a clip, with what was painted on it before and the hints to start from.

    Args:
        clip: a video file, a folder of numbered frames or a pattern.
        start: files by frame (`hints.find_hints`), or what the network finds in the first frame.
        model: networks, device and memory.
        folder: of what is painted and of the results; None: beside the clip.
        painted: hints of single frames, by index.
        form: of the results; None: as `uhrmat video` writes them.
        saves: whether the clip is matted from the page; else what is painted is only handed back (`uhrmat.paint`).

    Raises:
        UhrmatError: the clip or a hint cannot be used, nothing can be written beside it, or not in that form.
    """
    frames = ClipFrames(clip)
    if form is not None:
        _check_form(form, frames, folder)
    keys = KeyFrames(keys_folder(frames, folder), frames.numbers, frames.size)
    try:
        process = PriorProcess()
        try:
            pipeline = LazyPipeline(model, process)
            _paint_start(frames, keys, start, pipeline.load)
            for index, hints in (painted or {}).items():
                _paint(keys, frames.check(index), hints.read(frames.picture(index), pipeline.load))
            return ClipSession(
                frames, keys, title=clip.name, pipeline=pipeline, model=model, folder=folder, form=form, saves=saves
            )  # fmt: skip
        except BaseException:
            process.close()
            raise
    except BaseException:
        keys.close()
        raise


def _check_form(form: ResultForm, frames: ClipFrames, folder: Path | None) -> None:
    """Raises UhrmatError for a form in which the results cannot be written: now, not when the first run begins."""
    request = ClipRequest(source=frames.source, keys=frames.source, folder=folder, model=ModelOptions(), form=form)
    choose_targets(request.spec, frames.info)
    if form.background is not None:
        parse_background(form.background)


def _paint_start(
    frames: ClipFrames, keys: KeyFrames, start: StartHints, load: Callable[[], StillPipeline]
) -> None:  # fmt: skip
    """Paint the hints to start from on the frames that they are for. Frames that were painted before stay as they are.

    Raises:
        InputError: a hint cannot be used.
    """
    given = {name: getattr(start, name) for name in ("trimap", "mask", "alpha") if getattr(start, name) is not None}
    if start.find_subject and 0 not in keys.indices():
        _paint(keys, 0, start.read(frames.picture(0), load))
    if not given:
        return
    hints = find_hints(frames.info, 0, frames.count, first_needed=False, **given)
    if hints.clip is not None or not hints.propagated:
        (kind,) = given
        raise InputError(
            f"Each frame has {'an' if kind == 'alpha' else 'a'} {kind} of its own, so that there is nothing to paint.",
            f"Give it to uhrmat video, or give --{kind} for some frames only.",
        )
    for index in sorted(set(hints.keys) - set(keys.indices())):
        trimap = key_hints(hints, index, frames.size).trimap
        assert trimap is not None
        _paint(keys, index, trimap)


def _paint(keys: KeyFrames, index: int, trimap: np.ndarray) -> None:
    if keys.canvas(index).assign(trimap):
        keys.touch(index)
