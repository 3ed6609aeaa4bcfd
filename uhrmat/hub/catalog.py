"""The catalogue of weights: `catalog.toml`, read strictly, and what travels with uhrmat."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any

from uhrmat.core.errors import WeightsError
from uhrmat.hub.bundled import bundled_entries
from uhrmat.hub.entry import ACTIVATIONS, LOADERS, SOURCES, TASKS, CatalogEntry, Network, WeightsFile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHIPPED = Path(__file__).with_name("catalog.toml")
_CHOICES = {
    "task": TASKS,
    "source": SOURCES,
    "loader": LOADERS,
    "activation": ACTIVATIONS,
    "fit": ("square", "short", "any"),
    "layout": ("NCHW", "NHWC"),
    "range": ("unit", "byte", "max"),
    "order": ("RGB", "BGR"),
    "trimap": ("", "channel", "one-hot"),
}
_PATTERNS = {
    "name": (r"[a-z0-9][a-z0-9.-]*", "a name of small letters, digits, dots and hyphens"),
    "sha256": (r"[0-9a-f]{64}", "64 hexadecimal digits"),
    "revision": (r"[0-9a-f]{40}", "40 hexadecimal digits"),
    "repo": (r"[\w.-]+/[\w.-]+", "like owner/name"),
    "path": (r"(?!/)(?!.*\.\.)(?!.*\\)\S+", "a path inside the repository"),
}

_LEAST_NAME = 4
"""Letters of a shortened name."""
_LEAST_STD, _MOST_MEAN = 1e-6, 1e6
"""What a standard deviation must exceed and a mean or deviation stay below; NaN and infinity do neither."""


@cache
def catalog_entries() -> tuple[CatalogEntry, ...]:
    """Everything known by name: what travels with uhrmat first, then `catalog.toml` in its order."""
    return (*bundled_entries(), *parse_catalog(SHIPPED.read_text("utf-8"), str(SHIPPED)))


def find_entry(name: str) -> CatalogEntry | None:
    """The entry of that name, or the one that a shortened name means (see `meant_entry`), or None."""
    exact = next((entry for entry in catalog_entries() if entry.name == name), None)
    return exact or meant_entry(name, catalog_entries())


def meant_entry(name: str, entries: Sequence[CatalogEntry]) -> CatalogEntry | None:
    """The entry that a shortened name means, or None: `birefnet` or `BiRefNet` is birefnet-lite, `sam2` sam2.1-tiny.

    The name must be the beginning of exactly one entry's, or of several that are variants of the shortest of them
    (birefnet-lite-fp16 of birefnet-lite); capitals and `_` for `-` do not count. Entries that nothing here can run are
    passed over. Paths and repositories mean none.

    Args:
        name: what was typed.
        entries: of the catalogue.
    """
    short = name.lower().replace("_", "-")
    if len(short) < _LEAST_NAME or "/" in name or os.path.exists(name):
        return None
    able = (entry for entry in entries if entry.name.startswith(short) and entry.loader != "none")
    fitting = sorted(able, key=lambda entry: len(entry.name))
    if not fitting or not all(entry.name.startswith(fitting[0].name) for entry in fitting):
        return None
    return fitting[0]


def close_names(name: str) -> list[str]:
    """Names of the catalogue that look like `name`, best first, at most three."""
    known = [entry.name for entry in catalog_entries()]
    short = name.lower().replace("_", "-")
    beginning = [one for one in known if one.startswith(short)]
    return list(dict.fromkeys([*beginning, *difflib.get_close_matches(short, known, 3, 0.6)]))[:3]


def parse_catalog(text: str, where: str = "catalog.toml") -> tuple[CatalogEntry, ...]:
    """Entries of a catalogue in TOML. Raises WeightsError naming the entry and the key that cannot be used."""
    tables = _toml(text, f"The catalogue {where}")
    return tuple(parse_entry(name, value, f"{where}: [{name}]") for name, value in tables.items())


def parse_entry(name: str, value: Any, where: str) -> CatalogEntry:
    """One entry from its table. Raises WeightsError as `parse_catalog` does."""
    table = dict(_table(value, where))
    files = table.pop("files", None)
    network = table.pop("network", None)
    if not isinstance(files, list) or not files:
        raise _wrong(where, "files", "at least one table [[files]]")
    checked = _checked(CatalogEntry, {"name": name, **table}, where, skip={"files", "network"})
    entry = CatalogEntry(
        **checked,
        files=tuple(WeightsFile(**_checked(WeightsFile, _table(f, where), f"{where} files")) for f in files),
        network=None if network is None else _network(network, f"{where} network"),
    )
    return _consistent(entry, where)


def parse_network(text: str, defaults: dict[str, Any], where: str) -> Network:
    """A network from a file of its own, in TOML: the keys of a catalogue's table `network`, at the top or in a table of
    that name. defaults: values of keys that it leaves out. Raises WeightsError as `parse_catalog` does."""
    table = _toml(text, where)
    return _network({**defaults, **_table(table.get("network", table), where)}, where)


def _toml(text: str, what: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise WeightsError(f"{what} is not valid TOML: {error}.", "Correct that line.") from error


def _consistent(entry: CatalogEntry, where: str) -> CatalogEntry:
    if entry.source == "bundled":
        raise _wrong(where, "source", "hub or elsewhere: what is bundled is found in its folder")
    for key in ("repo", "revision") if entry.source == "hub" else ("home",):
        if not getattr(entry, key):
            raise _wrong(where, key, f"given, because source is {entry.source!r}")
    if entry.loader in ("onnx", "vitmatte") and entry.network is None:
        raise _wrong(where, "network", f"given, because loader is {entry.loader!r}")
    return entry


def _network(value: Any, where: str) -> Network:
    table = dict(_table(value, where))
    for key in ("mean", "std"):
        numbers = table.get(key)
        if not (isinstance(numbers, list) and len(numbers) == 3 and all(_is_number(n) for n in numbers)):
            raise _wrong(where, key, "three finite numbers")
        table[key] = tuple(float(n) for n in numbers)
    if not all(n > _LEAST_STD for n in table["std"]):
        raise _wrong(where, "std", "three numbers above zero")
    pairs = table.pop("recurrence", [])
    if not (isinstance(pairs, list) and all(_is_pair(pair) for pair in pairs)):
        raise _wrong(where, "recurrence", "pairs of tensor names")
    skip = {"mean", "std", "recurrence"}
    plain = _checked(Network, {k: v for k, v in table.items() if k not in skip}, where, skip)
    network = Network(**plain, mean=table["mean"], std=table["std"], recurrence=tuple((a, b) for a, b in pairs))
    if (network.fit == "any") != (network.side == 0):
        raise _wrong(where, "side", "0 where fit is 'any', pixels otherwise")
    return network


def _checked(of: type, table: dict[str, Any], where: str, skip: set[str] | None = None) -> dict[str, Any]:
    """`table` if it has the fields of the dataclass `of` (less `skip`), each of its type and form."""
    known = {field.name: field for field in fields(of) if field.name not in (skip or ())}
    for key in table.keys() - known.keys():
        raise WeightsError(f"{where} has the unknown key {key!r}.", f"Known are: {', '.join(known)}.")
    for key, field in known.items():
        if key not in table:
            if field.default is MISSING:
                raise _wrong(where, key, "given")
            continue
        _check_value(key, table[key], str(field.type), where)
    return table


def _check_value(key: str, value: Any, kind: str, where: str) -> None:
    right = {"str": isinstance(value, str), "bool": isinstance(value, bool), "int": type(value) is int}[kind]
    if not right:
        raise _wrong(where, key, {"str": "a text", "bool": "true or false", "int": "a whole number"}[kind])
    if kind == "int" and value < 0:
        raise _wrong(where, key, "zero or more")
    if key in _CHOICES and value not in _CHOICES[key]:
        raise _wrong(where, key, f"one of {', '.join(map(repr, _CHOICES[key]))}")
    if key in _PATTERNS and value and not re.fullmatch(_PATTERNS[key][0], value):
        raise _wrong(where, key, _PATTERNS[key][1])


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WeightsError(f"{where} is no table.", "Compare it with the other entries.")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _MOST_MEAN


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(name, str) and name for name in value)


def _wrong(where: str, key: str, must: str) -> WeightsError:
    return WeightsError(f"{where}: `{key}` must be {must}.", f"Correct {where.split(': ')[0]}.")
