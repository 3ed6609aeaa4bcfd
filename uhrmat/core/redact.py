"""Removes folder names of this machine from reports that are delivered with the results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def redact_folders(value: Any, names: Mapping[Path, str]) -> Any:
    """Replace paths by names in all strings of a JSON value.

    Args:
        value: Any JSON value; keys are treated like values.
        names: What to write for each path. The path is replaced as it is spelt here, as absolute and as resolved path.
            Longer paths go first, so that a file in a listed folder gets its own name.

    Returns:
        A new value of the same structure.
    """
    forms: dict[str, str] = {}
    for path, name in names.items():
        for form in (str(path), str(path.absolute()), str(path.resolve())):
            if Path(form).name != form:  # a plain name has no folder
                forms.setdefault(form, name)
    return _replace(value, sorted(forms.items(), key=lambda form: -len(form[0])))


def names_by_path(paths: Iterable[Path]) -> dict[Path, str]:
    """Map each path to its own file name, for `redact_folders`."""
    return {path: path.name or str(path) for path in paths}


def _replace(value: Any, forms: list[tuple[str, str]]) -> Any:
    """`value` with each form replaced by its name, in the order given."""
    if isinstance(value, str):
        for form, name in forms:
            value = value.replace(form, name)
        return value
    if isinstance(value, dict):
        return {_replace(key, forms): _replace(item, forms) for key, item in value.items()}
    return type(value)(_replace(item, forms) for item in value) if isinstance(value, (list, tuple)) else value
