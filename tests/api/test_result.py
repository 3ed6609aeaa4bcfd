"""A matte as PIL image, as files and as text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.api.test_inputs import ALPHA, HEIGHT, PIXELS, TRIMAP, WIDTH
from uhrmat import InputError, MattingPipeline, MattingResult, OutputError
from uhrmat.api.errors import for_python
from uhrmat.hints.files import read_alpha


@pytest.fixture(scope="module")
def result() -> Any:
    with MattingPipeline(refiner="guided", working_size=24, device="cpu") as pipeline:
        yield pipeline(PIXELS, trimap=TRIMAP)


def test_pil(result: MattingResult) -> None:
    cutout = np.asarray(result.to_pil())
    assert cutout.shape == (HEIGHT, WIDTH, 4)
    assert (cutout[..., 3] == np.rint(result.alpha * 255)).all() and (cutout[..., :3] == result.foreground).all()
    assert (np.asarray(result.to_pil("alpha")) == cutout[..., 3]).all()
    assert result.to_pil("foreground").mode == "RGB"
    with pytest.raises(InputError, match="no content"):
        result.to_pil("matte")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_pil_of_deeper_pictures(dtype: type) -> None:
    deep = PIXELS.astype(np.uint16) * 257 if dtype is np.uint16 else PIXELS.astype(np.float32) / 255
    with MattingPipeline(refiner="bilinear", working_size=24) as pipeline:
        deeper = pipeline(deep, trimap=TRIMAP)
    known = TRIMAP == 255
    assert np.abs(np.asarray(deeper.to_pil())[known][:, :3].astype(int) - PIXELS[known]).max() <= 1


def test_saving_into_a_folder_and_into_a_file(result: MattingResult, tmp_path: Path) -> None:
    files = result.save(tmp_path / "out")
    assert {name: path.name for name, path in files.items()} == {
        "alpha": "matte_alpha.png", "foreground": "matte_foreground.png",
    }  # fmt: skip
    assert np.abs(read_alpha(files["alpha"]) - result.alpha).max() < 1 / 255
    cut = result.save(tmp_path / "cut.png", ["cutout"])["cutout"]
    assert Image.open(cut).mode == "RGBA"
    assert read_alpha(result.save(tmp_path / "a.exr", ["alpha"])["alpha"]).max() == 1
    sheet = result.save(tmp_path, ["preview"], background="red", overwrite=True)
    assert set(sheet) == {"preview", "composite"} and all(path.exists() for path in sheet.values())


def test_saving_never_replaces_a_file_in_silence(result: MattingResult, tmp_path: Path) -> None:
    target = tmp_path / "cut.png"
    target.write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"exists|appeared") as caught:
        result.save(target)
    assert target.read_bytes() == b"mine" and "--" not in str(caught.value)
    result.save(target, overwrite=True)
    assert target.read_bytes() != b"mine"


def test_saving_over_the_photograph_is_refused(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(photo)
    with MattingPipeline(refiner="bilinear", working_size=24) as pipeline:
        matte = pipeline(photo, trimap=TRIMAP)
    with pytest.raises(OutputError, match="photograph itself"):
        matte.save(photo, overwrite=True)
    assert (np.asarray(Image.open(photo)) == PIXELS).all()
    assert {path.name for path in matte.save(tmp_path).values()} == {"photo_alpha.png", "photo_foreground.png"}


@pytest.mark.parametrize(
    ("outputs", "options", "text"),
    [
        (["matte"], {}, "no output named"),
        ([], {}, "list of outputs is empty"),
        (["alpha"], {"alpha_format": "bmp"}, "no alpha format"),
        (["alpha"], {"colour_format": "bmp"}, "no format"),
    ],
)
def test_saving_what_there_is_not(
    outputs: list[str], options: dict[str, Any], text: str, result: MattingResult, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=text):
        result.save(tmp_path / "new", outputs, **options)
    assert not list(tmp_path.rglob("*.png"))


def test_without_foreground_only_the_alpha_can_be_saved(tmp_path: Path) -> None:
    with MattingPipeline(refiner="bilinear", working_size=24) as pipeline:
        matte = pipeline(PIXELS, trimap=TRIMAP, foreground=False)
    with pytest.raises(InputError, match="foreground was not computed"):
        matte.save(tmp_path)
    with pytest.raises(InputError, match="foreground was not computed"):
        matte.to_pil()
    assert matte.save(tmp_path, ["alpha"])


def test_repr_is_one_short_line(result: MattingResult) -> None:
    text = repr(result)
    assert text.startswith(f"MattingResult(array, {WIDTH}x{HEIGHT}, ") and len(text) < 160 and "\n" not in text
    assert ALPHA.shape == result.alpha.shape


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Give --max-memory 2GB or more.", 'Give `max_memory="2GB"` or more.'),
        ("Use --device cpu.", 'Use `device="cpu"`.'),
        ("Set --working-size 512.", "Set `working_size=512`."),
        ("Give --trimap or --mask.", "Give `trimap` or `mask`."),
        ("Give its colour, --key '#rrggbb'.", 'Give its colour, `key="#rrggbb"`.'),
        ("Replace it with --overwrite, or choose another folder with -o.", "Replace it with `overwrite`."),
        ("An em--dash and a -- b stay.", "An em--dash and a -- b stay."),
    ],
)
def test_options_become_keyword_arguments(text: str, expected: str) -> None:
    assert for_python(text) == expected
