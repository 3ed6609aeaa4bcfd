"""What is written beside the results, and given away with them, names no folder of the machine it was made on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def redact_folders(value: Any, names: Mapping[Path, str]) -> Any:
    """A JSON value in whose strings each path of `names`, as it was given, as absolute or as resolved path, stands as
    its name. Longer paths go first, so that a file in one of the folders keeps the name of its own."""
    forms: dict[str, str] = {}
    for path, name in names.items():
        for form in (str(path), str(path.absolute()), str(path.resolve())):
            if Path(form).name != form:  # a plain name has no folder
                forms.setdefault(form, name)
    return _replaced(value, sorted(forms.items(), key=lambda form: -len(form[0])))


def names_by_path(paths: Iterable[Path]) -> dict[Path, str]:
    """Each path with its own name, for `redact_folders`."""
    return {path: path.name or str(path) for path in paths}


def _replaced(value: Any, forms: list[tuple[str, str]]) -> Any:
    if isinstance(value, str):
        for form, name in forms:
            value = value.replace(form, name)
        return value
    if isinstance(value, dict):
        return {_replaced(key, forms): _replaced(item, forms) for key, item in value.items()}
    return type(value)(_replaced(item, forms) for item in value) if isinstance(value, (list, tuple)) else value
