"""From the Hub to a verified file, with everything that can be in the way."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.hub.conftest import WEIGHTS
from tests.hub.server import COMMIT, TOKEN, Hub, serving
from uhrmat.core.errors import WeightsError
from uhrmat.hub import CatalogEntry, is_cached, resolve

NAMES = ("net", f"org/net@{COMMIT}", "org/net:model.safetensors", "org/net")


def failure(name: str = "net", **options: object) -> str:
    with pytest.raises(WeightsError) as error:
        resolve(name, **options)  # type: ignore[arg-type]
    assert error.value.hint
    return str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_run_downloads_and_the_second_needs_no_network(
    hub: Hub, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, int, int]] = []
    result = resolve(name, progress=lambda *now: seen.append(now))
    assert result.path.read_bytes() == WEIGHTS and result.verified
    assert result.entry is not None and result.entry.name == "net"
    assert seen[0] == ("model.safetensors", 0, len(WEIGHTS)) and seen[-1][1] == len(WEIGHTS)
    assert len({done for _, done, _ in seen}) > 5

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    count = len(hub.requests)
    assert resolve(name).path == result.path
    assert len(hub.requests) == count


def test_a_stopped_server_is_no_matter_once_it_is_cached(
    known: object, offline_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(Hub({"org/net": {"model.safetensors": WEIGHTS}})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        path = resolve("net").path
    assert resolve("net").path == path
    assert resolve(f"org/net@{COMMIT}:model.safetensors").path.read_bytes() == WEIGHTS


def test_pulling_a_branch_asks_whether_it_moved(hub: Hub) -> None:
    assert resolve("org/net").origin == f"org/net@{COMMIT}:model.safetensors"
    count = len(hub.requests)
    resolve("org/net", fresh=True)
    assert hub.requests[count:] and not [r for r in hub.requests[count:] if "/cdn/" in r.path]


def test_a_flipped_byte_is_refused_and_deleted(hub: Hub, offline_world: Path) -> None:
    hub.flip = True
    for name in ("net", "org/net"):
        assert "SHA-256" in (text := failure(name)) and "deleted" in text
    assert not [p for p in offline_world.rglob("*") if p.is_file() and p.stat().st_size == len(WEIGHTS)]
    hub.flip = False
    assert resolve("net").path.read_bytes() == WEIGHTS


def test_a_file_that_went_bad_in_the_cache_is_refused_and_deleted(hub: Hub) -> None:
    path = resolve("net").path
    path.resolve().write_bytes(WEIGHTS[:-1] + b"x")
    assert "deleted" in failure()
    assert not path.exists()


def test_another_file_is_refused_before_it_is_fetched(hub: Hub) -> None:
    hub.repos["org/net"]["model.safetensors"] = WEIGHTS + b"more"
    assert "announces another" in failure()
    assert not hub.requests_to("GET", "/cdn/")


def test_a_cut_connection_resumes_where_it_broke(hub: Hub) -> None:
    hub.cuts, hub.cut_at = 1, 7500
    assert resolve("net").path.read_bytes() == WEIGHTS
    first, second = hub.requests_to("GET", "/cdn/")
    assert first.range is None and second.range == "bytes=7000-"


@pytest.mark.parametrize(
    ("status", "code", "says", "cure"),
    [
        (401, "", "(401)", "HF_TOKEN"),
        (403, "", "(403)", "HF_TOKEN"),
        (403, "GatedRepo", "gated", "Accept them at"),
        (404, "RepoNotFound", "no repository org/net", "name"),
        (404, "EntryNotFound", "no file model.safetensors", "files"),
        (404, "RevisionNotFound", "no revision c0ffee", "branch"),
        (429, "", "(429)", "HF_TOKEN"),
        (500, "", "(500)", "HF_ENDPOINT"),
        (503, "", "(503)", "HF_ENDPOINT"),
    ],
)
def test_every_refusal_is_one_sentence_with_its_cure(hub: Hub, status: int, code: str, says: str, cure: str) -> None:
    hub.status, hub.code = status, code
    text = failure()
    assert says in text and cure in text and "\n" not in text
    assert len(hub.requests) == 1


def test_no_network_at_all(offline_world: Path, known: object) -> None:
    assert "cannot be reached" in (text := failure()) and "give its path" in text


def test_no_answer_in_time(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.2)
    hub.hold = threading.Event()
    try:
        assert "in time" in (text := failure()) and "HF_HUB_ETAG_TIMEOUT" in text
    finally:
        hub.hold.set()


def test_some_other_web_server(hub: Hub) -> None:
    hub.plain = True
    assert "HF_ENDPOINT" in failure()


def test_a_connection_that_is_reset_is_begun_anew(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.hub import fetch

    real, tries = fetch.download, []

    def reset(*args: object, **options: object) -> str:
        tries.append(1)
        if len(tries) < 3:
            raise _read_error()
        return real(*args, **options)

    monkeypatch.setattr(fetch, "download", reset)
    assert resolve("net").path.read_bytes() == WEIGHTS
    monkeypatch.setattr(fetch, "download", lambda *a, **k: (_ for _ in ()).throw(_read_error()))
    hub.repos["org/other"] = {"a.onnx": b"onnx"}
    assert "broke" in failure("org/other:a.onnx")


def _read_error() -> Exception:
    from huggingface_hub.utils import _http

    return _http.httpx2.ReadError("reset by peer")


def test_offline_by_wish(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("net", "org/net:model.safetensors"):
        assert "HF_HUB_OFFLINE" in failure(name)
    assert "no weights" in failure("org/net")
    assert not hub.requests


def test_the_token_goes_to_the_hub_and_not_to_the_cdn(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    resolve("net")
    assert {r.token for r in hub.requests_to("HEAD", "/resolve/")} == {TOKEN}
    assert {r.token for r in hub.requests_to("GET", "/cdn/")} == {None}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written below `folder`; root gives up its rights meanwhile."""
    below = [folder, *(p for p in folder.rglob("*") if p.is_dir())]
    closed = [path for path in folder.parents if not path.stat().st_mode & 0o001]  # pytest's folders are its user's own
    for path in (*reversed(closed), *below):
        os.chmod(path, 0o755 if path in closed else 0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        for path in below:
            os.chmod(path, 0o755)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions are another matter on Windows")
def test_a_read_only_cache(hub: Hub, offline_world: Path) -> None:
    path = resolve("net").path
    hub.repos["org/other"] = {"a.onnx": b"onnx"}
    with read_only(offline_world):
        assert resolve("net").path == path
        assert "cannot be written" in (text := failure("org/other:a.onnx")) and "HF_HUB_CACHE" in text
    path.resolve().write_bytes(b"bad")
    with read_only(offline_world):
        assert "deleted" not in failure()


def test_licences_that_do_not_allow_everything_are_asked_for(hub: Hub) -> None:
    assert "--accept-licence gpl" in failure("gpl")
    assert not hub.requests
    assert resolve("gpl", accept=["gpl"]).path.read_bytes() == WEIGHTS
    assert resolve("gpl").verified  # once it is here


def test_what_is_not_on_the_hub_is_known_when_brought(hub: Hub, tmp_path: Path) -> None:
    assert "example.org/releases" in failure("far")
    path = tmp_path / "brought.onnx"
    path.write_bytes(b"far" * 9)
    result = resolve(path)
    assert result.entry is not None and result.entry.name == "far" and result.verified
    path.write_bytes(b"FAR" * 9)
    assert resolve(path).entry is None


def test_a_name_means_the_catalogue_even_beside_a_folder_of_that_name(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net").mkdir()
    (Path("net") / "a.onnx").write_bytes(b"mine")
    assert resolve("net").path.read_bytes() == WEIGHTS
    assert resolve("./net").path.read_bytes() == b"mine"


def test_pickles_are_never_fetched_or_read(hub: Hub, tmp_path: Path) -> None:
    assert "pickle" in failure("org/net:evil.bin")
    assert not hub.requests
    (tmp_path / "evil.pth").write_bytes(b"pickle")
    assert "models convert" in failure(str(tmp_path / "evil.pth"))


def test_which_file_of_several(hub: Hub, tmp_path: Path) -> None:
    hub.repos["org/two"] = {"a.onnx": b"1", "b.onnx": b"2"}
    hub.repos["org/none"] = {"README.md": b"#"}
    assert "several weights: a.onnx, b.onnx" in failure("org/two")
    assert "no weights that can be read" in failure("org/none")
    assert "no weights that can be read" in failure("org/net", suffixes=(".onnx",))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "model.safetensors").write_bytes(WEIGHTS)
    assert resolve(tmp_path).files == {"sub/model.safetensors": tmp_path / "sub" / "model.safetensors"}


@pytest.mark.parametrize(
    "name", ["nothing", "https://a.b/c.onnx", "./no/such.onnx", "a/b.safetensors", "-a/b--c:d.onnx"]
)
def test_names_that_mean_nothing(hub: Hub, name: str) -> None:
    failure(name)
    assert not hub.requests


def test_cached_looks_at_sizes(hub: Hub, known: tuple[CatalogEntry, ...]) -> None:
    net = known[0]
    assert not is_cached(net)
    path = resolve("net").path.resolve()
    assert is_cached(net)
    path.write_bytes(b"short")
    assert not is_cached(net)


def test_the_address_of_nobody_is_free() -> None:
    """The port that stands for no network in these tests refuses connections."""
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", 9)) != 0
