"""The finished matte on a clip's page: its tiles, and when it is shown."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np

from tests.painter.conftest import MODEL
from uhrmat.core.errors import InputError
from uhrmat.painter.clips.finished import FinishedMatte
from uhrmat.painter.clips.request import ClipRequest

SIZE = (700, 900)


class Output:
    """An output whose frame n is n / 10 left of column 450, 1 at the right; frame 3 cannot be read."""

    def __init__(self) -> None:
        self.target, self.read = types.SimpleNamespace(content="alpha"), list[int]()

    def alpha(self, index: int) -> np.ndarray:
        self.read.append(index)
        if index == 3:
            raise InputError("Frame 3 cannot be decoded.", "Repeat.")
        alpha = np.full(SIZE, index / 10, np.float32)
        alpha[:, 450:] = 1
        return alpha


def finished(versions: dict[int, int]) -> tuple[FinishedMatte, Output]:
    made, output = FinishedMatte(), Output()
    made._output, made._versions = output, versions  # type: ignore[assignment]
    return made, output


def test_it_is_shown_until_something_is_painted() -> None:
    made, _ = finished({0: 2, 4: 1})
    assert made.shown({0: 2, 4: 1})
    assert not made.shown({0: 3, 4: 1}) and not made.shown({0: 2}) and not made.shown({0: 2, 4: 1, 5: 1})
    assert not FinishedMatte().shown({})


def test_tiles_of_each_level_are_area_averaged_and_mattes_are_kept() -> None:
    made, output = finished({})
    whole = made.tile(2, SIZE, 0, 0, 0)
    assert whole is not None and whole.dtype == np.uint8 and set(np.unique(whole)) == {51, 255}
    small = made.tile(2, SIZE, 1, 0, 0)
    assert small is not None and small[0, 224] == 51 and small[0, 225] == 255
    assert output.read == [2]
    for frame in (1, 0, 2):
        assert made.tile(frame, SIZE, 0, 0, 0) is not None
    assert output.read == [2, 1, 0, 2]  # two are kept
    assert made.tile(3, SIZE, 0, 0, 0) is None and made.tile(2, (70, 90), 0, 0, 0) is None


def test_a_result_that_is_gone_is_not_shown(tmp_path: Path) -> None:
    made, _ = finished({0: 1})
    made.take(ClipRequest(source=tmp_path / "none.mp4", keys=tmp_path, folder=None, model=MODEL), {0: 1})
    assert not made.shown({0: 1})
