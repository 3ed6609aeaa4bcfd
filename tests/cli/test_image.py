"""`uhrmat image` from words to files, with a made-up matter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .conftest import FakeMatter, Run, make_photo, make_trimap


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_default_outputs_lie_beside_the_photograph(run: Run, photo: Path, trimap: Path) -> None:
    result = run("image", photo, "--trimap", trimap)
    assert result.exit_code == 0, result.output
    assert names(photo.parent) == {"photo.png", "trimap.png", "photo_alpha.png", "photo_foreground.png"}


def test_alpha_holds_the_trimap_exactly(run: Run, photo: Path, trimap: Path, tmp_path: Path) -> None:
    assert run("image", photo, "--trimap", trimap, "-o", tmp_path / "new" / "out").exit_code == 0
    alpha = np.asarray(Image.open(tmp_path / "new" / "out" / "photo_alpha.png"))
    assert np.array_equal(alpha, np.asarray(Image.open(trimap)))


def test_every_output_can_be_asked_for(run: Run, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--outputs", "alpha, foreground,cutout,preview,alpha", "--background", "white")
    assert run("image", photo, "-o", out, *words).exit_code == 0
    assert names(out) == {
        "photo_alpha.png",
        "photo_foreground.png",
        "photo_cutout.png",
        "photo_preview.jpg",
        "photo_composite.png",
    }


@pytest.mark.parametrize(("name", "suffix"), [("png", ".png"), ("png16", ".png"), ("tiff", ".tif"), ("exr", ".exr")])
def test_alpha_formats(run: Run, photo: Path, tmp_path: Path, name: str, suffix: str) -> None:
    assert run("image", photo, "-o", tmp_path / "out", "--alpha-format", name, "--outputs", "alpha").exit_code == 0
    assert names(tmp_path / "out") == {f"photo_alpha{suffix}"}


def test_alpha_alone_needs_no_foreground(run: Run, matter: type[FakeMatter], photo: Path, tmp_path: Path) -> None:
    run("image", photo, "-o", tmp_path / "a", "--outputs", "alpha")
    run("image", photo, "-o", tmp_path / "b", "--outputs", "alpha", "--background", "red")
    assert [call.foreground for call in matter.calls] == [False, True]


@pytest.mark.parametrize(
    ("words", "option", "value"),
    [
        (("--working-size", "256"), "working_size", 256),
        (("--engine", "dense"), "engine", "dense"),
        (("--device", "cpu"), "device", "cpu"),
        (("--precision", "bf16"), "precision", "bf16"),
        (("--threads", "1"), "threads", 1),
        (("--max-memory", "64GB"), "max_memory", 64_000_000_000),
        (("--overflow", "parts"), "overflow", "parts"),
        (("--weights", "mine.safetensors"), "weights", "mine.safetensors"),
    ],
)
def test_options_reach_the_matter(
    run: Run, matter: type[FakeMatter], photo: Path, words: tuple[str, ...], option: str, value: Any
) -> None:
    assert run("image", photo, *words).exit_code == 0
    assert getattr(matter.made[0], option) == value


def test_prior_and_refiner_reach_the_matter(run: Run, matter: type[FakeMatter], photo: Path) -> None:
    assert run("image", photo, "--prior", "knn", "--refiner", "ddfe").exit_code == 0
    assert (matter.made[0].prior, matter.made[0].refiner) == ("knn", "ddfe")


def test_a_mask_is_handed_on_as_values(run: Run, matter: type[FakeMatter], photo: Path) -> None:
    mask = make_trimap(photo.with_name("mask.png"), (8, 6))
    assert run("image", photo, "--mask", mask).exit_code == 0
    (call,) = matter.calls
    assert call.trimap is None and call.mask.shape == (12, 16) and call.mask.dtype == np.float32


def test_a_folder_of_trimaps_is_matched_by_name(run: Run, matter: type[FakeMatter], tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    photos = [make_photo(tmp_path / f"{name}.png") for name in "ab"]
    for name in "ab":
        make_trimap(tmp_path / "maps" / f"{name}.tif")
    assert run("image", *photos, "--trimap", tmp_path / "maps").exit_code == 0
    assert [set(np.unique(call.trimap)) for call in matter.calls] == [{0, 128, 255}] * 2


@pytest.mark.parametrize("name", ["caf\u00e9.tif", "cafe\u0301.tif", "cafe\u0301_trimap.png", "caf\u00e9_Trimap.PNG"])
def test_hints_in_a_folder_are_found_however_accents_are_stored(
    run: Run, matter: type[FakeMatter], tmp_path: Path, name: str
) -> None:
    (tmp_path / "maps").mkdir()
    photo = make_photo(tmp_path / "caf\u00e9.png")
    make_trimap(tmp_path / "maps" / name)
    assert run("image", photo, "--trimap", tmp_path / "maps").exit_code == 0
    assert run("image", photo, "--trimap", str(tmp_path / "maps" / name), "--overwrite").exit_code == 0
    assert all(set(np.unique(call.trimap)) == {0, 128, 255} for call in matter.calls)


def test_the_folder_of_the_photographs_may_hold_their_hints(run: Run, matter: type[FakeMatter], photo: Path) -> None:
    make_trimap(photo.with_name("photo_mask.png"))
    assert run("image", photo, "--mask", photo.parent).exit_code == 0
    assert matter.calls[0].mask.tolist()[0][:3] == [0, 0, 0] and matter.calls[0].mask.max() == 1


def test_resize_trimap(run: Run, matter: type[FakeMatter], photo: Path) -> None:
    small = make_trimap(photo.with_name("small.png"), (8, 6))
    assert run("image", photo, "--trimap", small, "--resize-trimap").exit_code == 0
    assert matter.calls[0].trimap.shape == (12, 16)


def test_one_failure_does_not_stop_the_rest(run: Run, tmp_path: Path) -> None:
    photos = [make_photo(tmp_path / f"{name}.png") for name in ("bad", "good")]
    result = run("image", *photos, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert f"error: {photos[0]}: The picture is bad. Take another." in result.stderr
    assert names(tmp_path / "out") == {"good_alpha.png", "good_foreground.png"}


def test_a_truncated_photograph_leaves_nothing(run: Run, photo: Path, tmp_path: Path) -> None:
    photo.write_bytes(photo.read_bytes()[:300])
    result = run("image", photo, "-o", tmp_path / "out")
    assert result.exit_code in (1, 2) and "photo.png" in result.stderr and "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_surprise_is_one_line_and_debug_shows_more(run: Run, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "bug.png")
    result = run("image", photo)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1 and "--debug" in result.stderr
    assert "Traceback" in run("image", photo, "--debug").stderr


def test_interruption(run: Run, tmp_path: Path) -> None:
    photo = make_photo(tmp_path / "stop.png")
    result = run("image", photo, "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert names(tmp_path) == {"stop.png"}


def test_json_is_one_document(run: Run, tmp_path: Path) -> None:
    photos = [make_photo(tmp_path / f"{name}.png") for name in ("good", "bad")]
    result = run("image", *photos, "--json", "-o", tmp_path / "out")
    document = json.loads(result.stdout)
    good, bad = document["items"]
    assert good["status"] == "done" and good["width"] == 16 and good["active_pixels"] == 12
    assert good["files"]["alpha"] == str(tmp_path / "out" / "good_alpha.png")
    assert list(good["seconds"]) == ["read", "prior", "refine", "write"]
    assert bad["status"] == "failed" and "The picture is bad." in bad["error"]


def test_json_of_bad_usage(run: Run, tmp_path: Path) -> None:
    result = run("image", tmp_path / "none.png", "--json")
    assert result.exit_code == 2
    assert set(json.loads(result.stdout)) == {"error", "hint"}


def test_quiet_prints_nothing(run: Run, photo: Path) -> None:
    assert run("image", photo, "--quiet").output == ""


def test_the_table_names_everything(run: Run, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = run("image", photo, "-o", tmp_path / "out").stdout
    for text in ("16 × 12", "12 (25.0%)", "closed-form at 8 × 6", "shm", "tiles", "cpu", "prior 0.50", "peak memory"):
        assert text in out
    assert "photo_alpha.png" in out and "photo_foreground.png" in out


def test_unicode_and_blanks_in_names(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mit Leerzeichen"
    folder.mkdir()
    photo = make_photo(folder / "Tür [rot] 猫.png")
    assert run("image", photo).exit_code == 0
    assert (folder / "Tür [rot] 猫_alpha.png").is_file()


def test_overwrite_replaces(run: Run, photo: Path) -> None:
    target = photo.with_name("photo_alpha.png")
    target.write_bytes(b"old")
    assert run("image", photo).exit_code == 2
    assert target.read_bytes() == b"old"
    assert run("image", photo, "--overwrite").exit_code == 0
    assert np.asarray(Image.open(target)).shape == (12, 16)


@pytest.mark.parametrize("hint", ["plate", "alpha", "key"])
def test_hints_reach_the_matter(run: Run, matter: type[FakeMatter], photo: Path, hint: str) -> None:
    value = "Green" if hint == "key" else make_trimap(photo.with_name(f"{hint}.png"))
    assert run("image", photo, f"--{hint}", value).exit_code == 0
    call = vars(matter.calls[0])
    assert (call["key"] == "green") if hint == "key" else (call[hint] is not None)
    assert [name for name in ("trimap", "mask", "plate", "key", "alpha") if call[name] is not None] == [hint]


def test_one_plate_serves_several_photographs(run: Run, matter: type[FakeMatter], tmp_path: Path) -> None:
    photos = [make_photo(tmp_path / f"{name}.png") for name in "ab"]
    assert run("image", *photos, "--plate", make_photo(tmp_path / "plate.png")).exit_code == 0
    assert all(call.plate is not None for call in matter.calls) and len(matter.calls) == 2
