"""A clip of a folder is the clip that `uhrmat video` makes of it, whoever did which of its segments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uhrmat.batch.executors.inline import InlineExecutor
from uhrmat.batch.find import Selection
from uhrmat.batch.hints import HintFolders
from uhrmat.batch.run import BatchRun, run_batch
from uhrmat.batch.settings import Settings
from uhrmat.video.plan import plan_clip
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

from .helpers import LIGHT, clip, clip_masks, files, light

KEYED = replace(LIGHT, prior="auto")


def screens(folder: Path) -> Path:
    """Seven frames of a subject before a green that fades; one shows no green at all."""
    folder.mkdir(parents=True)
    for number in range(7):
        image = np.full((48, 64, 3), (40, 190 - 9 * number, 60), np.uint8)
        image[12:, 16 + number : 48 + number] = (150, 170, 90)
        if number == 4:
            image[:] = (90, 60, 50)
        Image.fromarray(image).save(folder / f"f_{number:03d}.png")
    return folder


def alone(source: Path, out: Path, **more: Any) -> dict[str, str]:
    """As `uhrmat video` does it."""
    planned = plan_clip(ClipSpec(source=source, output=out, outputs=("alpha", "foreground"), interval=3, **more))
    matte_clip(planned, ClipResources.load(planned))
    return files(out)


def in_a_folder(
    root: Path, settings: Settings, hints: HintFolders | None
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """As `uhrmat batch` does it; with its events."""
    events: list[dict[str, Any]] = []
    batch_run = BatchRun(
        roots=[root / "in"], out=root / "out", settings=settings, selection=Selection(sequences=("shot",)), hints=hints
    )
    assert run_batch(batch_run, lambda: InlineExecutor(settings), events.append)[0].good
    return files(root / "out"), events


def test_a_clip_with_a_clip_of_alphas(tmp_path: Path) -> None:
    """Segments that begin inside the hint clip give the bytes of one reading of it."""
    source = clip(tmp_path / "in")
    masks = clip_masks(tmp_path / "pictures" / "take", 7)
    write_grey(tmp_path / "alphas" / "take.mkv", [np.asarray(Image.open(path)) for path in sorted(masks.iterdir())])
    settings = light(model=KEYED, given=("alpha",), outputs=("alpha", "foreground"))
    made, events = in_a_folder(tmp_path, settings, HintFolders({"alpha": str(tmp_path / "alphas")}))
    alpha = tmp_path / "alphas" / "take.mkv"
    assert made == alone(source, tmp_path / "alone", alpha=alpha, codec="ffv1", model=KEYED) and len(made) == 2
    (notes,) = [event["notes"] for event in events if event["event"] == "done"]
    assert "prior alpha, because an alpha was given" in notes


def write_grey(path: Path, pictures: list[np.ndarray]) -> None:
    """A grey clip in FFV1 whose frames depend on those before them."""
    import av

    path.parent.mkdir(parents=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25, options={"g": "5"})
        (stream.height, stream.width), stream.pix_fmt = pictures[0].shape, "gray"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "gray")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("count", [1, 7])
def test_a_clip_with_masks(tmp_path: Path, count: int) -> None:
    """One mask is carried through the clip, seven are one for each frame."""
    source = clip(tmp_path / "in")
    masks = clip_masks(tmp_path / "masks" / "take", count)
    model = LIGHT if count > 1 else KEYED
    settings = light(model=model, outputs=("alpha", "foreground"))
    made, _ = in_a_folder(tmp_path, settings, HintFolders({"mask": str(tmp_path / "masks")}))
    assert made == alone(source, tmp_path / "alone", mask=masks, codec="ffv1", model=model) and len(made) == 2


def test_a_clip_before_a_screen(tmp_path: Path) -> None:
    """The screen's colour is the clip's, not the frame's, and what is to be said of the clip is said."""
    source = screens(tmp_path / "in" / "shot")
    settings = light(model=KEYED, given=("key",), key="auto", codec=None, outputs=("alpha", "foreground"))
    made, events = in_a_folder(tmp_path, settings, None)
    assert made == alone(source, tmp_path / "alone", key="auto", model=KEYED) and len(made) == 14
    notes = [event["notes"] for event in events if event["event"] == "done"]
    full = "the alpha is full: nothing in the picture was found to be background (1 of 7 frames: 4)"
    why = "prior key, because a key was given"
    assert notes == [[why, "1 frames show no screen and were keyed with the clip's colour: 4", full]]
