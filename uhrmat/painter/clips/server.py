"""The server of a clip's page: as of a photograph's, with a frame in every request."""

from __future__ import annotations

from typing import Any, TypeGuard

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from uhrmat.core.errors import InputError
from uhrmat.painter.clips.session import ClipSession
from uhrmat.painter.server import WAIT_SECONDS, Endpoint, PageServer, encoded, number_of

CLIP_STATIC = {
    "clip.css": ("clip.css", "text/css"), "clip.js": ("clip.js", "text/javascript"),
    "timeline.js": ("timeline.js", "text/javascript"),
}  # fmt: skip
"""As `server.STATIC`, beside it."""
_SCRIPT = b'<script type="module" src="/main.js"></script>'
_CLIP_SCRIPT = b'<link rel="stylesheet" href="/clip.css"><script type="module" src="/clip.js"></script>'
"""The page of a photograph becomes a clip's by its script, which loads the other one and adds to the page."""


class ClipServer(PageServer):
    """A server for one session of painting on a clip.

    Args:
        session: what is painted.
        port, embedded: see `PageServer`.

    Raises:
        InputError: the port is taken.
    """

    def __init__(self, session: ClipSession, port: int = 0, embedded: bool = False) -> None:
        self._session = session
        super().__init__(session.finished, port, embedded, CLIP_STATIC)
        page, kind = self._static[""]
        self._static[""] = page.replace(_SCRIPT, _CLIP_SCRIPT), kind

    def _posts(self) -> dict[str, Endpoint]:
        changes = {name: self._changing(name) for name in ("stroke", "undo", "redo", "clear", "adopt")}
        others = {"save": self._save, "rerun": self._rerun, "cancel": self._cancel, "point": self._point}
        return {"view": self._view, **others, **changes}

    def _gets(self) -> list[Route]:
        return [
            Route("/api/state", self._state),
            Route("/api/tile/{layer}/{level:int}/{x:int}/{y:int}", self._tile),
            Route("/api/thumbnail/{frame:int}", self._thumbnail),
        ]

    def _changing(self, action: str) -> Endpoint:
        def change(data: Any) -> dict[str, Any]:
            frame = _frame_of(data)
            return {"changed": self._session.change(frame, action, data), **self._session.versions(frame)}

        return change

    def _point(self, data: Any) -> dict[str, Any]:
        self._session.click(_frame_of(data), data)
        return {}

    def _view(self, data: Any) -> dict[str, Any]:
        self._session.show(str(data.get("page", "")) if isinstance(data, dict) else "", _frame_of(data), data)
        return {}

    def _save(self, data: Any) -> dict[str, Any]:
        self._session.start_run(replace=bool(isinstance(data, dict) and data.get("replace")))
        return {}

    def _rerun(self, data: Any) -> dict[str, Any]:
        first, last = ((data.get(name) if isinstance(data, dict) else None) for name in ("first", "last"))
        if not (_is_number(first) and _is_number(last)):
            raise InputError("The range needs two frames.", "Give the first and the last one.")
        self._session.start_run(redo=(first, last))
        return {}

    def _cancel(self, data: Any) -> dict[str, Any]:
        self._session.runs.cancel()
        return {}

    async def _state(self, request: Request) -> Response:
        """The state, at once where it is not of the version that the page has."""
        await run_in_threadpool(self._session.wait, number_of(request, "since", -1), WAIT_SECONDS)
        try:
            return JSONResponse(await run_in_threadpool(self._session.state, number_of(request, "frame", 0)))
        except InputError as error:
            return JSONResponse({"error": str(error)}, 404)

    def _tile(self, request: Request) -> Response:
        place, frame = request.path_params, number_of(request, "frame", 0)
        return encoded(lambda: self._session.tile(frame, place["layer"], place["level"], place["x"], place["y"]))

    def _thumbnail(self, request: Request) -> Response:
        return encoded(lambda: (self._session.frames.thumbnail(request.path_params["frame"]), "image/jpeg"))


def _frame_of(data: Any) -> int:
    """The frame that a request is about. Raises InputError where it names none."""
    frame = data.get("frame") if isinstance(data, dict) else None
    if not _is_number(frame):
        raise InputError("The request names no frame.", "Reload the page.")
    return frame


def _is_number(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
