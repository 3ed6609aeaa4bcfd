"""Points and boxes on frames of a clip: parsing, checks, the masks made of them, and trackers that take them."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.video.helpers import pipeline
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_alpha
from uhrmat.hints.prompts import Box, Point, Prompts
from uhrmat.media.video import open_clip
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.registry import PriorRegistry
from uhrmat.video.hints import ClipHints, find_hints
from uhrmat.video.iterate import iterate_clip
from uhrmat.video.plan import check_propagation
from uhrmat.video.prompts import parse_frame_prompts, place_prompts, write_prompt_masks
from uhrmat.video.propagate import propagate_segment
from uhrmat.video.propagation.states import TrackedMask, read_state
from uhrmat.video.segments import Segment

LIGHT = ("--refiner", "bilinear", "--precision", "fp32", "--device", "cpu", "--working-size", "64")
HEIGHT, WIDTH = 72, 96


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of a red disc that moves to the right before grey, and the mask of the first."""
    folder = tmp_path_factory.mktemp("clip") / "shot"
    folder.mkdir()
    ys, xs = np.indices((HEIGHT, WIDTH))
    for number in range(6):
        alpha = np.clip(16.5 - np.hypot(ys - 36, xs - 34 - 3 * number), 0, 1)
        noise = np.random.default_rng(number).normal(0, 3, (HEIGHT, WIDTH, 3))
        image = 110 + alpha[..., None] * np.array([110, -60, -60]) + noise
        Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8)).save(folder / f"f{number:03d}.png")
        if number == 0:
            Image.fromarray(np.rint(255 * alpha).astype(np.uint8)).save(folder.with_name("first.png"))
    return folder


def run(*words: Any) -> Result:
    return CliRunner().invoke(app, ["video", *map(str, words)])


def test_texts_name_their_frame() -> None:
    made = parse_frame_prompts(["1,2", "-3,4:7", "5,6:7"], ["1,2,30,40:7"])
    assert made[None].points == (Point(1, 2),) and not made[None].boxes
    assert made[7].points == (Point(3, 4, False), Point(5, 6)) and made[7].boxes == (Box(1, 2, 30, 40),)
    assert parse_frame_prompts() == {}
    with pytest.raises(InputError, match="'x' in '1,2:x' is no frame"):
        parse_frame_prompts(["1,2:x"])
    with pytest.raises(InputError, match="'1' is no point"):
        parse_frame_prompts(["1:2"])


def test_prompts_are_placed_and_checked() -> None:
    placed = place_prompts({None: Prompts((Point(1, 2),)), 3: Prompts((Point(5, 6, False),))}, 3, 9, (20, 30))
    assert placed.keys() == {3} and placed[3].points == (Point(1, 2), Point(5, 6, False))
    for given, message in (
        ({9: Prompts((Point(1, 2),))}, "are for frame 9, and frames 3 to 8 are matted"),
        ({2: Prompts((Point(1, 2),))}, "are for frame 2"),
        ({4: Prompts((Point(30, 2),))}, "lies outside the picture"),
        ({4: Prompts((Point(1, 2, False),))}, "Only background is marked on frame 4"),
        ({None: Prompts((Point(1, 2),)), 3: Prompts((Point(1, 2, False),))}, "as subject and as background"),
    ):
        with pytest.raises(InputError, match=message):
            place_prompts(given, 3, 9, (20, 30))


def test_prompts_do_not_go_with_other_hints(shot: Path) -> None:
    prompts = {None: Prompts((Point(1, 2),))}
    with closing(open_clip(shot)) as reader:
        assert find_hints(reader.info, 0, 6, prompts=prompts).propagated
        with pytest.raises(InputError, match="mask and points or boxes"):
            find_hints(reader.info, 0, 6, mask=shot.with_name("first.png"), prompts=prompts)


def test_a_mask_is_made_once_of_the_prompts(shot: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, ...]] = []

    class Finder:
        name, working_size = "prompts", None

        def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
            assert hints.prompts is not None and hints.prompts.points == (Point(34.5, 36.5),)
            calls.append(small.shape)
            return PriorResult((small[..., 0] > 0.6).astype(np.float32), "prompts")

    priors = PriorRegistry("prompts")
    priors.use("prompts", Finder())
    hints = ClipHints("mask", {2: Path()}, propagated=True, prompts={2: Prompts((Point(34, 36),))})
    assert hints.files() == []
    for _ in range(2):
        with closing(open_clip(shot)) as reader:
            made = write_prompt_masks(hints, reader, priors, tmp_path)
    assert len(calls) == 1 and made.keys == {2: tmp_path / "prompts-000002.png"}
    assert read_alpha(made.keys[2])[36, 40] == 1 and read_alpha(made.keys[2])[5, 5] == 0


def test_a_box_on_a_frame_is_matted_to_the_end(shot: Path, tmp_path: Path) -> None:
    words = ("--box", "14,16,56,56", "--propagation", "flow", "--json", "-o", tmp_path / "out")
    result = run(shot, *LIGHT, *words)
    assert result.exit_code == 0, result.output
    item = json.loads(result.stdout)["items"][0]
    assert item["propagated"] and any("1 of 6 frames has points or boxes" in note for note in item["notes"])
    for number in (0, 5):
        alpha = np.asarray(Image.open(tmp_path / "out" / f"f{number:03d}.png"))
        assert alpha[36, 34 + 3 * number] == 255 and alpha[5, 5] == 0


def test_python_takes_points_of_any_frame(shot: Path) -> None:
    made = list(iterate_clip(pipeline(), shot, {}, prompts={None: Prompts((Point(34, 36),))}, propagation="flow"))
    assert len(made) == 6 and made[5].alpha[36, 49] > 0.9 and made[5].alpha[5, 5] < 0.1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--point", "34,36:6"), "are for frame 6, and frames 0 to 5 are matted"),
        (("--point", "34,36:2", "--propagation", "flow"), "No point or box is on the first frame, 0."),
        (("--point", "34,36", "--key", "green"), "Hints of two kinds were given: key and points or boxes."),
        (("--point", "34,36", "--tracker", "modnet"), "There is no propagation and no tracker called 'modnet'."),
        (("--key", "green", "--tracker", "edgetam"), "has nothing to track"),
    ],
)
def test_what_cannot_work_is_refused(shot: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    result = run(shot, *LIGHT, *words, "-o", tmp_path / "out")
    assert result.exit_code != 0 and message in result.stderr and not (tmp_path / "out").exists()


def test_rectangles_as_masks_of_key_frames_are_boxes(shot: Path, tmp_path: Path) -> None:
    drawn = np.zeros((HEIGHT, WIDTH), np.uint8)
    drawn[16:56, 14:56] = 255
    Image.fromarray(drawn).save(tmp_path / "m000.png")
    Image.fromarray(np.roll(drawn, 9, axis=1)).save(tmp_path / "m003.png")
    with closing(open_clip(shot)) as reader:
        hints = find_hints(reader.info, 0, 6, mask=tmp_path)
        assert {index: one.boxes for index, one in hints.prompts.items()} == {
            0: (Box(14, 16, 56, 56),), 3: (Box(23, 16, 65, 56),)
        }  # fmt: skip
        assert hints.propagated and "frame 3: 23,16,65,56" in hints.notes[-1] and hints.files() == []
        assert not find_hints(reader.info, 0, 6, mask=tmp_path, radius=3).prompts
        drawn[16:30, 14:20] = 0
        Image.fromarray(drawn).save(tmp_path / "m000.png")
        assert not find_hints(reader.info, 0, 6, mask=tmp_path).prompts  # one of them is a mask


def covers(path: Path, number: int) -> float:
    """Overlap of a written alpha with the disc of that frame."""
    ys, xs = np.indices((HEIGHT, WIDTH))
    disc, alpha = np.hypot(ys - 36, xs - 34 - 3 * number) < 16, np.asarray(Image.open(path)) > 127
    return float((disc & alpha).sum() / (disc | alpha).sum())


@pytest.mark.parametrize("words", [("--box", "23,16,65,56:3"), ("--point", "43,36:3", "--point=-5,5:3")])
def test_points_and_boxes_mend_a_range_of_a_finished_matte(shot: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    first = run(shot, *LIGHT, "--box", "14,16,56,56", "--propagation", "flow", "-o", out)
    assert first.exit_code == 0, first.output
    good = contents(out)
    for number in (2, 3, 4):
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(out / f"f{number:03d}.png")
    result = run(shot, *LIGHT, *words, "--propagation", "flow", "--redo", "3-4", "--json", "-o", out)
    assert result.exit_code == 0, result.output
    assert min(covers(out / f"f{number:03d}.png", number) for number in (3, 4)) > 0.85
    assert not np.asarray(Image.open(out / "f002.png")).any()  # outside of the range
    assert all(contents(out)[f"f{number:03d}.png"] == good[f"f{number:03d}.png"] for number in (0, 1, 5))
    refused = run(shot, *LIGHT, "--point", "43,36:4", "--propagation", "flow", "--redo", "1-4", "-o", tmp_path / "no")
    assert refused.exit_code == 2 and "Matte the clip without --redo first" in refused.stderr


def test_a_box_on_the_only_frame_of_a_range(shot: Path, tmp_path: Path) -> None:
    """Its mask is made first, as on any frame: it is no file that could be used as it is."""
    out = tmp_path / "out"
    assert run(shot, *LIGHT, "--box", "14,16,56,56", "--propagation", "flow", "-o", out).exit_code == 0
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(out / "f003.png")
    result = run(shot, *LIGHT, "--box", "23,16,65,56:3", "--propagation", "flow", "--redo", "3", "-o", out)
    assert result.exit_code == 0, result.output
    assert covers(out / "f003.png", 3) > 0.85


def test_names_of_trackers() -> None:
    for name in ("network", "flow", "edgetam", "sam2.1-tiny"):
        check_propagation(name)
    for name in ("auto", "prompts", "u2netp", "nonsense"):
        with pytest.raises(InputError, match="no tracker called"):
            check_propagation(name)


@pytest.fixture(scope="module")
def sam2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", minversion="5.0")
    from tests.prior.promptable_networks import save_sam2

    return save_sam2(tmp_path_factory.mktemp("sam2") / "tiny-sam2")


def trimap_alone(small: np.ndarray, hints: LowResHints) -> PriorResult:
    assert hints.trimap is not None
    return PriorResult(hints.trimap.astype(np.float32) / 255, "test")


def track(shot: Path, sam2: Path, folder: Path, keys: dict[int, Path], segments: list[Segment]) -> None:
    from uhrmat.video.propagation.promptable import PromptableTracker

    hints = ClipHints("mask", keys, propagated=True)
    for segment in segments:
        with closing(open_clip(shot)) as reader:
            tracker = PromptableTracker(reader, hints, trimap_alone, folder, str(sam2))  # type: ignore[arg-type]
            propagate_segment(reader, segment, hints, trimap_alone, 64, folder, tracker=tracker)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_tracker_gives_what_its_network_says(shot: Path, sam2: Path, tmp_path: Path) -> None:
    from uhrmat.media.resample import area_average
    from uhrmat.prior.networks.promptable import PromptableNetwork
    from uhrmat.prior.prefetch import downsample_picture

    track(shot, sam2, tmp_path, {0: shot.with_name("first.png")}, [Segment(0, 0, 6)])
    network = PromptableNetwork(sam2 / "model.safetensors", "sam2")
    session = network.session((16, 21))  # a quarter of 64 on the short side
    small = np.asarray(area_average(read_alpha(shot.with_name("first.png")), (16, 21)), np.float32)
    session.add_mask(0, TrackedMask.of_key(small).alpha)
    with closing(open_clip(shot)) as reader:
        for frame in reader.frames(0, 6):
            mask, _ = session.step(frame.index, downsample_picture(frame.picture, (64, 85)))
            state = read_state(tmp_path, "forward", frame.index)
            assert state is not None and state.mask.shape == (16, 21) and state.distance == frame.index
            if frame.index:
                assert np.abs(state.alpha - mask).max() <= 0.5 / 255 + 1e-6
    assert read_alpha(tmp_path / "000005.png").shape == (64, 85)


def test_segments_depend_on_files_alone_and_keys_reach_backward(shot: Path, sam2: Path, tmp_path: Path) -> None:
    keys = {1: shot.with_name("first.png"), 4: shot.with_name("first.png")}
    parts = [Segment(0, 0, 3), Segment(1, 3, 6)]
    whole = tmp_path / "whole"
    track(shot, sam2, whole, keys, parts)
    broken = Path(shutil.copytree(whole, tmp_path / "broken"))
    for index in (3, 4, 5):  # what a run that was stopped in the second segment may have left
        for path in broken.glob(f"*{index:06d}*"):
            if not (index == 3 and path.name.startswith("forward")):
                path.unlink()
    track(shot, sam2, broken, keys, parts[1:])
    assert contents(broken) == contents(whole)
    backward = read_state(whole, "backward", 0)
    assert backward is not None and backward.distance == 1 and read_state(whole, "forward", 0) is None
    both = [read_state(whole, direction, 2) for direction in ("forward", "backward")]  # type: ignore[arg-type]
    assert [state.distance for state in both if state is not None] == [1, 2]


def test_a_stopped_tracker_says_so(shot: Path, sam2: Path, tmp_path: Path) -> None:
    import threading

    from uhrmat.video.propagation.promptable import PromptableTracker

    stop = threading.Event()
    stop.set()
    hints = ClipHints("mask", {5: shot.with_name("first.png")}, propagated=True)
    with closing(open_clip(shot)) as reader:
        tracker = PromptableTracker(reader, hints, trimap_alone, tmp_path, str(sam2))  # type: ignore[arg-type]
        assert not tracker.begin(Segment(0, 0, 6), stop)


def test_a_tracker_from_the_command_line(shot: Path, sam2: Path, tmp_path: Path) -> None:
    words = ("--tracker", sam2, "--mask", shot.with_name("first.png"), "--json", "-o", tmp_path / "out")
    result = run(shot, *LIGHT, *words)
    assert result.exit_code == 0, result.output
    item = json.loads(result.stdout)["items"][0]
    assert item["propagation"] == str(sam2) and len(list((tmp_path / "out").iterdir())) == 6
    first = np.asarray(Image.open(tmp_path / "out" / "f000.png"))
    assert first[36, 34] == 255 and first[5, 90] == 0


def test_a_tracker_mattes_a_range_again(shot: Path, sam2: Path, tmp_path: Path) -> None:
    """From the finished matte before the range, from a mask in it, and from a box, whose mask the tracker makes."""
    out, keys = tmp_path / "out", tmp_path / "keys"
    keys.mkdir()
    shutil.copy(shot.with_name("first.png"), keys / "m000.png")
    assert run(shot, *LIGHT, "--mask", keys, "--propagation", "flow", "-o", out).exit_code == 0
    before = contents(out)
    for words in (("--mask", keys), ("--box", "23,16,65,56:3")):
        result = run(shot, *LIGHT, "--tracker", sam2, *words, "--redo", "3-4", "--json", "-o", out)
        assert result.exit_code == 0, result.output
        item = json.loads(result.stdout)["items"][0]
        assert item["propagation"] == str(sam2) and item["redone"] == [[3, 4]] and item["count"] == 2
        after = contents(out)
        assert {name for name in after if after[name] != before[name]} <= {"f003.png", "f004.png"}
