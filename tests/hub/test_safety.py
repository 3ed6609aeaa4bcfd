"""What the Hub, a mirror, a cache or a file of weights may not do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from tests.docs.schema import compare
from tests.hub.conftest import WEIGHTS
from tests.hub.server import TOKEN, Hub
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hub import CatalogEntry, resolve
from uhrmat.hub.bundled import bundled_weights, bundled_weights_dir
from uhrmat.hub.consent import MAX_UNLISTED, hub_allowed, max_unlisted_bytes, settings_file
from uhrmat.hub.fetch import hub_token
from uhrmat.hub.locate import verify_cache
from uhrmat.hub.push import push
from uhrmat.hub.tensors import check_values

NAMES = ("net", "org/net:model.safetensors")


def failure(name: str) -> str:
    with pytest.raises(WeightsError) as error:
        resolve(name)
    return str(error.value)


def document(*words: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["models", *words, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_a_link_that_leaves_the_cache_is_not_followed_when_deleting(hub: Hub, tmp_path: Path) -> None:
    path, precious = resolve("net").path, tmp_path / "precious.safetensors"
    precious.write_bytes(WEIGHTS[:-1] + b"x")
    path.unlink()
    path.symlink_to(precious)
    assert "the link to it was deleted" in (text := failure("net")) and str(precious) in text
    assert precious.exists() and not path.is_symlink()


def test_nothing_is_deleted_in_a_folder_that_was_moved_out_of_the_cache(
    hub: Hub, offline_world: Path, tmp_path: Path
) -> None:
    resolve("net")
    folder = offline_world / "models--org--net"
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert resolve("net").path.read_bytes() == WEIGHTS
    blob = resolve("net").path.resolve()
    blob.write_bytes(WEIGHTS[:-1] + b"x")
    assert "is not below the cache" in failure("net")
    assert blob.exists()


def test_a_cache_that_is_itself_a_link_is_a_cache(
    hub: Hub, offline_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(offline_world)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "link"))
    blob = resolve("net").path.resolve()
    blob.write_bytes(WEIGHTS[:-1] + b"x")
    assert "; it was deleted" in failure("net") and not blob.exists()


def test_verify_fetches_nothing_and_sees_files_of_a_wrong_size(hub: Hub, known: tuple[CatalogEntry, ...]) -> None:
    net = known[0]
    with pytest.raises(WeightsError, match="only in part"):
        verify_cache(net)
    assert not hub.requests
    blob = resolve("net").path.resolve()
    verify_cache(net)
    blob.write_bytes(WEIGHTS[:100])
    count = len(hub.requests)
    with pytest.raises(WeightsError, match="100 bytes instead of"):
        verify_cache(net)
    assert not blob.exists() and len(hub.requests) == count


@pytest.mark.parametrize(
    ("address", "flag", "goes"),
    [
        ("https://mirror.example", None, True),
        ("HTTPS://mirror.example", None, True),
        ("http://mirror.example", None, False),
        ("http://127.0.0.1:80", None, False),
        ("mirror.example", None, False),
        ("http://mirror.example", "1", True),
        ("http://mirror.example", "no", False),
    ],
)
def test_where_a_token_may_go(monkeypatch: pytest.MonkeyPatch, address: str, flag: str | None, goes: bool) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", address)
    monkeypatch.delenv("UHRMAT_TOKEN_OVER_HTTP", raising=False)
    if flag is not None:
        monkeypatch.setenv("UHRMAT_TOKEN_OVER_HTTP", flag)
    assert hub_token() == (TOKEN if goes else False)


@pytest.mark.parametrize("stored", [True, False])
def test_no_token_goes_over_an_open_line(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: bool
) -> None:
    """Neither the variable's nor the one that `hf auth login` stores."""
    monkeypatch.delenv("UHRMAT_TOKEN_OVER_HTTP")
    if stored:
        (tmp_path / "no-token").write_text(TOKEN)
    else:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in (*NAMES, "org/net"):
        assert resolve(name).path.read_bytes() == WEIGHTS
    assert hub.requests and {request.token for request in hub.requests} == {None}
    hub.status = 401
    assert ("It was not sent" in failure("org/other:a.onnx")) is not stored


def test_uploading_over_an_open_line_is_refused(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UHRMAT_TOKEN_OVER_HTTP")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (tmp_path / "a.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "a.md").write_text("---\nlicense: mit\n---\n")
    with pytest.raises(WeightsError, match="unencrypted line"):
        push(tmp_path / "a.safetensors", "me/a")
    assert not hub.requests


def test_files_that_nobody_knows_have_a_largest_size(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos["org/other"] = {"a.onnx": b"o" * 5000}
    hub.huge = 10**15
    assert "1e+06 GB" in (text := failure("org/other:a.onnx")) and "UHRMAT_MAX_DOWNLOAD" in text
    hub.huge = 0
    monkeypatch.setenv("UHRMAT_MAX_DOWNLOAD", "4kB")
    assert "at most 4 kB" in failure("org/other:a.onnx")
    assert not hub.requests_to("GET", "/cdn/")
    monkeypatch.setenv("UHRMAT_MAX_DOWNLOAD", "5kB")
    assert resolve("org/other:a.onnx").path.stat().st_size == 5000


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_does_not_end_is_ended(hub: Hub, offline_world: Path, name: str) -> None:
    hub.endless = True
    assert "sends more of model.safetensors" in failure(name)
    assert hub.sent < 20 << 20
    held = sum(path.stat().st_size for path in offline_world.rglob("*") if path.is_file())
    assert held < 2 * len(WEIGHTS)
    hub.endless = False
    assert resolve(name).path.read_bytes() == WEIGHTS


def test_sizes_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UHRMAT_MAX_DOWNLOAD", raising=False)
    assert max_unlisted_bytes() == MAX_UNLISTED
    monkeypatch.setenv("UHRMAT_MAX_DOWNLOAD", "much")
    with pytest.raises(WeightsError, match="'much', which is no size"):
        max_unlisted_bytes()


@pytest.mark.parametrize("path", ["../../evil.safetensors", "/etc/evil.safetensors", "a/../../b.onnx", "..\\b.onnx"])
def test_names_from_the_hub_that_leave_the_repository(hub: Hub, path: str) -> None:
    hub.repos["org/trap"] = {path: WEIGHTS}
    assert "no place inside the repository" in failure("org/trap")
    assert not hub.requests_to("GET", "/cdn/") and not hub.requests_to("HEAD", "resolve")


def test_the_hub_is_asked_once_the_user_has_agreed(
    offline_world: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert document("hub") == {"hub": "deny", "set_by": "default"} and not hub_allowed()
    done = document("hub", "allow")
    compare("models hub", done)
    assert done == {"hub": "allow", "set_by": str(settings_file())} and hub_allowed()
    assert settings_file() == tmp_path / "settings" / "uhrmat" / "settings.json"
    monkeypatch.setenv("UHRMAT_HUB", "deny")
    assert not hub_allowed()
    monkeypatch.delenv("UHRMAT_HUB")
    document("hub", "deny")
    assert not hub_allowed()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"hub": "maybe"}', '{"hub": true}'])
def test_settings_that_say_nothing(offline_world: Path, text: str) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text(text)
    with pytest.raises(InputError, match=r"settings\.json"):
        hub_allowed()


def test_a_variable_that_says_nothing(offline_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UHRMAT_HUB", "perhaps")
    with pytest.raises(InputError, match="'perhaps'"):
        hub_allowed()


def _spoiled(kind: str, path: Path) -> Path:
    """The bundled network with one tensor, the last or the first, made unusable."""
    tensors = load_file(bundled_weights("shm-lite"))
    last, first = list(tensors)[-1], next(iter(tensors))
    if kind in ("nan", "inf", "-inf"):
        tensors[last].view(-1)[-1] = float(kind)
    elif kind == "too large for float32":
        tensors[first] = tensors[first].double()
        tensors[first].view(-1)[0] = 1e300
    else:
        tensors[first] = torch.zeros_like(tensors[first]).to(getattr(torch, kind))
    from safetensors import safe_open

    with safe_open(bundled_weights("shm-lite"), "pt") as file:
        save_file(tensors, path, file.metadata())
    return path


@pytest.mark.parametrize(
    "kind", ["nan", "inf", "-inf", "too large for float32", "int64", "uint8", "bool", "float8_e4m3fn"]
)
def test_weights_that_are_no_numbers_to_reckon_with(tmp_path: Path, kind: str) -> None:
    from uhrmat.refine.shm.refiner import load_shm

    path = _spoiled(kind, tmp_path / "a.safetensors")
    says = "not finite" if kind in ("nan", "inf", "-inf", "too large for float32") else f"are {kind}, not floating"
    with pytest.raises(WeightsError, match=says) as error:
        load_shm(str(path))
    assert error.value.hint and str(path) in str(error.value)


def test_counters_of_a_network_may_be_integers(tmp_path: Path) -> None:
    net = torch.nn.BatchNorm2d(3)
    check_values(net.state_dict(), tmp_path, net)
    with pytest.raises(WeightsError, match="num_batches_tracked"):
        check_values(net.state_dict(), tmp_path)


def test_what_travels_along_is_sound() -> None:
    for path in bundled_weights_dir().glob("*.safetensors"):
        check_values(load_file(path), path)
