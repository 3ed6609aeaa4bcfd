"""benchmarks.subject counts what is marked where it should be, and where nothing is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import subject


@pytest.fixture()
def data(tmp_path: Path) -> Path:
    """Left halves that are people, a pet with an unknown ring, and a place without a subject, held out."""
    validation = tmp_path / "dev" / "validation"
    coco, pets, free = validation / "coco_other", validation / "oxford_pets", tmp_path / "train/photos_free/set"
    for folder in (coco, pets, free):
        folder.mkdir(parents=True)
    photo, half = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    photo[:, :30], half[:, :30] = 200, 255
    trimap = half.copy()
    trimap[:, 20:40] = 128
    for path, pixels in (
        (coco / "1.jpg", photo), (coco / "1_person.png", half), (coco / "2.jpg", photo), (coco / "2_all.png", half),
        (pets / "a.jpg", photo), (pets / "a_trimap.png", trimap), *((free / f"{n}.jpg", photo) for n in range(10)),
    ):  # fmt: skip
        cv2.imwrite(str(path), pixels)
    (free / "index.tsv").write_text("".join(f"{n}.jpg\t{'none' if n > 7 else 'object'}\tx\n" for n in range(10)))
    return tmp_path


def _marks(columns: slice, kind: str = "subject") -> subject.Finder:
    def find(picture: np.ndarray) -> dict[str, np.ndarray]:
        plane = np.zeros(picture.shape[:2], np.float32)
        plane[:, columns] = 1
        return {kind: plane}

    return find


def test_overlap_by_kind_and_area_where_nothing_is(data: Path) -> None:
    result = subject.row(_marks(slice(0, 30)), data, None, held_out=True)
    assert result["people"] == result["things"] == result["pets"] == 1 and result["empty"] == 0.5
    result = subject.row(_marks(slice(0, 15)), data, None, held_out=False)
    assert result["people"] == pytest.approx(0.5) and result["pets"] == pytest.approx(0.75) and result["empty"] == 0.25


def test_only_the_held_out_tenth_counts_for_ours(data: Path) -> None:
    assert len(list(subject.empty_photographs(data, held_out=True))) == 1
    assert len(list(subject.empty_photographs(data, held_out=False))) == 2


def test_a_network_of_people_is_compared_by_its_plane_of_people(data: Path) -> None:
    assert subject.row(_marks(slice(0, 30), "person"), data, 1, held_out=True)["people"] == 1


def test_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    subject.main(
        ["--data", str(data), "--quick", "--threads", "1", "--results", str(tmp_path / "out"), "--short", "64"]
    )
    assert "lpn-person at 64" in capsys.readouterr().out and (tmp_path / "out" / "subject.json").is_file()
