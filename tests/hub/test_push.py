"""Weights and their card go up as one commit, and nothing else does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.hub.conftest import WEIGHTS
from tests.hub.server import TOKEN, Hub
from uhrmat.core.errors import WeightsError
from uhrmat.hub import resolve
from uhrmat.hub.bundled import bundled_weights_dir
from uhrmat.hub.card import Card, front_matter, read_licence, write_card
from uhrmat.hub.push import push


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    path = tmp_path / "mine.safetensors"
    path.write_bytes(WEIGHTS)
    write_card(path.with_suffix(".md"), Card("mine", "Apache-2.0", [("network", "lite")], "tests."))
    return path


def test_what_goes_up_comes_down(hub: Hub, weights: Path) -> None:
    done = push(weights, "me/new", private=True, message="First")
    assert done.files == ["README.md", "mine.safetensors"] and done.licence == "apache-2.0"
    assert hub.commits == ["First"] and done.url.startswith(hub.url)
    assert hub.repos["me/new"]["mine.safetensors"] == WEIGHTS
    assert hub.repos["me/new"]["README.md"].startswith(b"---\nlicense: apache-2.0\n")
    assert resolve("me/new").path.read_bytes() == WEIGHTS


def test_our_own_weights_in_one_command(hub: Hub, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(bundled_weights_dir(), folder)
    (folder / "stray.pth").write_bytes(b"pickle")
    (folder / ".hidden").write_bytes(b"secret")
    push(folder, "me/uhrmat")
    there = hub.repos["me/uhrmat"]
    assert {"README.md", "shm-lite.safetensors", "shm-lite.md"} <= set(there)
    assert there["shm-lite.safetensors"] == (folder / "shm-lite.safetensors").read_bytes()
    assert not {"stray.pth", ".hidden"} & set(there)


def test_refused_before_anything_is_sent(hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = weights.with_suffix(".md")
    cases: list[tuple[str, str]] = [("# no front matter", "no licence"), (front_matter("none stated"), "no licence")]
    for text, says in cases:
        card.write_text(text)
        with pytest.raises(WeightsError, match=says):
            push(weights, "me/new")
    card.write_text(front_matter("MIT"))
    weights.write_bytes(b"\xff" * 40)
    with pytest.raises(WeightsError, match="no sound safetensors"):
        push(weights, "me/new")
    weights.write_bytes(WEIGHTS)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        push(weights, "me/new")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(WeightsError, match="needs a token"):
        push(weights, "me/new")
    card.unlink()
    with pytest.raises(WeightsError, match="no card"):
        push(weights, "me/new")
    for name in ("a.pth", "nowhere.safetensors"):
        (weights.parent / "a.pth").write_bytes(b"pickle")
        with pytest.raises(WeightsError):
            push(weights.parent / name, "me/new")
    assert not hub.requests


def test_a_token_without_the_right_to_write(hub: Hub, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    with pytest.raises(WeightsError, match=r"\(403\).*scopes"):
        push(weights, "me/new")


@pytest.mark.parametrize(
    ("licence", "stated"),
    [("Apache-2.0", "apache-2.0"), ("mit", "mit"), ("Our Own, v1", "other"), ("GPL-3.0", "gpl-3.0")],
)
def test_licences_as_the_hub_names_them(licence: str, stated: str) -> None:
    assert read_licence(front_matter(licence), Path("card")) == stated
