"""`uhrmat paint`: the address, its end, what is refused before anything is served."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.docs.schema import compare
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError
from uhrmat.image.table import paint_command

pytest.importorskip("starlette", reason="starlette is not installed: pip install .[ui]")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)).save(path)
    return path


@pytest.mark.parametrize("kind", ["photo", "clip"])
def test_it_serves_until_it_is_interrupted(photo: Path, kind: str) -> None:
    source = photo
    if kind == "clip":
        source = photo.parent / "take"
        source.mkdir()
        for number in (1, 2):
            (source / f"take_{number:04d}.png").write_bytes(photo.read_bytes())
    command = [sys.executable, "-m", "uhrmat", "paint", str(source), "--no-browser", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            document = "".join(iter(process.stdout.readline, "}\n")) + "}"
            compare("paint", json.loads(document))
            address = json.loads(document)["address"]
            connection = http.client.HTTPConnection(address.split("/")[2], timeout=300)
            connection.request("GET", "/")
            assert connection.getresponse().status == 200 and address.startswith("http://127.0.0.1:")
            process.send_signal(signal.SIGINT)
            assert process.wait(300) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--mask", "photo.png", "--find-subject"], "both mask and the network"),
        (["--trimap", "none.png"], "none.png"),
        (["--port", "70000"], "70000"),
        (["clip", "--max-pixels", "1M"], "--max-pixels"),
        (["empty"], "no numbered frames"),
        (["--codec", "vp9"], "--codec is for a clip"),
        (["--outputs", "alpha"], "--outputs is for a clip"),
        (["clip", "--codec", "vp10"], "vp10"),
        (["clip", "--outputs", "alpha,composite"], "A composite needs a background"),
        (["clip", "--background", "no.png"], "no.png"),
    ],
)
def test_what_cannot_work_is_refused(photo: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], part: str) -> None:
    for name in ("clip", "empty"):
        (photo.parent / name).mkdir()
    (photo.parent / "clip" / "f_1.png").write_bytes(photo.read_bytes())
    words = words if words[0] in ("clip", "empty") else ["photo.png", *words]
    monkeypatch.chdir(photo.parent)
    done = CliRunner().invoke(app, ["paint", *words, "--no-browser"])
    assert done.exit_code == 2 and part in done.stderr and "127.0.0.1" not in done.stdout


def test_a_report_says_how_to_go_on_here(photo: Path, tmp_path: Path) -> None:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 15:45] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    page = tmp_path / "page.html"
    words = ["image", str(photo), "--mask", str(tmp_path / "mask.png"), "--prior", "mask", "--refiner", "bilinear"]
    done = CliRunner().invoke(app, [*words, "--report", str(page)])
    assert done.exit_code == 0, done.output
    assert '["open in paint","uhrmat paint photo.png --alpha photo_alpha.png"]' in page.read_text()
    assert paint_command(Path("a b.tif"), {}) == "uhrmat paint 'a b.tif'"


def test_without_the_extra_it_says_what_to_install(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "uhrmat.painter.server", raising=False)
    with pytest.raises(InputError, match=r"uvicorn.*not installed.*uhrmat\[ui\]"):
        __import__("uhrmat.painter.server")
