"""Headers of safetensors files that lie."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from uhrmat.core.errors import WeightsError
from uhrmat.hub.tensors import INPUT_VERSION_KEY, MAX_HEADER, check_input_version, load_into, load_tensors, read_header

SOUND = save({"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(3, dtype=torch.float16)}, {"size": "lite"})
A = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def written(folder: Path, header: Any, data: bytes = bytes(24), length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(raw) if length is None else length) + raw + data)
    return path


def test_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(SOUND)
    tensors, metadata = load_tensors(path)
    assert metadata == {"size": "lite"} and tensors["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert load_tensors(written(tmp_path, {"a": A}))[0]["a"].shape == (2, 3)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (b"not json at all", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"9" * 5000, "no JSON"),
        ([1], "no JSON object"),
        ({"a": 5}, "not described"),
        ({"a": {"dtype": "F32", "shape": [2, 3]}}, "not described"),
        ({"a": A | {"dtype": "F33"}}, "unknown type"),
        ({"a": A | {"dtype": ["F32"]}}, "unknown type"),
        ({"a": A | {"shape": [2, -3]}}, "impossible"),
        ({"a": A | {"shape": [True, 6]}}, "impossible"),
        ({"a": A | {"shape": [1 << 60]}}, "impossible"),
        ({"a": A | {"shape": "23"}}, "impossible"),
        ({"a": A | {"shape": [1 << 40, 1 << 40]}}, "does not fit"),
        ({"a": A | {"shape": [2, 4]}}, "does not fit"),
        ({"a": A, "b": A}, "overlaps"),
        ({"a": A | {"data_offsets": [4, 28]}}, "hole"),
        ({"a": A | {"shape": [1 << 30], "data_offsets": [0, 1 << 32]}}, "need 4,294,967,296 bytes"),
        ({}, "need 0 bytes"),
        ({"a": A, "__metadata__": {"x": 1}}, "metadata"),
        ({"a": A, "__metadata__": [1]}, "metadata"),
    ],
)
def test_a_header_that_lies(tmp_path: Path, header: Any, says: str) -> None:
    with pytest.raises(WeightsError, match=says) as error:
        read_header(written(tmp_path, header))
    assert len(str(error.value)) < 600


@pytest.mark.parametrize("length", [0, 1, 25, MAX_HEADER + 1, 1 << 40, (1 << 64) - 1])
def test_absurd_lengths_are_refused_before_anything_is_read(tmp_path: Path, length: int) -> None:
    with pytest.raises(WeightsError, match="header claims"):
        read_header(written(tmp_path, {"a": A}, b"", length) if length > 25 else written(tmp_path, b"{}", b"", length))


def test_no_file_and_a_short_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read"):
        read_header(tmp_path / "nowhere.safetensors")
    (tmp_path / "a").write_bytes(b"1234")
    with pytest.raises(WeightsError, match="header claims"):
        read_header(tmp_path / "a")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_give_tensors_or_a_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    """Sound files with a few bytes changed, cut or added."""
    raw = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path / "a.safetensors"
    path.write_bytes(raw)
    try:
        tensors, _ = load_tensors(path)
    except WeightsError as error:
        assert error.hint
    else:
        assert sum(t.numel() * t.element_size() for t in tensors.values()) <= len(raw)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    net, path = torch.nn.Linear(2, 1), tmp_path / "x.safetensors"
    with pytest.raises(WeightsError, match="are not those of a line") as refused:
        load_into(net, {"weight": torch.zeros(3, 3)}, path, "a line", "uhrmat train line")
    assert "uhrmat train line" in refused.value.hint
    half = {name: value.half() for name, value in torch.nn.Linear(2, 1).state_dict().items()}
    result = load_into(net, half, path, "a line", "")
    assert not result.training and result.weight.dtype == torch.float32
    assert torch.equal(result.weight, half["weight"].float())


@pytest.mark.parametrize("metadata", [{}, {INPUT_VERSION_KEY: "1"}, {"size": "base"}])
def test_weights_of_the_expected_input_version_are_accepted(metadata: dict[str, str]) -> None:
    check_input_version(metadata, Path("w.safetensors"), 1, "a line")


@pytest.mark.parametrize(
    ("metadata", "expected"), [({INPUT_VERSION_KEY: "2"}, 1), ({}, 2), ({INPUT_VERSION_KEY: "x"}, 1)]
)
def test_weights_of_another_input_version_are_refused(metadata: dict[str, str], expected: int) -> None:
    version = metadata.get(INPUT_VERSION_KEY, "1")
    with pytest.raises(WeightsError, match=f"input version {version} of a line.* version {expected}") as caught:
        check_input_version(metadata, Path("w.safetensors"), expected, "a line")
    assert "train them again" in caught.value.hint
