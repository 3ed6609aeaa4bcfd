"""What docs/json.md says about each command's document is what the command prints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
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
    "models list": "models list",
    "models pull": "models pull lpn-person",
    "models verify": "models verify",
    "batch": "batch shoot -o mattes --trimaps shoot/trimaps --refiner bilinear --jobs 0",
}


def documented(section: str) -> tuple[set[str], set[str]]:
    """Keys of a section's table: those that are always there, and those that are not (with `?`)."""
    text = (ROOT / "docs" / "json.md").read_text("utf-8")
    (part,) = re.findall(rf"^## uhrmat {section}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    keys = {key for row in rows for key in re.findall(r"`([^`]+)`", row)}
    return {key for key in keys if "?" not in key}, {key.replace("?", "") for key in keys if "?" in key}


def as_documents(section: str, printed: str) -> Any:
    """What was printed; of a batch its events by name, so that an event's key is `name.key`."""
    if section != "batch":
        return json.loads(printed)
    lines = [json.loads(line) for line in printed.splitlines()]
    return [{line.pop("event"): line} for line in lines]


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
    documents = as_documents(section, done.stdout)
    assert done.exit_code == 0 or section == "doctor", done.output
    compare(section, {leaf.removeprefix("[].") if section == "batch" else leaf for leaf in leaves(documents)})


def compare(section: str, found: set[str]) -> None:
    """That the table of a section and the keys that were found say the same."""
    always, sometimes = documented(section)
    unknown = {leaf for leaf in found if not any(fits(key, leaf) for key in always | sometimes)}
    assert not {leaf for leaf in unknown if not any(key.startswith(leaf) for key in sometimes)}, "not documented"
    assert not {key for key in always if not any(fits(key, leaf) for leaf in found)}, "documented, but not there"


def test_a_refusal_is_a_document(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["image", str(tmp_path / "nowhere.png"), "--json"])
    assert done.exit_code == 2 and set(json.loads(done.stdout)) == {"error", "hint"}


def test_show_is_one_of_the_list(tmp_path: Path) -> None:
    shown, listed = (
        json.loads(CliRunner().invoke(app, ["models", *words, "--json"]).stdout)
        for words in (["show", "lpn-person"], ["list"])
    )
    assert shown in listed["models"]


def test_training_says_what_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uhrmat.train.run.run", lambda *_, **__: tmp_path / "net.safetensors")
    done = CliRunner().invoke(app, ["train", "shm", "-o", str(tmp_path), "--json"])
    compare("train", set(leaves(json.loads(done.stdout))))


def test_nothing_to_measure_is_a_document(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["bench", "hrimf-amr", "--data", str(tmp_path), "--json"])
    compare("bench hrimf-amr", set(leaves(json.loads(done.stdout))))


def test_every_command_with_json_has_a_section() -> None:
    text = (ROOT / "docs" / "json.md").read_text("utf-8")
    command = typer.main.get_command(app)
    for name, one in command.commands.items():
        kids = getattr(one, "commands", {})
        for words in [f"{name} {kid}" for kid in kids] or [name]:
            assert f"uhrmat {words}" in text or f"## uhrmat {name}\n" in text, words
