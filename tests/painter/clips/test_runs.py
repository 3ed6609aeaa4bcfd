"""Matting from the page: a whole run, a range again, the command that makes the same files, cancelling, refusals."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from tests.painter.clips.conftest import COUNT, KEEP, REMOVE, STEP, TINY, moving_disc
from tests.painter.conftest import MODEL
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.options import ModelOptions
from uhrmat.media.video import open_clip
from uhrmat.painter.clips import runs
from uhrmat.painter.clips.open import open_clip_session
from uhrmat.painter.clips.request import ClipRequest, ResultForm
from uhrmat.painter.clips.session import ClipSession
from uhrmat.painter.clips.worker import matte_request
from uhrmat.painter.run import StartHints

DISCS = moving_disc()


def until(true: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def shifted(stroke: dict[str, Any], by: int) -> dict[str, Any]:
    return {**stroke, "points": [[x + by, y] for x, y in stroke["points"]]}


def ended(session: ClipSession) -> dict[str, Any]:
    until(lambda: session.runs.state["state"] not in ("none", "saving"))
    return session.runs.state


STUCK = """
import time
from uhrmat.painter.clips import worker
from uhrmat.video.frames import ClipPipeline
refine = ClipPipeline.refine
def stuck(self, frame, **options):
    if frame.number == 3:
        time.sleep(3600)
    return refine(self, frame, **options)
ClipPipeline.refine = stuck
worker.main()
"""


@contextmanager
def stuck_runs() -> Iterator[None]:
    """Within it, a run that is begun stays at frame 3 until it is cancelled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "command", lambda module: [sys.executable, "-c", STUCK])
        patch.setattr(runs, "_PATIENCE", 240)
        yield


def run_command(text: str) -> None:
    done = CliRunner().invoke(app, shlex.split(text)[1:])
    assert done.exit_code == 0, done.output


def paint_frames(session: ClipSession, frames: Iterable[int]) -> None:
    for frame in frames:
        for stroke in (shifted(KEEP, STEP * frame), REMOVE):
            assert session.change(frame, "stroke", stroke)


def test_a_run_a_range_again_and_their_commands_give_the_same_bytes(session: ClipSession, clip: Path) -> None:
    result = clip.with_name("a take_alpha.mov")
    paint_frames(session, range(COUNT))
    with pytest.raises(InputError, match=r"leaves the frames 0 to 6"):
        session.runs.start(redo=(3, COUNT))
    session.runs.start()
    with pytest.raises(InputError, match="already"):
        session.runs.start()
    state = ended(session)
    assert state["state"] == "saved" and state["files"] == {"alpha": str(result)}, state
    whole = result.read_bytes()
    with open_clip(result) as reader:
        error = [
            np.abs(f.picture.to_float()[..., 0] - d.alpha).mean() for f, d in zip(reader.frames(), DISCS, strict=True)
        ]
    assert max(error) < 0.03
    run_command(state["command"])
    assert result.read_bytes() == whole
    assert session.state(3)["clip"]["finished"] is True
    for frame in (0, 3, 6):  # what was written is what the page shows, on key frames too
        with open_clip(result) as reader:
            written = next(iter(reader.frames(frame, frame + 1))).picture.to_float()[..., 0]
        assert np.abs(session._alpha_tile(frame, 0, 0, 0) / 255 - written).max() < 0.01
    before = session.versions(2)["alpha"]
    assert session.change(0, "undo", None) and session.state(3)["clip"]["finished"] is False
    assert session.versions(2)["alpha"] > before  # every frame is drawn anew
    assert session.change(0, "redo", None)

    session.runs.start()
    assert session.runs.state == {"state": "exists", "files": [str(result)]}
    assert session.change(5, "stroke", {**REMOVE, "radius": 12})
    session.runs.start(redo=(4, 5))
    state = ended(session)
    assert state["state"] == "saved" and state["redo"] == [4, 5], state
    again = result.read_bytes()
    assert again != whole and session.state(5)["clip"]["finished"] is True
    result.write_bytes(whole)
    run_command(state["command"])
    assert result.read_bytes() == again


def test_results_are_written_in_the_form_that_was_asked_for_and_the_command_writes_the_same(
    opened: Callable[..., ClipSession], clip: Path
) -> None:
    session = opened(ResultForm(codec="ffv1", outputs=("alpha", "foreground")))
    results = {name: clip.with_name(f"a take_{name}.mkv") for name in ("alpha", "foreground")}
    paint_frames(session, range(COUNT))
    session.runs.start()
    state = ended(session)
    assert state["state"] == "saved" and state["files"] == {name: str(path) for name, path in results.items()}, state
    whole = {name: path.read_bytes() for name, path in results.items()}
    run_command(state["command"])
    assert {name: path.read_bytes() for name, path in results.items()} == whole
    assert session.state(3)["clip"]["finished"] is True
    session.runs.start()
    assert session.runs.state == {"state": "exists", "files": [str(path) for path in results.values()]}


def test_what_is_painted_is_no_result_in_the_folder_of_a_sequence(clip: Path, tmp_path: Path) -> None:
    folder, form = tmp_path / "out", ResultForm(codec="png", outputs=("alpha",))
    session = open_clip_session(clip, StartHints(), MODEL, folder, form=form)
    try:
        paint_frames(session, [0])
        session.keys.flush()
        request = ClipRequest(source=clip, keys=session.keys.folder, folder=folder, model=MODEL, form=form)
        assert any(session.keys.folder.iterdir()) and session.keys.folder.parent == folder
        assert session.runs._existing(request) == []
        (folder / "0003.png").touch()
        assert session.runs._existing(request) == [folder]
    finally:
        session.finished.set()
        session.close()


def test_masks_are_propagated_and_the_page_is_told_how_sure_they_are(
    session: ClipSession, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = ClipRequest.spec.fget
    assert plain is not None
    monkeypatch.setattr(ClipRequest, "spec", property(lambda request: replace(plain(request), training=TINY)))
    session.ahead.hold(True)
    paint_frames(session, [0])
    session.keys.flush()
    request = ClipRequest(source=clip, keys=session.keys.folder, folder=None, model=MODEL)
    told = list[tuple[str, int, int]]()
    done = matte_request(request, lambda event, done, total: told.append((event, done, total)))
    assert told[0] == ("progress", 0, COUNT) and told[-1] == ("progress", COUNT, COUNT)
    assert [frame["number"] for frame in done["frames"]] == list(range(COUNT))
    assert all(0 <= frame["confidence"] <= 1 for frame in done["frames"]) and Path(done["files"]["alpha"]).is_file()
    with pytest.raises(OutputError, match="exists"):
        matte_request(request, lambda *_, **__: None)
    doubtful = [{**frame, "propagation": "doubtful", "confidence": 0.2} for frame in done["frames"][3:]]
    session.runs._finished(request, session.keys.versions(), doubtful)
    state = session.state(4)["clip"]
    assert state["doubtful"] == [(3, 6)] and state["best"] in (4, 5) and state["confidence"] == 0.2


def test_a_cancelled_run_leaves_no_result_and_the_next_one_ends(session: ClipSession, clip: Path) -> None:
    paint_frames(session, range(COUNT))
    with stuck_runs():
        session.runs.start()
        until(lambda: session.runs.state["state"] != "saving" or session.runs.state["total"] == COUNT)
        assert session.runs.running
        session.runs.cancel()
    assert session.runs.state == {"state": "cancelled"}
    assert not list(clip.parent.glob("a take_alpha*"))
    session.runs.cancel()  # nothing goes on
    session.runs.start()
    assert ended(session)["state"] == "saved" and clip.with_name("a take_alpha.mov").is_file()


def test_a_run_is_refused_where_nothing_is_painted_or_nothing_is_there_to_go_into(session: ClipSession) -> None:
    with pytest.raises(InputError, match="No frame is painted yet"):
        session.runs.start()
    session.change(0, "stroke", KEEP)
    with pytest.raises(InputError, match="4 to 2 ends before it begins"):
        session.runs.start(redo=(4, 2))
    session.runs.start(redo=(2, 4))
    state = ended(session)
    assert state["state"] == "failed" and "no alpha" in state["error"] and "without --redo" in state["error"]


def test_the_process_ends_with_the_page(session: ClipSession) -> None:
    paint_frames(session, [0])
    session.runs.start()
    process = session.runs._process
    assert process is not None and process.poll() is None
    os.kill(process.pid, 9)
    state = ended(session)
    assert state["state"] == "failed" and "ended early" in state["error"]


def test_a_request_travels_and_its_command_names_what_is_not_default(tmp_path: Path) -> None:
    model = ModelOptions(refiner="guided", threads=2)
    request = ClipRequest(
        source=Path("a b.mp4"), keys=Path("out/a b_keys"), folder=Path("out"), model=model, redo=(3, 9)
    )
    assert ClipRequest.decode(request.encode()) == request and "\n" not in request.encode()
    assert request.command == (
        "uhrmat video 'a b.mp4' --trimap 'out/a b_keys' -o out --refiner guided --threads 2 --redo 3-9"
    )
    form = ResultForm(codec="vp9", outputs=("foreground", "composite"), background="#00ff7f")
    formed = replace(request, form=form, redo=None)
    assert ClipRequest.decode(formed.encode()) == formed
    assert formed.command == (
        "uhrmat video 'a b.mp4' --trimap 'out/a b_keys' -o out --codec vp9 --outputs foreground,composite "
        "--background '#00ff7f' --refiner guided --threads 2 --overwrite"
    )
    spec = formed.spec
    assert (spec.codec, spec.outputs, spec.background) == ("vp9", ("foreground", "composite"), "#00ff7f")
    plain = ClipRequest(source=Path("c.mp4"), keys=Path("c_keys"), folder=None, model=ModelOptions())
    assert (
        plain.command == "uhrmat video c.mp4 --trimap c_keys --overwrite" and json.loads(plain.encode())["redo"] is None
    )
