"""Tables II to V of HRIMF-AMR from what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uhrmat.train.bench.hrimf_amr import ADAPTABILITY_UPSAMPLERS, UPSAMPLERS, BenchScores, Row

Table = list[dict[str, Any]]
TITLES = {
    "adaptability": "Table II, adaptability: each method at low resolution and four ways up",
    "ablation": "Table III, ablation: ways up from the first method",
    "error correction": "Table IV, error correction: MAD and MSE of the mattes at low resolution and after DDFE",
    "complexity": "Table V, complexity: parameters, operations and seconds of the way up, a picture's mean",
}

BRIEF = ("adaptability", "error correction")
"""Those that need no way up but ADAPTABILITY_UPSAMPLERS."""


def tables(found: BenchScores, methods: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The four tables by name, a list of rows each."""
    first = methods[0]
    return {
        "adaptability": [
            {"method": method, "way": way, **_pick(row, "sad", "mse", "grad", "conn")}
            for method in methods for way in ADAPTABILITY_UPSAMPLERS if (row := found.mean(method, way))
        ],
        "ablation": [
            {"way": way, **_pick(row, "sad", "mse", "grad", "conn")}
            for way in UPSAMPLERS if (row := found.mean(first, way))
        ],
        "error correction": [
            {"method": method, "low mad": low["mad"], "low mse": low["mse"], **_pick(row, "mad", "mse")}
            for method in methods if (low := found.mean_low(method)) and (row := found.mean(method, "DDFE"))
        ],
        "complexity": [
            {"way": way, "parameters": found.parameters[way], **_pick(row, "gflops", "seconds", "mse")}
            for way in UPSAMPLERS if (row := found.mean(first, way))
        ],
    }  # fmt: skip


def _pick(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}
