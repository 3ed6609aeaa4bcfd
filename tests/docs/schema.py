"""The tables of docs/reference/json.md, to compare a command's document with: its keys, and the type of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from typer.testing import CliRunner

from tests.docs.conftest import ROOT
from uhrmat.cli.app import app

TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,), "path": (str,), "number": (int, float), "true": (bool,), "true or false": (bool,),
    "number or null": (int, float, type(None)), "–": (object,),
}  # fmt: skip


def documented(section: str) -> dict[str, str]:
    """Keys of a section's table, with their `?`, and their types."""
    text = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
    (part,) = re.findall(rf"^## uhrmat {section}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in part.splitlines() if line.startswith("| `")]
    return {key: kind for keys, kind in rows for key in re.findall(r"`([^`]+)`", keys)}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document that holds no others, with its key."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield f"{path}[]" if isinstance(value, list) else path, value


def fits(key: str, leaf: str) -> bool:
    """Whether the key of a table stands for that of a value."""
    key = _without_marks(key)
    pattern = "".join(r"[^.\[]+.*" if part == "*" else re.escape(part) for part in re.split(r"(\*)", key))
    return re.fullmatch(pattern, leaf) is not None


def compare(section: str, document: Any, prefix: str = "") -> None:
    """That the table of a section and a document say the same: no key that only one has, each of the type it says.
    prefix: what the document's keys begin with and the table's do not."""
    table = documented(section)
    found = [(leaf.removeprefix(prefix), value) for leaf, value in leaves(document)]
    for leaf, value in found:
        empty = value in (None, [], {})
        keys = [key for key in table if fits(key, leaf) or (empty and _without_marks(key).startswith(leaf))]
        assert keys, f"{leaf} is not documented"
        kinds = {table[key] for key in keys}
        assert empty or any(_is(value, kind) for kind in kinds), f"{leaf} is {value!r}, not {kinds}"
    missing = [key for key in table if "?" not in key and not any(fits(key, leaf) or _empty(key, leaf, value)
                                                                  for leaf, value in found)]  # fmt: skip
    assert not missing, f"documented, but not there: {missing}"


def _without_marks(key: str) -> str:
    return key.replace("?", "")


def _empty(key: str, leaf: str, value: Any) -> bool:
    """Whether an object whose keys are data has none."""
    return value == {} and key == f"{leaf}.*"


def _is(value: Any, kind: str) -> bool:
    """A truth value is no number."""
    return isinstance(value, TYPES[kind]) and (type(value) is not bool or kind in ("true", "true or false", "–"))


def printed(*words: str, code: int = 0) -> Any:
    """The document of a command."""
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)
