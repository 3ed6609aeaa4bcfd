"""Texts that lie with the results name no folder of the machine they were made on."""

from __future__ import annotations

from pathlib import Path

import pytest

from uhrmat.core.redact import names_by_path, redact_folders
from uhrmat.report.page.compare import _names


def test_paths_become_names_in_every_string(tmp_path: Path) -> None:
    photo, mask = tmp_path / "in" / "a.png", tmp_path / "in" / "masks" / "a.png"
    value = {"file": str(photo), "notes": [f"'{mask}' is grey.", "nothing"], "pair": (str(photo), 3), str(photo): None}
    names = {photo: "shoot/a.png", mask: "a.png", tmp_path / "in": "in"}
    assert redact_folders(value, names) == {
        "file": "shoot/a.png",
        "notes": ["'a.png' is grey.", "nothing"],
        "pair": ("shoot/a.png", 3),
        "shoot/a.png": None,
    }
    assert redact_folders(f"{tmp_path}/in/other.png", names) == "in/other.png"


def test_paths_are_known_however_they_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    path = Path("link/a.png")
    for form in ("link/a.png", tmp_path / "link" / "a.png", tmp_path / "real" / "a.png"):
        assert redact_folders(f"<{form}>", names_by_path([path])) == "<a.png>"


def test_a_plain_name_changes_no_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert redact_folders("alpha beta", names_by_path([Path("a")])) == "alpha beta"


@pytest.mark.parametrize(
    ("a", "b", "names"),
    [
        ("/x/ours.png", "/y/theirs.png", ("ours.png", "theirs.png")),
        ("/home/me/run1/a.png", "/home/me/run2/a.png", ("run1/a.png", "run2/a.png")),
        ("/home/me/1/out/a.png", "/home/me/2/out/a.png", ("1/out/a.png", "2/out/a.png")),
        ("/x/a.png", "/x/a.png", ("a.png", "a.png")),
    ],
)
def test_a_comparison_names_its_sides_by_what_tells_them_apart(a: str, b: str, names: tuple[str, str]) -> None:
    assert _names(Path(a), Path(b)) == names
