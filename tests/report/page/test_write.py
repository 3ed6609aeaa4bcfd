"""What is stored in a page, and what is refused."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from uhrmat.cli.app import app
from uhrmat.core.errors import OutputError
from uhrmat.media import Picture, write_rgba
from uhrmat.media.display import Screen
from uhrmat.report.page import Exhibit, Side, encode, write_page

RAMP = np.tile(np.linspace(0, 1, 1700, dtype=np.float32), (600, 1))


def picture_at(address: str) -> np.ndarray:
    assert address.startswith("data:image/")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1]))))


def data_of(page: Path) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert match
    return dict(json.loads(match[1]))


def test_alpha_is_exact_in_its_tiles() -> None:
    alpha = RAMP.copy()
    alpha[:, :512] = 0
    active = alpha > 0.5
    made = encode(Exhibit(title="ramp", sides=(Side("a", alpha, None, active),)))
    tiles = made["sides"][0]["data"]["tiles"]
    assert set(tiles) == {f"{x},{y}" for x in range(4) for y in range(2)}
    assert tiles["0,0"] == 0, "nothing to be seen is one number"
    tile = picture_at(tiles["2,1"])
    assert np.array_equal(tile[..., 0], np.rint(alpha[512:, 1024:1536] * 255))
    assert np.array_equal(tile[..., 1] > 0, active[512:, 1024:1536])


def test_many_pictures_keep_only_tiles_with_fractional_alpha() -> None:
    alpha = np.zeros((600, 1700), np.float32)
    alpha[10, 600] = 0.5
    colour = np.full((600, 1700, 3), 90, np.uint8)
    info = Picture.from_array(colour).info
    side = Side("a", alpha, colour, None, info)
    made = encode(Exhibit(title="dot", sides=(side,), photo=colour, info=info), whole=False)
    assert list(made["sides"][0]["data"]["tiles"]) == list(made["photo"]["tiles"]) == ["1,0"]


@pytest.mark.parametrize(("left", "right", "middle"), [(0, 0, 0.5), (0, 100, 0.25), (100, 200, 0.75), (0, 200, 0.5)])
def test_where_the_subject_is(left: int, right: int, middle: float) -> None:
    alpha = np.zeros((50, 200), np.float32)
    alpha[:, left:right] = 1
    assert encode(Exhibit(title="bar", sides=(Side("a", alpha),)))["focus"] == pytest.approx(middle, abs=0.01)


def test_colours_go_to_the_screen() -> None:
    linear = np.full((4, 4, 3), 0.2140, np.float32)  # half grey in sRGB
    shown = Screen(Picture.from_array(linear, linear=True).info)(linear)
    assert (np.abs(shown.astype(int) - 128) <= 1).all()
    deep = np.full((4, 4, 3), 32896, np.uint16)
    assert (Screen(Picture.from_array(deep).info)(deep) == 128).all()


def test_no_text_ends_the_script(tmp_path: Path) -> None:
    bad = "</script><script>alert(1)</script> @SCRIPT@ @DATA@"
    page = write_page(tmp_path / "p.html", bad, [encode(Exhibit(title=bad, sides=(Side(bad, RAMP[:9, :9]),)))])
    text = page.read_text("utf-8")
    assert text.count("</script>") == 2 and "<title>&lt;/script&gt;" in text
    assert data_of(page)["title"] == bad
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", text)


def compare(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["compare", *map(str, arguments)])


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two mattes, their truth and a cut-out, of 40 × 30 pixels."""
    alpha = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (30, 1))
    paths = {}
    for name, values in {"a": alpha, "b": alpha**2, "gt": alpha}.items():
        paths[name] = tmp_path / f"{name}.png"
        Image.fromarray(np.rint(values * 255).astype(np.uint8)).save(paths[name])
    pixels = np.full((30, 40, 3), (200, 30, 30), np.uint8)
    paths["cut"] = tmp_path / "cut.png"
    write_rgba(paths["cut"], pixels, alpha, Picture.from_array(pixels).info)
    return paths


def test_compare_measures(files: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "out" / "page.html"
    done = compare(files["a"], files["b"], files["gt"], "-o", page, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["a"]["scores"]["sad"] == 0 < document["b"]["scores"]["sad"]
    assert 0.24 < document["difference"]["largest"] < 0.26
    data = data_of(page)["exhibits"][0]
    assert data["truth"] and data["photo"] is None and [s["colour"] for s in data["sides"]] == [None, None]
    assert any(row[0].startswith("SAD") for row in data["table"])


def test_compare_takes_cut_outs(files: dict[str, Path], tmp_path: Path) -> None:
    done = compare(files["cut"], files["a"], "-o", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    cut, matte = data_of(tmp_path / "page.html")["exhibits"][0]["sides"]
    assert matte["colour"] is None
    assert np.abs(picture_at(cut["colour"]["small"])[:, 1:].astype(int) - (200, 30, 30)).max() < 8
    assert "largest difference       0.000" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "small", "-o", "page.html"], "is 20x15"),
        (["a", "b", "-o", "page.png"], "no .html file"),
        (["a", "nowhere", "-o", "page.html"], "nowhere"),
        (["a", "coloured", "-o", "page.html"], "is coloured"),
        (["a", "b", "-o", "there.html"], "exists"),
    ],
)
def test_compare_refuses(files: dict[str, Path], tmp_path: Path, arguments: list[str], message: str) -> None:
    files["small"] = tmp_path / "small.png"
    Image.new("L", (20, 15), 128).save(files["small"])
    files["coloured"] = tmp_path / "coloured.png"
    Image.new("RGB", (40, 30), "red").save(files["coloured"])
    (tmp_path / "there.html").write_text("mine")
    paths = {text: tmp_path / text for text in arguments if "." in text or text == "nowhere"} | files
    done = compare(*[paths.get(text, text) for text in arguments])
    assert done.exit_code == 2 and message in done.output
    assert (tmp_path / "there.html").read_text() == "mine" and not (tmp_path / "page.html").exists()


def test_an_unwritable_page_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "p.html").mkdir()
    with pytest.raises(OutputError, match="folder"):
        write_page(tmp_path / "p.html", "t", [encode(Exhibit(title="t", sides=(Side("a", RAMP[:9, :9]),)))])
    assert list(tmp_path.iterdir()) == [tmp_path / "p.html"]
