"""A Hub of our own, an empty cache, and a catalogue of which it has the files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import close_session, constants
from safetensors.torch import save

from tests.hub.server import COMMIT, Hub, serving
from uhrmat.hub import locate
from uhrmat.hub.entry import CatalogEntry, WeightsFile

WEIGHTS = save({"w": torch.arange(5000.0)})


def entry(name: str, data: bytes = WEIGHTS, **changes: object) -> CatalogEntry:
    file = WeightsFile("model.safetensors", len(data), hashlib.sha256(data).hexdigest())
    values: dict[str, object] = {
        "title": "a test", "task": "prior", "source": "hub", "loader": "none", "licence": "MIT", "commercial": True,
        "data": "none", "files": (file,), "repo": "org/net", "revision": COMMIT,
    }  # fmt: skip
    return CatalogEntry(name=name, **values | changes)  # type: ignore[arg-type]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> tuple[CatalogEntry, ...]:
    """The catalogue during a test: `net`, `gpl` (the same under another licence) and `far` (not on the Hub)."""
    far = entry("far", b"far" * 9, source="elsewhere", home="example.org/releases", repo="", revision="")
    result = (entry("net"), entry("gpl", licence="GPL-3.0", commercial=False), far)
    monkeypatch.setattr(locate, "catalog_entries", lambda: result)
    monkeypatch.setattr(locate, "find_entry", lambda name: next((e for e in result if e.name == name), None))
    return result


@pytest.fixture
def offline_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache and no way out: the Hub's address is a port where nobody listens."""
    cache = tmp_path / "cache"
    own = ("UHRMAT_HUB", "UHRMAT_TOKEN_OVER_HTTP", "UHRMAT_MAX_DOWNLOAD")
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", *own):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    return cache


@pytest.fixture
def hub(offline_world: Path, known: tuple[CatalogEntry, ...], monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The Hub with `org/net`: weights, a configuration and a pickle. It has no encryption, and may have tokens."""
    files = {"model.safetensors": WEIGHTS, "config.json": b'{"a": 1}', "evil.bin": b"pickle"}
    with serving(Hub({"org/net": files})) as result:
        monkeypatch.setenv("HF_ENDPOINT", result.url)
        monkeypatch.setenv("UHRMAT_TOKEN_OVER_HTTP", "1")
        close_session()
        yield result
