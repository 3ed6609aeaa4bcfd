"""A server in a thread, and requests to it as a browser or anybody else would send them."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from uhrmat.painter.server import PageServer, PaintServer
from uhrmat.painter.session import PaintSession


@contextmanager
def serving(session: PaintSession) -> Iterator[PaintServer]:
    server = PaintServer(session)
    with running(server):
        yield server


@contextmanager
def running(server: PageServer) -> Iterator[None]:
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.stop()
        thread.join(120)


class Client:
    """Requests to a server, with the key once `enter` was called."""

    def __init__(self, server: PageServer) -> None:
        self.port, self.key = server.port, ""

    def ask(
        self, method: str, path: str, data: Any = None, headers: dict[str, str] | None = None, raw: bytes | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        sent = {"X-Uhrmat-Key": self.key, **(headers or {})}
        body = raw if raw is not None else (None if data is None else json.dumps(data).encode())
        connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        reply = connection.getresponse()
        content = reply.read()
        connection.close()
        return reply.status, content, {name.lower(): value for name, value in reply.getheaders()}

    def enter(self, server: PageServer) -> None:
        status, content, _ = self.ask("POST", "/api/enter", {"token": server.address.partition("#")[2]})
        assert status == 200
        self.key = json.loads(content)["key"]
