"""The weights that travel with uhrmat: in an installed package beside the code, in a checkout at its top."""

from __future__ import annotations

import re
from pathlib import Path

from uhrmat.core.errors import WeightsError
from uhrmat.hub.entry import LOADERS, CatalogEntry, WeightsFile

_PACKAGE = Path(__file__).resolve().parents[1]
_ROW = re.compile(r"^\| ([\w-]+) \| (.*) \|$", re.MULTILINE)


def bundled_weights_dir() -> Path:
    """The folder with the weights of this installation. Raises WeightsError where there is none."""
    for folder in (_PACKAGE.parent / "weights", _PACKAGE / "weights"):
        if (_is_checkout(folder.parent) or folder.parent == _PACKAGE) and folder.is_dir():
            return folder
    raise WeightsError(
        f"This installation of uhrmat in {_PACKAGE} has no weights folder.",
        "Install it again with `pip install --force-reinstall --no-deps .` from the repository.",
    )


def _is_checkout(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file()


def bundled_weights(name: str) -> Path:
    """The path of the bundled weights file `name`, with or without `.safetensors`.

    Raises WeightsError, naming what is there, when no such file is bundled.
    """
    folder = bundled_weights_dir()
    path = folder / (name if name.endswith(".safetensors") else f"{name}.safetensors")
    if path.is_file():
        return path
    there = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors"))) or "none"
    raise WeightsError(f"There are no bundled weights named {name!r}.", f"Choose one of those that are: {there}.")


def bundled_entries() -> tuple[CatalogEntry, ...]:
    """An entry for every .safetensors file that travels with uhrmat, from its card (the .md file beside it).

    The card states the SHA-256, so that retraining needs no edit of a catalogue. A file without card is left out.
    """
    entries = []
    for path in sorted(bundled_weights_dir().glob("*.safetensors")):
        card = path.with_suffix(".md")
        rows = dict(_ROW.findall(card.read_text("utf-8"))) if card.is_file() else {}
        digest = rows.get("SHA-256", "").strip("`")
        if re.fullmatch(r"[0-9a-f]{64}", digest):
            entries.append(_entry(path, digest, rows))
    return tuple(entries)


def _entry(path: Path, digest: str, rows: dict[str, str]) -> CatalogEntry:
    kind = path.stem.split("-")[0]
    return CatalogEntry(
        name=path.stem,
        title=f"Our own: {rows.get('network', path.stem).split(',')[0]}",
        task="refiner" if kind in ("shm", "ddfe") else "prior",
        source="bundled",
        loader=kind if kind in LOADERS else "none",
        licence=rows.get("licence", "Apache-2.0"),
        commercial=True,
        data=rows.get("data", "see its card"),
        files=(WeightsFile(path.name, path.stat().st_size, digest),),
        architecture=path.stem,
    )
