"""Open a picture for painting: read it and its hints, serve the page, wait until the user is done."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError, NoSubjectError
from uhrmat.core.options import ModelOptions
from uhrmat.hints.compatibility import check_hint_combination
from uhrmat.hints.files import ArrayOrPath
from uhrmat.hints.read import Hints, read_hints
from uhrmat.media import MAX_PIXELS, Picture, read_picture
from uhrmat.media.coding import UNKNOWN
from uhrmat.painter.canvas import Trimap
from uhrmat.painter.save import SaveSpec
from uhrmat.painter.server import PageServer
from uhrmat.painter.session import LazyPipeline, PaintSession
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.networks.confidence import NO_SUBJECT, require_subject
from uhrmat.prior.worker import PriorProcess
from uhrmat.sparsity.spatial import trimap_from_alpha


@dataclass(frozen=True, kw_only=True)
class StartHints:
    """What painting starts from: at most one of three hints or the network; nothing of them: all is unknown.

    Attributes:
        trimap, mask, alpha: arrays or paths.
        find_subject: let the network that needs no hint find the subject.

    Raises:
        InputError: several are given.
    """

    trimap: ArrayOrPath | None = None
    mask: ArrayOrPath | None = None
    alpha: ArrayOrPath | None = None
    find_subject: bool = False

    def __post_init__(self) -> None:
        given = [name for name in ("trimap", "mask", "alpha") if getattr(self, name) is not None]
        check_hint_combination(frozenset(given))
        if len(given) + self.find_subject > 1:
            named = [*given, *(["the network"] if self.find_subject else [])]
            raise InputError(f"Painting cannot start from both {' and '.join(named)}.", "Give one of them.")

    def read(self, picture: Picture, load: Callable[[], StillPipeline]) -> Trimap:
        """The trimap (H, W) uint8 {0, 128, 255} that is painted on. load: gives the pipeline, for the network.

        Raises:
            InputError: a hint cannot be used with this picture.
            NoSubjectError: the network finds no subject.
        """
        size = picture.height, picture.width
        if self.find_subject:
            stage = load().run_prior(picture, Hints(), fresh=True)
            try:
                require_subject(stage.prior.confidence)
            except NoSubjectError as error:
                raise NoSubjectError(NO_SUBJECT, "Start without it and paint, or click on the subject.") from error
            return stage.trimap
        if self.trimap is None and self.mask is None and self.alpha is None:
            return np.full(size, UNKNOWN, np.uint8)
        hints = read_hints(size, trimap=self.trimap, mask=self.mask, alpha=self.alpha, picture=picture)
        if hints.alpha is not None:
            return trimap_from_alpha(hints.alpha, size)
        assert hints.trimap is not None
        return hints.trimap


def open_session(
    photo: Path, start: StartHints, model: ModelOptions, folder: Path | None, max_pixels: int = MAX_PIXELS
) -> PaintSession:
    """A session for a photograph's file, whose work is saved beside it or in `folder`.

    Raises:
        UhrmatError: the photograph or a hint cannot be used.
    """
    picture = read_picture(photo, max_pixels)
    return make_session(picture, start, model, photo.name, SaveSpec(photo=photo, folder=folder, model=model))


def make_session(
    picture: Picture, start: StartHints, model: ModelOptions, title: str, saving: SaveSpec | None = None
) -> PaintSession:
    """A session for a picture in memory; see `open_session`."""
    process = PriorProcess()
    pipeline = LazyPipeline(model, process)
    try:
        trimap = start.read(picture, pipeline.load)
        return PaintSession(picture, trimap, title=title, pipeline=pipeline, saving=saving)
    except BaseException:
        process.close()
        raise


def serve(server: PageServer, browser: bool) -> None:
    """Serve until the session is finished; with `browser` the address is opened there."""
    if browser:
        webbrowser.open(server.address)
    server.run()
