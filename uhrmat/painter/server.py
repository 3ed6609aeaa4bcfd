"""The page's server: HTTP on 127.0.0.1, for who holds the session's key and comes from the page itself.

The address that is printed ends in a token that opens the page once; the page trades it for a key that it sends with
every request. The name in Host must be the server's own, so that no other site's name can be made to point here, and so
must Origin be where a browser sends one. Only the files of `STATIC` and what the session encodes are ever sent.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from uhrmat.core.errors import InputError, UhrmatError
from uhrmat.painter.session import PaintSession

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
    from starlette.types import ASGIApp, Receive, Scope, Send
except ImportError as missing:  # the extra is not installed
    raise InputError(
        f"Painting needs the package {missing.name}, which is not installed.", "Install it: pip install 'uhrmat[ui]'"
    ) from missing

STATIC = {
    "": ("paint.html", "text/html"),
    "paint.css": ("paint.css", "text/css"),
    **{name: (name, "text/javascript") for name in ("main.js", "view.js", "tools.js", "link.js")},
}
"""What can be read without a key: path below the root → file and media type."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors {frames}"
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
}  # fmt: skip
_MOST_BYTES = 8 << 20
"""Of a request's body."""
WAIT_SECONDS = 20.0
"""How long a page's question for news is held."""


Endpoint = Callable[[Any], Any]
"""Takes and gives JSON values; run in a thread."""


class PageServer:
    """Serves a page on a port of its own to who holds its key; what it serves is said by subclasses.

    Args:
        finished: set when the user is done: serving ends.
        port: 0 takes a free one.
        embedded: whether pages of notebooks on this machine may hold the page in a frame.
        more: static files beside those of `STATIC`, likewise.

    Raises:
        InputError: the port is taken.
    """

    def __init__(
        self, finished: threading.Event, port: int = 0, embedded: bool = False,
        more: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:  # fmt: skip
        self._finished, self._token, self._key = finished, secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._entering = threading.Lock()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
            self._socket.listen(64)  # who comes before `run` waits
        except OSError as error:
            raise InputError(f"The port {port} cannot be used: {error.strerror}.", "Leave --port out.") from error
        self.port = int(self._socket.getsockname()[1])
        self._hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        frames = "http://localhost:* http://127.0.0.1:*" if embedded else "'none'"
        self._headers = {**_HEADERS, "Content-Security-Policy": _POLICY.format(frames=frames)}
        folder = resources.files("uhrmat.painter") / "static"
        names = {**STATIC, **(more or {})}
        self._static = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in names.items()}
        config = uvicorn.Config(
            _Guard(self._app(), self._refusal, self._headers), log_config=None, log_level="critical", access_log=False,
            timeout_graceful_shutdown=1, server_header=False, lifespan="off",
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    @property
    def address(self) -> str:
        """The address that opens the page, once."""
        return f"http://127.0.0.1:{self.port}/#{self._token}"

    def run(self) -> None:
        """Serve until `stop`, the session's end or an interrupt."""
        threading.Thread(target=self._stop_when_finished, daemon=True).start()
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `run`."""
        self._server.should_exit = True

    def _stop_when_finished(self) -> None:
        self._finished.wait()
        self.stop()

    def _refusal(self, headers: dict[str, str], path: str, method: str) -> tuple[int, str] | None:
        """Why a request is refused, or None."""
        if headers.get("host") not in self._hosts:
            return 403, "This server answers to its own name only."
        origin = headers.get("origin")
        if origin is not None and origin not in {f"http://{host}" for host in self._hosts}:
            return 403, "This server answers its own page only."
        if path.startswith("/api/") and path != "/api/enter":
            given = headers.get("x-uhrmat-key", "")
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                return 403, "Open the address that uhrmat has printed."
        return None

    def _app(self) -> Starlette:
        routes = [Route(f"/{path}", self._static_file) for path in self._static]
        posts: dict[str, Endpoint] = {"enter": self._enter, "done": self._done, **self._posts()}
        routes += [Route(f"/api/{name}", _json_endpoint(make), methods=["POST"]) for name, make in posts.items()]
        return Starlette(routes=[*routes, *self._gets()])

    def _posts(self) -> dict[str, Endpoint]:
        """What the page can ask for by POST, by name."""
        raise NotImplementedError

    def _gets(self) -> list[Route]:
        """What the page can read."""
        raise NotImplementedError

    def _static_file(self, request: Request) -> Response:
        content, kind = self._static[request.url.path[1:]]
        return Response(content, media_type=kind)

    def _enter(self, data: Any) -> dict[str, Any]:
        """The key for the token, once."""
        given = data.get("token") if isinstance(data, dict) else None
        with self._entering:
            right = isinstance(given, str) and hmac.compare_digest(given.encode(), self._token.encode())
            if not self._token or not right:
                raise _Refused
            self._token = ""
        return {"key": self._key}

    def _done(self, data: Any) -> dict[str, Any]:
        threading.Timer(0.2, self._finished.set).start()  # after the reply
        return {}


class PaintServer(PageServer):
    """A server for one session of painting on a photograph.

    Args:
        session: what is painted.
        port, embedded: see `PageServer`.

    Raises:
        InputError: the port is taken.
    """

    def __init__(self, session: PaintSession, port: int = 0, embedded: bool = False) -> None:
        self._session = session
        super().__init__(session.finished, port, embedded)

    def _posts(self) -> dict[str, Endpoint]:
        return {
            "view": self._view, "save": self._save, "point": self._point,
            "stroke": lambda data: self._change("stroke", data),
            "undo": lambda data: self._change("undo", data), "redo": lambda data: self._change("redo", data),
        }  # fmt: skip

    def _gets(self) -> list[Route]:
        tiles = Route("/api/tile/{layer}/{level:int}/{x:int}/{y:int}", self._tile)
        return [Route("/api/state", self._state), tiles]

    def _change(self, action: str, data: Any) -> dict[str, Any]:
        changed = self._session.change(action, data)
        return {"changed": changed, "revision": self._session.canvas.revision, "alpha": self._session.live.shown}

    def _point(self, data: Any) -> dict[str, Any]:
        self._session.click(data)
        return {}

    def _view(self, data: Any) -> dict[str, Any]:
        self._session.show(str(data.get("page", "")) if isinstance(data, dict) else "", data)
        return {}

    def _save(self, data: Any) -> dict[str, Any]:
        self._session.start_saving(bool(isinstance(data, dict) and data.get("replace")))
        return {}

    async def _state(self, request: Request) -> Response:
        """The state, at once where it is not of the version that the page has."""
        await run_in_threadpool(self._session.live.wait, number_of(request, "since", -1), WAIT_SECONDS)
        return JSONResponse(self._session.state())

    def _tile(self, request: Request) -> Response:
        place = request.path_params
        return encoded(lambda: self._session.tile(place["layer"], place["level"], place["x"], place["y"]))


def number_of(request: Request, name: str, otherwise: int) -> int:
    """A whole number of a request's query; `otherwise` where there is none."""
    try:
        return int(request.query_params.get(name, otherwise))
    except ValueError:
        return otherwise


def encoded(make: Callable[[], tuple[bytes, str]]) -> Response:
    """A reply of bytes and their media type; 404 for what there is none of."""
    try:
        content, kind = make()
    except InputError as error:
        return JSONResponse({"error": str(error)}, 404)
    return Response(content, media_type=kind)


class _Refused(Exception):
    """A wrong or used token."""


def _json_endpoint(make: Callable[[Any], Any]) -> Callable[[Request], Any]:
    """An endpoint that takes and gives JSON, `make` run in a thread."""

    async def endpoint(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                return JSONResponse({"error": "The request is too large."}, 413)
        try:
            data = json.loads(body or b"null")
        except ValueError:
            return JSONResponse({"error": "The request is no JSON."}, 400)
        try:
            return JSONResponse(await run_in_threadpool(make, data))
        except _Refused:
            what = "This address has been used, or is not the one that uhrmat has printed."
            return JSONResponse({"error": what}, 403)
        except UhrmatError as error:
            return JSONResponse({"error": str(error)}, 400)

    return endpoint


class _Guard:
    """Refuses requests before they reach the application, and adds headers to every reply."""

    def __init__(
        self, app: ASGIApp, refusal: Callable[[dict[str, str], str, str], tuple[int, str] | None],
        headers: dict[str, str],
    ) -> None:  # fmt: skip
        self._app, self._refusal = app, refusal
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        names = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self._headers]
            await send(message)

        refused = self._refusal(names, scope["path"], scope["method"])
        app = self._app if refused is None else JSONResponse({"error": refused[1]}, refused[0])
        await app(scope, receive, send_with_headers)
