"""The server: who may read and change what, and what is refused."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.painter.serving import Client, serving
from tests.painter.test_session import KEEP
from uhrmat.core.errors import InputError
from uhrmat.painter.server import STATIC, PaintServer
from uhrmat.painter.session import PaintSession


@pytest.fixture
def server(session: PaintSession) -> Iterator[PaintServer]:
    with serving(session) as made:
        yield made


def test_the_page_is_served_with_a_policy_that_lets_nothing_in(server: PaintServer) -> None:
    client = Client(server)
    for path, (_, kind) in STATIC.items():
        status, content, headers = client.ask("GET", f"/{path}")
        assert status == 200 and len(content) > 500 and headers["content-type"].startswith(kind)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store" and headers["x-content-type-options"] == "nosniff"
        assert b"http://" not in content and b"https://" not in content and b"//cdn" not in content


def test_the_token_opens_the_page_once(server: PaintServer) -> None:
    first, second = Client(server), Client(server)
    assert second.ask("POST", "/api/enter", {"token": "wrong"})[0] == 403
    assert second.ask("POST", "/api/enter", {"token": ""})[0] == 403
    assert second.ask("POST", "/api/enter", ["token"])[0] == 403
    first.enter(server)
    token = server.address.partition("#")[2]
    assert second.ask("POST", "/api/enter", {"token": token})[0] == 403
    assert second.ask("POST", "/api/enter", {"token": ""})[0] == 403
    assert first.ask("GET", "/api/state")[0] == 200


@pytest.mark.parametrize("key", ["", "wrong", "ü"])
def test_without_the_key_nothing_is_read_or_changed(server: PaintServer, session: PaintSession, key: str) -> None:
    client = Client(server)
    client.key = key.encode().decode("latin-1")
    for method, path in (("GET", "/api/state"), ("GET", "/api/tile/photo/0/0/0"), ("POST", "/api/stroke"),
                         ("POST", "/api/undo"), ("POST", "/api/save"), ("POST", "/api/done")):  # fmt: skip
        assert client.ask(method, path, KEEP if method == "POST" else None)[0] == 403
    assert session.canvas.revision == 0 and not session.finished.is_set()


def test_a_foreign_origin_or_host_is_refused_even_with_the_key(server: PaintServer, session: PaintSession) -> None:
    client = Client(server)
    client.enter(server)
    port = server.port
    for headers in ({"Origin": "https://example.org"}, {"Origin": "null"}, {"Origin": f"http://127.0.0.1:{port + 1}"},
                    {"Host": f"evil.example:{port}"}, {"Host": "127.0.0.1"}):  # fmt: skip
        assert client.ask("POST", "/api/stroke", KEEP, headers)[0] == 403
        assert client.ask("GET", "/", headers=headers)[0] == 403
    assert session.canvas.revision == 0
    own = {"Origin": f"http://localhost:{port}", "Host": f"localhost:{port}"}
    assert client.ask("POST", "/api/stroke", KEEP, own)[0] == 200 and session.canvas.revision == 1


@pytest.mark.parametrize(
    "path",
    ["/../server.py", "/..%2fserver.py", "/static/paint.html", "/%2e%2e/%2e%2e/etc/passwd", "/etc/passwd",
     "/paint.html", "//etc/passwd", "/api/tile/..%2f..%2f/0/0/0", "/api/tile/photo/0/../../state"],
)  # fmt: skip
def test_no_other_file_can_be_read(server: PaintServer, path: str) -> None:
    client = Client(server)
    client.enter(server)
    status, content, _ = client.ask("GET", path)
    assert status == 404 and b"root:" not in content and b"import" not in content


def test_what_is_no_request_is_refused_and_the_server_goes_on(server: PaintServer) -> None:
    client = Client(server)
    client.enter(server)
    assert client.ask("POST", "/api/stroke", raw=b"{no json")[0] == 400
    status, content, _ = client.ask("POST", "/api/stroke", {"tool": "keep"})
    assert status == 400 and "no stroke" in json.loads(content)["error"]
    assert client.ask("POST", "/api/stroke", raw=b"[" + b"0," * (5 << 20) + b"0]")[0] == 413
    assert client.ask("GET", "/api/tile/photo/7/0/0")[0] == 404
    assert client.ask("GET", "/api/tile/secret/0/0/0")[0] == 404
    assert client.ask("GET", "/api/stroke")[0] == 405
    assert client.ask("GET", "/api/state?since=none")[0] == 200


def test_two_pages_see_one_another(server: PaintServer) -> None:
    first = Client(server)
    first.enter(server)
    second = Client(server)
    second.key = first.key
    assert json.loads(first.ask("POST", "/api/stroke", KEEP)[1])["changed"]
    assert json.loads(second.ask("GET", "/api/state")[1])["undo"] == 1
    assert json.loads(second.ask("POST", "/api/undo", {})[1])["changed"]
    assert not json.loads(first.ask("POST", "/api/undo", {})[1])["changed"]


def test_a_port_that_is_taken_is_an_error(session: PaintSession) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match="port"):
            PaintServer(session, other.getsockname()[1])
