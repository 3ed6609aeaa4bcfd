"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from uhrmat.core.errors import InputError

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def parse_bytes(text: str) -> int:
    """Bytes from `8GB` (8e9), `8GiB` (8 * 2**30), `8G` (as GB), `512 MB` or `100000`; InputError for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    factors = _BINARY if match and match[3] else _FACTORS
    value = int(float(match[1]) * factors[match[2].lower()]) if match else 0
    if value <= 0:
        raise InputError(f"{text!r} is not an amount of memory.", "Write it like 8GB, 512MB or 2GiB.")
    return value


def format_bytes(value: int) -> str:
    """`1.24 GB`, `87 MB`: decimal units, three figures."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value} B"


def suggest_limit(total: int) -> str:
    """An amount about 5 % above `total` bytes, rounded up to 10 MB, as `parse_bytes` reads it."""
    return f"{-(-total * 21 // 20 // 10**7) * 10}MB"
