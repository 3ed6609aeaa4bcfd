"""What docs/reference/json.md says about each command's document is what the command prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.docs.conftest import ROOT
from tests.docs.schema import compare, printed
from uhrmat.cli.app import app
from uhrmat.core.errors import OutputError

RUNS = {
    "image": "image photo.jpg --trimap photo_trimap.png -o out --refiner bilinear --report out/page.html",
    "video": "video clip.mp4 --mask masks --frames 2 --prior mask --refiner bilinear -o out.mkv --report out.json",
    "trimap": "trimap mask.png -o made.png",
    "evaluate": "evaluate mask.png truth.png",
    "compare": "compare mask.png truth.png truth.png -o page.html",
    "doctor": "doctor",
    "models list": "models list",
    "models pull": "models pull lpn-person",
    "models verify": "models verify",
    "batch": "batch shoot -o mattes --trimaps shoot/trimaps --refiner bilinear --jobs 0",
}


def as_documents(section: str, printed: str) -> Any:
    """What was printed; of a batch its events by name, so that an event's key is `name.key`."""
    if section != "batch":
        return json.loads(printed)
    lines = [json.loads(line) for line in printed.splitlines()]
    return [{line.pop("event"): line} for line in lines]


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
    compare(section, documents, "[]." if section == "batch" else "")
    if section == "video":
        report = json.loads(Path("out.json").read_text())
        assert report.pop("frames") and report == documents["items"][0]


@pytest.mark.parametrize(("command", "name"), [("image", "photo"), ("video", "clip")])
def test_what_failed_is_in_the_document(
    command: str, name: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OutputError("The disk is full.", "Make room.")

    monkeypatch.setattr("uhrmat.image.photo.write_outputs", fail)
    monkeypatch.setattr("uhrmat.video.run.finish_clip", fail)
    words = RUNS[command].replace("out", str(tmp_path / "out")).split()
    monkeypatch.chdir(pictures)
    found = printed(*words, code=1)
    (item,) = found["items"]
    assert set(item) == {name, "status", "error"} and item["status"] == "failed" and "disk is full" in item["error"]


def test_a_refusal_is_a_document(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["image", str(tmp_path / "nowhere.png"), "--json"])
    assert done.exit_code == 2 and set(json.loads(done.stdout)) == {"error", "hint"}


def test_show_is_one_of_the_list(tmp_path: Path) -> None:
    shown, listed = (
        json.loads(CliRunner().invoke(app, ["models", *words, "--json"]).stdout)
        for words in (["show", "lpn-person"], ["list"])
    )
    assert shown in listed["models"]


@pytest.mark.parametrize("words", [("models", "convert"), ("models", "push"), ("train", "lpn"), ("bench", "hrimf-amr")])
def test_others_are_compared_where_they_run(words: tuple[str, str]) -> None:
    """Their documents are compared where small inputs for them are made."""
    command, kid = words
    places = [path.read_text("utf-8") for path in (ROOT / "tests").glob("**/test_*.py")]
    section = "train" if command == "train" else f"{command} {kid}"
    assert any(f'compare("{section}", ' in text for text in places)


def test_every_command_with_json_has_a_section() -> None:
    text = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
    command = typer.main.get_command(app)
    for name, one in command.commands.items():
        kids = getattr(one, "commands", {})
        for words in [f"{name} {kid}" for kid in kids] or [name]:
            assert f"uhrmat {words}" in text or f"## uhrmat {name}\n" in text, words
