"""`uhrmat doctor`: what is there is told, what is wrong has a cure, and nothing that is broken breaks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from uhrmat import __version__
from uhrmat.cli.app import app
from uhrmat.media.video import CODECS
from uhrmat.report import doctor


def problems(section: str) -> list[doctor.Finding]:
    return [one for one in doctor.examine() if one.section == section and one.problem]


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`only("codecs")`: the doctor looks at nothing else, which is quick."""

    def choose(*names: str) -> None:
        monkeypatch.setattr(doctor, "_SECTIONS", {name: doctor._SECTIONS[name] for name in names})

    return choose


def test_the_document() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code in (0, 1), done.output
    document = json.loads(done.stdout)
    assert set(document) == {"sections", "problems"}
    assert list(document["sections"]) == ["versions", "extras", "machine", "engines", "codecs", "weights"]
    assert document["sections"]["versions"]["uhrmat"] == __version__
    assert set(document["sections"]["codecs"]) == set(CODECS)
    assert document["sections"]["engines"]["auto takes"] in document["sections"]["engines"]
    assert "as it must be" in document["sections"]["weights"]["shm-lite"]
    assert (done.exit_code == 1) == bool(document["problems"])


def test_damaged_weights(only: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from uhrmat.hub import bundled

    only("weights")
    source = bundled.bundled_weights_dir()
    (tmp_path / "shm-lite.md").write_text((source / "shm-lite.md").read_text())
    (tmp_path / "shm-lite.safetensors").write_bytes(b"other")
    monkeypatch.setattr("uhrmat.hub.catalog_entries", bundled.bundled_entries)  # the catalogue keeps what it has read
    for name in ("uhrmat.hub.locate", "uhrmat.hub.bundled"):
        monkeypatch.setattr(f"{name}.bundled_weights_dir", lambda: tmp_path)
    (one,) = problems("weights")
    assert "SHA-256" in one.problem and "git checkout weights" in one.cure
    assert (tmp_path / "shm-lite.safetensors").read_bytes() == b"other", "nothing is deleted"


def test_an_encoder_is_missing(only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    only("codecs")
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"prores_ks"})
    (one,) = problems("codecs")
    assert one.name == "prores4444" and "prores_ks" in one.problem and "PyPI" in one.cure


def test_little_room(only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    only("machine", "weights")
    monkeypatch.setattr("uhrmat.core.memory.available_memory", lambda: 1 << 29)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    result = [one for one in doctor.examine() if one.problem]
    assert [one.name for one in result] == ["memory", "cache"]
    assert "--max-memory" in result[0].cure and "HF_HOME" in result[1].cure


def test_a_library_that_does_not_load(only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    only("versions")
    monkeypatch.setattr(doctor, "LIBRARIES", {"nothing-of-this-name": "nothing_of_this_name"})
    (one,) = problems("versions")
    assert "not installed" in one.problem and "pip install" in one.cure


def test_a_section_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Any:
        raise RuntimeError("no driver")

    monkeypatch.setattr(doctor, "_SECTIONS", {"engines": broken})
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 1 and "no driver" in done.output


def test_extras_say_how_to_get_them(only: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    only("extras")
    monkeypatch.setattr(doctor, "_version", lambda name: {"onnxruntime": "1.23.0"}.get(name))
    result = {one.name: one for one in doctor.examine()}
    assert "pip install '.[ray]'" in result["ray"].value and not result["ray"].problem
    assert "regression" in result["onnxruntime"].problem
