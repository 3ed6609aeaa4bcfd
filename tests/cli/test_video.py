"""`uhrmat video` from words to files, on frames of a few pixels, with a prior and a refiner that need no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from uhrmat.cli.app import app

LIGHT = ("--prior", "mask", "--refiner", "bilinear", "--precision", "fp32")


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """Four frames of a bright disc that moves, with a soft mask of each beside them."""
    for name in ("shot", "masks"):
        (tmp_path / name).mkdir()
    ys, xs = np.indices((40, 56))
    for number in range(4):
        alpha = np.clip(12.5 - np.hypot(ys - 20, xs - 22 - 2 * number), 0, 1)
        image = np.rint(40 + 180 * alpha[..., None] * [1.0, 0.8, 0.6]).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "shot" / f"f{number:03d}.png")
        Image.fromarray(np.rint(255 * alpha).astype(np.uint8)).save(tmp_path / "masks" / f"m{number:03d}.png")
    return tmp_path / "shot"


def run(*words: Any) -> Result:
    return CliRunner().invoke(app, ["video", *map(str, words)])


def light(shot: Path, *words: Any) -> Result:
    return run(shot, "--mask", shot.with_name("masks"), *LIGHT, *words)


def test_frames_in_frames_out_and_a_table(shot: Path) -> None:
    result = light(shot)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in shot.with_name("shot_alpha").iterdir()) == [f"f{n:03d}.png" for n in range(4)]
    assert "frames per second" in result.stdout and "shot_alpha" in result.stdout and "reused" in result.stdout
    assert not list(shot.parent.glob(".*"))


def test_one_json_document_and_a_report(shot: Path, tmp_path: Path) -> None:
    words = ("-o", tmp_path / "cut.mov", "--json", "--report", tmp_path / "r.json", "--keyframe-interval", 2)
    result = light(shot, *words)
    assert result.exit_code == 0, result.output
    item = json.loads(result.stdout)["items"][0]
    assert item["status"] == "done" and item["codec"] == "prores4444" and item["count"] == 4
    assert item["files"] == {"foreground": str(tmp_path / "cut.mov")} and (tmp_path / "cut.mov").stat().st_size
    assert [f["key"] for f in json.loads((tmp_path / "r.json").read_text())["frames"]] == [True, False, True, False]
    assert (tmp_path / "r.png").exists()


def test_temporal_and_range_reach_the_clip(shot: Path, tmp_path: Path) -> None:
    result = light(shot, "--no-temporal", "--start", 1, "--frames", 2, "--json", "-o", tmp_path / "out")
    item = json.loads(result.stdout)["items"][0]
    assert item["temporal"] is False and item["reuse_share"] == 0 and (item["first"], item["count"]) == (1, 2)
    assert item["averaged"] is True
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["f001.png", "f002.png"]


def test_frame_by_frame_reaches_the_clip(shot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.video import frames

    calls: list[int] = []
    monkeypatch.setattr(frames, "average_alphas", lambda *_: calls.append(1))
    assert json.loads(light(shot, "--frame-by-frame", "--json").stdout)["items"][0]["averaged"] is False
    assert calls == []
    assert light(shot, "--overwrite").exit_code == 0 and len(calls) == 3


def test_some_frames_are_matted_again(shot: Path) -> None:
    assert light(shot).exit_code == 0
    folder = shot.with_name("shot_alpha")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for number in range(4):
        Image.fromarray(np.full((40, 56), 255 * (number > 0), np.uint8)).save(
            shot.with_name("masks") / f"m00{number}.png"
        )
    result = light(shot, "--redo", "1-2", "--json", "--report", shot.with_name("page.html"))
    assert result.exit_code == 0, result.output
    item = json.loads(result.stdout)["items"][0]
    assert (item["first"], item["count"], item["redone"]) == (1, 2, [[1, 2]])
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert [name for name in sorted(after) if after[name] != before[name]] == ["f001.png", "f002.png"]
    page = shot.with_name("page.html").read_text("utf-8")
    assert '"title":"frame 1"' in page and '"title":"frame 2"' in page and '"title":"frame 0"' not in page
    refused = light(shot, "--redo", "3-4")
    assert refused.exit_code == 2 and "--redo '3-4' leaves the frames 0 to 3" in refused.stderr
    refused = light(shot, "--redo", "3", "-o", shot.with_name("nowhere"))
    assert refused.exit_code == 2 and "Matte the clip without --redo first" in refused.stderr
    assert not shot.with_name("nowhere").exists() and not list(shot.parent.glob(".*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "needs a mask"),
        (("--mask", "nowhere.png"), "does not exist"),
        (("--trimap", "a.png", "--mask", "b.png"), "Both --trimap and --mask"),
        (("--mask", "MASKS", "--codec", "betamax"), "no codec"),
        (("--mask", "MASKS", "--rate", "fast"), "rate"),
        (("--mask", "MASKS", "--start", "9"), "do not exist"),
        (("--mask", "MASKS", "--outputs", "alpha", "--background", "nocolour"), "neither a colour"),
        (("--mask", "MASKS", "--max-memory", "lots"), "lots"),
        (("--mask", "MASKS", "--max-memory", "1MB"), "decoding it needs"),
        (("--mask", "MASKS", "--device", "cuda:99"), "cuda"),
        (("--mask", "MASKS", "--threshold", "0.1", "--refiner", "none"), "no refiner"),
        (("--mask", "MASKS", "-o", "cut.gif"), "'.gif' is not written"),
        (("--mask", "MASKS", "-o", "cut.png"), "names one picture"),
        (("--mask", "MASKS", "-o", "f_%04d_v%02d.png"), "more than one number"),
        (("--mask", "MASKS", "-o", "f_%0999999999d.png"), "at most 20 digits"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(shot: Path, words: tuple[str, ...], message: str) -> None:
    before = sorted(shot.parent.rglob("*"))
    masks = str(shot.with_name("masks"))
    result = run(shot, *(masks if word == "MASKS" else word for word in words), "--prior", "mask")
    assert result.exit_code == 2 and message in result.stderr, result.output
    assert sorted(shot.parent.rglob("*")) == before


def test_one_file_and_a_background_give_the_composite_alone(shot: Path, tmp_path: Path) -> None:
    before = {path.name for path in tmp_path.iterdir()}
    result = light(shot, "-o", tmp_path / "cut.mov", "--background", "white", "--json")
    assert json.loads(result.stdout)["items"][0]["files"] == {"composite": str(tmp_path / "cut.mov")}
    assert {path.name for path in tmp_path.iterdir()} == before | {"cut.mov"}


def test_percent_signs_are_names(shot: Path, tmp_path: Path) -> None:
    source = shot.rename(tmp_path / "100% shot")
    words = ("--mask", tmp_path / "masks", *LIGHT)
    assert run(source, *words).exit_code == 0
    assert run(source, *words, "-o", tmp_path / "50% done" / "x%%_%04d.png").exit_code == 0
    assert sorted(path.name for path in (tmp_path / "100% shot_alpha").iterdir())[0] == "f000.png"
    assert sorted(path.name for path in (tmp_path / "50% done").iterdir())[3] == "x%_0003.png"


def test_a_second_run_is_told_who_is_at_work(shot: Path, tmp_path: Path) -> None:
    from uhrmat.video.work import WorkFolder

    before = sorted(tmp_path.rglob("*"))
    with WorkFolder(tmp_path / "new" / ".cut.mov.uhrmat").locked():
        result = light(shot, "-o", tmp_path / "new" / "cut.mov")
    assert result.exit_code == 2 and "Another run is at work" in result.stderr and "process" in result.stderr
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "new"])


def test_outputs_that_exist_are_kept(shot: Path) -> None:
    assert light(shot).exit_code == 0
    again = light(shot)
    assert again.exit_code == 2 and "exists" in again.stderr
    assert light(shot, "--overwrite").exit_code == 0


def test_a_clip_that_fails_on_the_way_exits_with_one(shot: Path) -> None:
    (shot / "f002.png").write_bytes((shot / "f002.png").read_bytes()[:60])
    result = light(shot, "-o", shot.with_name("out.mkv"), "--codec", "ffv1", "--json")
    assert result.exit_code == 1 and "f002.png" in result.stderr
    assert json.loads(result.stdout)["items"][0]["status"] == "failed"
    assert not shot.with_name("out.mkv").exists()


def test_an_interrupt_exits_with_130_and_the_rest_can_be_resumed(shot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.video.frames import ClipPipeline, FramePrior

    inner, out = ClipPipeline.refine, shot.with_name("out.mkv")
    words = ("-o", out, "--keyframe-interval", 2, "--json")

    def refine(self: ClipPipeline, frame: FramePrior, **named: Any) -> Any:
        if frame.number == 3:
            raise KeyboardInterrupt
        return inner(self, frame, **named)

    with monkeypatch.context() as patched:
        patched.setattr(ClipPipeline, "refine", refine)
        assert light(shot, *words).exit_code == 130 and not out.exists()
    resumed = light(shot, *words, "--resume")
    assert resumed.exit_code == 0 and json.loads(resumed.stdout)["items"][0]["kept"] == 2 and out.exists()


def gone(masks: Path, *numbers: int) -> None:
    """The subject is not in these frames."""
    for number in numbers:
        Image.new("L", (56, 40), 0).save(masks / f"m{number:03d}.png")


def test_frames_without_the_subject_are_empty_and_noted(shot: Path, tmp_path: Path) -> None:
    gone(shot.with_name("masks"), 1, 2)
    result = light(shot, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    notes = json.loads(result.stdout)["items"][0]["notes"]
    assert any("the mask is black" in note and note.endswith("(2 of 4 frames: 1, 2)") for note in notes)
    assert any("the alpha is empty" in note and "1, 2" in note for note in notes)
    alphas = [np.asarray(Image.open(path)).max() for path in sorted((tmp_path / "out").glob("*.png"))]
    assert alphas[1:3] == [0, 0] and alphas[0] == alphas[3] == 255


@pytest.mark.parametrize(
    ("value", "size", "says"),
    [(0, (56, 40), "is black"), (255, (56, 40), "is white"), (128, (56, 40), "50%"), (0, (40, 56), "turned by 90°"),
     (0, (50, 20), "is 50x20")],
)  # fmt: skip
def test_one_mask_that_cannot_be_used_is_refused_before_any_work(
    shot: Path, tmp_path: Path, value: int, size: tuple[int, int], says: str
) -> None:
    Image.new("L", size, value).save(tmp_path / "m.png")
    result = run(shot, "--mask", tmp_path / "m.png", "-o", tmp_path / "out")
    assert result.exit_code == 2 and says in result.stderr and not (tmp_path / "out").exists()


def test_labels_mean_the_same_in_a_clip(shot: Path, tmp_path: Path) -> None:
    for path in shot.with_name("masks").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) > 127).astype(np.uint8)).save(path)
    assert light(shot, "-o", tmp_path / "ones").exit_code == 0
    for path in shot.with_name("masks").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) * np.uint8(255)).save(path)
    assert light(shot, "-o", tmp_path / "plain").exit_code == 0
    for name in ("f000.png", "f003.png"):
        one, other = (np.asarray(Image.open(tmp_path / folder / name)) for folder in ("ones", "plain"))
        assert np.array_equal(one, other) and one.max() == 255
