"""What docs/json.md says about each command's document is what the command prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.docs.conftest import ROOT
from uhrmat.cli.app import app

RUNS = {
    "image": "image photo.jpg --trimap photo_trimap.png -o out --refiner bilinear --report out/page.html",
    "video": "video clip.mp4 --mask masks --frames 2 --prior mask --refiner bilinear -o out.mkv",
    "trimap": "trimap mask.png -o made.png",
    "evaluate": "evaluate mask.png truth.png",
    "compare": "compare mask.png truth.png truth.png -o page.html",
    "doctor": "doctor",
    "models": "models list",
}


def documented(section: str) -> tuple[set[str], set[str]]:
    """Keys of a section's table: those that are always there, and those that are not (with `?`)."""
    text = (ROOT / "docs" / "json.md").read_text("utf-8")
    (part,) = re.findall(rf"^## uhrmat {section}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    keys = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    return {key for key in keys if "?" not in key}, {key.replace("?", "") for key in keys if "?" in key}


def leaves(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value or [None]:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path


def fits(key: str, leaf: str) -> bool:
    pattern = "".join(r"[^.\[]+.*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", key))
    return re.fullmatch(pattern, leaf) is not None


@pytest.mark.parametrize("section", RUNS)
def test_the_table_is_the_document(
    section: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in pictures.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*RUNS[section].split(), "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == 0 or section == "doctor", done.output
    always, sometimes = documented(section)
    found = set(leaves(document))
    unknown = {leaf for leaf in found if not any(fits(key, leaf) for key in always | sometimes)}
    assert not {leaf for leaf in unknown if not any(key.startswith(leaf) for key in sometimes)}, "not documented"
    assert not {key for key in always if not any(fits(key, leaf) for leaf in found)}, "documented, but not there"


def test_a_refusal_is_a_document(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["image", str(tmp_path / "nowhere.png"), "--json"])
    assert done.exit_code == 2 and set(json.loads(done.stdout)) == {"error", "hint"}
