"""The weights that travel with uhrmat: in an installed package beside the code, in a checkout at its top."""

from __future__ import annotations

from pathlib import Path

from uhrmat.errors import WeightsError

_PACKAGE = Path(__file__).resolve().parents[1]


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


def bundled(name: str) -> Path:
    """The path of the bundled weights file `name`, with or without `.safetensors`.

    Raises WeightsError, naming what is there, when no such file is bundled.
    """
    folder = bundled_weights_dir()
    path = folder / (name if name.endswith(".safetensors") else f"{name}.safetensors")
    if path.is_file():
        return path
    there = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors"))) or "none"
    raise WeightsError(f"There are no bundled weights named {name!r}.", f"Choose one of those that are: {there}.")
