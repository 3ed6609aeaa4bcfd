"""All files or none, whatever fails in between."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from uhrmat.deliver import all_or_none
from uhrmat.errors import OutputError


def targets(folder: Path) -> dict[str, Path]:
    return {name: folder / f"x_{name}.png" for name in ("alpha", "foreground", "cutout")}


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_all_appear(tmp_path: Path) -> None:
    files = targets(tmp_path / "deep" / "out")
    with all_or_none(files) as staged:
        for name, path in staged.items():
            path.write_text(name)
            assert not files[name].exists()
    assert contents(tmp_path / "deep" / "out") == {f"x_{name}.png": name for name in files}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_none_appears_when_writing_fails(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "x_alpha.png").write_text("old")
    with pytest.raises(error), all_or_none(targets(tmp_path)) as staged:
        staged["alpha"].write_text("new")
        raise error
    assert contents(tmp_path) == {"x_alpha.png": "old"}


@pytest.mark.parametrize("moves", range(6))
def test_a_failing_move_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int) -> None:
    """Three files, the first of which replaces one: four moves. The n-th fails; five and six never happen."""
    (tmp_path / "x_alpha.png").write_text("old")
    real, count = os.replace, [0]

    def replace(source: Any, target: Any) -> None:
        count[0] += 1
        if count[0] == moves + 1:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    if moves < 4:
        with pytest.raises(OutputError, match="No space left"):
            _write_all(tmp_path)
        assert contents(tmp_path) == {"x_alpha.png": "old"}
    else:
        _write_all(tmp_path)
        assert contents(tmp_path) == {f"x_{name}.png": name for name in targets(tmp_path)}


def _write_all(folder: Path) -> None:
    with all_or_none(targets(folder)) as staged:
        for name, path in staged.items():
            path.write_text(name)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="taken"), all_or_none(targets(tmp_path / "taken")):
        pass
