"""Folders of pictures with trimaps and true alphas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_SPLIT = ("Images", "Trimap1", "GroundTruth")


@dataclass(frozen=True)
class BenchPicture:
    """The three files of one picture."""

    name: str
    picture: Path
    trimap: Path
    truth: Path


def find_items(folder: Path) -> list[BenchPicture]:
    """Pictures of a folder, by name; empty where there are none.

    Either three folders Images, Trimap1 and GroundTruth (also one level down, in alphamatting/) with files of the same
    names, or NAME.png with NAME_trimap.png and NAME_gt.png beside it.
    """
    for base in (folder, folder / "alphamatting"):
        if all((base / part).is_dir() for part in _SPLIT):
            return _complete(
                [BenchPicture(p.stem, *(base / part / p.name for part in _SPLIT)) for p in _png(base / "Images")]
            )
    items = [
        BenchPicture(p.stem, p, *(p.with_name(f"{p.stem}_{kind}.png") for kind in ("trimap", "gt")))
        for p in _png(folder)
    ]
    return _complete(items)


def _png(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def _complete(items: list[BenchPicture]) -> list[BenchPicture]:
    return [item for item in items if all(path.is_file() for path in (item.picture, item.trimap, item.truth))]
