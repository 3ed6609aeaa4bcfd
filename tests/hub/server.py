"""A Hub of our own on 127.0.0.1 that speaks the protocol as huggingface_hub uses it.

Files of .safetensors, .onnx and .bin are LFS: HEAD and GET of `resolve` redirect to a CDN (the same server under the
name `localhost`, another host as on the real Hub), which serves ranges. Everything can be made to go wrong.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_good"
_LFS = (".safetensors", ".onnx", ".bin")


@dataclass(frozen=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    range: str | None
    token: str | None


@dataclass
class Hub:
    """repos: files by repository. status: what every answer is, if not 0; code: its X-Error-Code; cuts: how many times
    the CDN breaks off after `cut_at` bytes; flip: whether the CDN serves one wrong byte; hold: what every answer waits
    for; endless: whether the CDN goes on and on behind the file; huge: the size announced, if not 0; plain: whether it
    answers like some other web server; sent: bytes that an endless CDN has sent."""

    repos: dict[str, dict[str, bytes]]
    url: str = ""
    status: int = 0
    code: str = ""
    cuts: int = 0
    cut_at: int = 0
    flip: bool = False
    hold: threading.Event | None = None
    endless: bool = False
    huge: int = 0
    plain: bool = False
    sent: int = 0
    requests: list[Request] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    def requests_to(self, method: str, part: str) -> list[Request]:
        return [r for r in self.requests if r.method == method and part in r.path]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub behind a port of 127.0.0.1, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    do_GET = do_POST = do_PUT = do_HEAD

    def _answer(self) -> None:
        hub, path = self.hub, unquote(urlsplit(self.path).path)
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
        hub.requests.append(Request(self.command, path, self.headers["Range"], token))
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if hub.hold is not None:
            hub.hold.wait()
        if hub.plain:
            return self._send(200, b"hello")
        if hub.status:
            return self._send(hub.status, b"", {"X-Error-Code": hub.code} if hub.code else {})
        if path.startswith("/cdn/"):
            return self._cdn(path[5:])
        if result := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(*result.groups())
        if result := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", path):
            return self._info(*result.groups())
        if self.command in ("POST", "PUT"):
            return self._write(path, body, token)
        return self._send(404)

    def _resolve(self, repo: str, revision: str, path: str) -> None:
        if repo not in self.hub.repos:
            return self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", COMMIT):
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        data = self.hub.repos[repo].get(path)
        if data is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        head = {"X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if not path.endswith(_LFS):
            return self._send(200, data, {**head, "ETag": f'"{_git_sha(data)}"'})
        digest = hashlib.sha256(data).hexdigest()
        port = self.server.server_address[1]
        head |= {"Location": f"http://localhost:{port}/cdn/{digest}", "ETag": f'"{digest[::-1]}"'}
        return self._send(
            302, b"", {**head, "X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(self.hub.huge or len(data))}
        )

    def _cdn(self, digest: str) -> None:
        every = [data for files in self.hub.repos.values() for data in files.values()]
        data = next(d for d in every if hashlib.sha256(d).hexdigest() == digest)
        if self.hub.flip:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = int((self.headers["Range"] or "bytes=0-")[6:].split("-")[0])
        head = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        if self.hub.cuts:
            self.hub.cuts -= 1
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + self.hub.cut_at])
            return None
        if self.hub.endless:
            return self._go_on(data)
        return self._send(206 if start else 200, data[start:], head)

    def _go_on(self, data: bytes) -> None:
        """The file, and 100 MB more, in chunks whose sum is not announced."""
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            for piece in [data, *[bytes(1 << 20)] * 100]:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.hub.sent += len(piece)
            self.wfile.write(b"0\r\n\r\n")

    def _info(self, repo: str, revision: str) -> None:
        if repo not in self.hub.repos:
            return self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", COMMIT):
            return self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        files = [{"rfilename": path} for path in self.hub.repos[repo]]
        return self._json({"id": repo, "sha": COMMIT, "siblings": files, "tags": [], "private": False})

    def _write(self, path: str, body: bytes, token: str | None) -> None:
        if result := re.fullmatch(r"/upload/(\w+)", path):  # a signed address: it needs no token
            self.hub.uploads[result[1]] = body
            return self._send(200)
        if token is None:
            return self._send(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
        if token != TOKEN:
            return self._send(403)
        if path == "/api/repos/create":
            wanted = json.loads(body)
            repo = f"{wanted.get('organization', 'me')}/{wanted['name']}"
            self.hub.repos.setdefault(repo, {})
            return self._json({"url": f"{self.hub.url}/{repo}"})
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if result := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            return self._json({"transfer": "basic", "objects": [self._object(o) for o in json.loads(body)["objects"]]})
        result = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path)
        assert result is not None, path
        if result[1] not in self.hub.repos:
            return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        return self._preupload(body) if result[2] == "preupload" else self._commit(result[1], body)

    def _object(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return {**wanted, "actions": {"upload": {"href": f"{self.hub.url}/upload/{wanted['oid']}"}}}

    def _preupload(self, body: bytes) -> None:
        paths = [file["path"] for file in json.loads(body)["files"]]
        modes = [{"path": p, "uploadMode": "lfs" if p.endswith(_LFS) else "regular"} for p in paths]
        return self._json({"files": [{**mode, "shouldIgnore": False} for mode in modes]})

    def _commit(self, repo: str, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                self.hub.commits.append(value["summary"])
            elif entry["key"] == "file":
                self.hub.repos[repo][value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.hub.repos[repo][value["path"]] = self.hub.uploads[value["oid"]]
        return self._json({"success": True, "commitOid": COMMIT, "commitUrl": f"{self.hub.url}/{repo}/commit/{COMMIT}"})

    def _json(self, value: Any) -> None:
        return self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes = b"", head: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (head or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _git_sha(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
