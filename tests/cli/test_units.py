"""Bytes as people write them, and where bundled weights are."""

from __future__ import annotations

from pathlib import Path

import pytest

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.core.units import format_bytes, parse_bytes
from uhrmat.hub import bundled as module
from uhrmat.hub.bundled import bundled_weights, bundled_weights_dir


@pytest.mark.parametrize(
    ("text", "value"),
    [("8GB", 8 * 10**9), ("8g", 8 * 10**9), ("2GiB", 2**31), (" 1.5 MB ", 1_500_000), ("4096", 4096), ("1kib", 1024)],
)
def test_parse(text: str, value: int) -> None:
    assert parse_bytes(text) == value


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "8 GBs", "eight", "1e9", "0.1"])
def test_refused(text: str) -> None:
    with pytest.raises(InputError, match="8GB"):
        parse_bytes(text)


@pytest.mark.parametrize(("value", "text"), [(12, "12 B"), (87_400_000, "87.4 MB"), (1_239_000_000, "1.24 GB")])
def test_format(value: int, text: str) -> None:
    assert format_bytes(value) == text


def test_weights_of_this_installation() -> None:
    assert (bundled_weights_dir() / "README.md").is_file()


def test_bundled_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "uhrmat"
    (package / "weights").mkdir(parents=True)
    monkeypatch.setattr(module, "_PACKAGE", package)
    (package / "weights" / "lite.safetensors").write_bytes(b"x")
    assert bundled_weights("lite") == bundled_weights("lite.safetensors") == package / "weights" / "lite.safetensors"
    with pytest.raises(WeightsError, match=r"'large'.*that are: lite\."):
        bundled_weights("large")


def test_an_installation_without_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()  # somebody else's: there is no pyproject.toml beside it
    monkeypatch.setattr(module, "_PACKAGE", tmp_path / "uhrmat")
    with pytest.raises(WeightsError, match="no weights folder"):
        bundled_weights_dir()
