"""The server of a clip's page: frames, who may read and change what, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.painter.clips.conftest import COUNT, KEEP
from tests.painter.serving import Client, running
from uhrmat.painter.clips.server import CLIP_STATIC, ClipServer
from uhrmat.painter.clips.session import ClipSession


@pytest.fixture
def server(session: ClipSession) -> Iterator[ClipServer]:
    made = ClipServer(session)
    with running(made):
        yield made


@pytest.fixture
def client(server: ClipServer) -> Client:
    made = Client(server)
    made.enter(server)
    return made


def test_the_page_is_a_photographs_with_a_script_more(client: Client) -> None:
    page = client.ask("GET", "/")[1]
    assert b'src="/clip.js"' in page and b'href="/clip.css"' in page and b'src="/main.js"' not in page
    for name, (_, kind) in CLIP_STATIC.items():
        status, content, headers = client.ask("GET", f"/{name}")
        assert status == 200 and headers["content-type"].startswith(kind) and b"http" not in content
        assert "default-src 'none'" in headers["content-security-policy"]


def test_a_stroke_is_of_the_frame_that_it_names(client: Client, session: ClipSession) -> None:
    reply = client.ask("POST", "/api/stroke", {**KEEP, "frame": 4})
    assert reply[0] == 200 and json.loads(reply[1])["changed"] and json.loads(reply[1])["revision"] == 1
    assert session.keys.indices() == [4]
    state = json.loads(client.ask("GET", "/api/state?frame=4")[1])
    assert state["clip"]["keys"] == [4] and state["undo"] == 1 and state["frame"] == 4
    other = json.loads(client.ask("GET", "/api/state?frame=3")[1])
    assert other["clip"]["keys"] == [4] and other["undo"] == 0 and other["revision"] == 0
    assert not json.loads(client.ask("POST", "/api/undo", {"frame": 3})[1])["changed"]
    assert json.loads(client.ask("POST", "/api/clear", {"frame": 4})[1])["changed"] and session.keys.indices() == []


def test_tiles_and_thumbnails_are_of_their_frame(client: Client) -> None:
    tiles = [client.ask("GET", f"/api/tile/photo/0/0/0?frame={frame}")[1] for frame in (0, 5, 0)]
    assert tiles[0] == tiles[2] != tiles[1]
    pictures = [client.ask("GET", f"/api/thumbnail/{frame}") for frame in (0, 5)]
    assert pictures[0][0] == 200 and pictures[0][1] != pictures[1][1]
    assert pictures[0][2]["content-type"] == "image/jpeg"


@pytest.mark.parametrize("frame", [-1, COUNT, "first", None, True, 2.5])
def test_no_such_frame_is_refused(client: Client, session: ClipSession, frame: object) -> None:
    status, content, _ = client.ask("POST", "/api/stroke", {**KEEP, "frame": frame})
    assert status == 400 and "frame" in json.loads(content)["error"] and session.keys.indices() == []
    if isinstance(frame, int) and not isinstance(frame, bool):
        assert client.ask("GET", f"/api/state?frame={frame}")[0] == 404
        assert client.ask("GET", f"/api/tile/photo/0/0/0?frame={frame}")[0] == 404
        assert client.ask("GET", f"/api/thumbnail/{frame}")[0] == 404


def test_without_the_key_or_from_elsewhere_nothing_is_read_or_changed(
    server: ClipServer, client: Client, session: ClipSession
) -> None:
    stranger = Client(server)
    asked = [("GET", "/api/state"), ("GET", "/api/thumbnail/0"), ("GET", "/api/tile/photo/0/0/0")]
    asked += [("POST", f"/api/{name}") for name in server._posts()]
    for method, path in asked:
        data = {**KEEP, "frame": 0} if method == "POST" else None
        assert stranger.ask(method, path, data)[0] == 403
        assert client.ask(method, path, data, {"Origin": "https://example.org"})[0] == 403
        assert client.ask(method, path, data, {"Host": f"evil.example:{server.port}"})[0] == 403
    assert session.keys.indices() == []
    for path in (
        "/../clip.js",
        "/..%2fclips/server.py",
        "/api/thumbnail/../../etc/passwd",
        "/clip.html",
        "/static/clip.js",
    ):
        status, content, _ = client.ask("GET", path)
        assert status == 404 and b"root:" not in content and b"import" not in content
