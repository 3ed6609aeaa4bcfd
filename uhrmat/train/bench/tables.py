"""Tables II to V of HRIMF-AMR (Ye et al., IEEE TIP 2025) from measured scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from uhrmat.train.bench.hrimf_amr import ADAPTABILITY_UPSAMPLERS, UPSAMPLERS, BenchScores, Row

Table = list[dict[str, Any]]
TITLES = {
    "adaptability": "Table II, adaptability: each low-resolution method with four upsampling methods",
    "ablation": "Table III, ablation: upsampling methods after the first low-resolution method",
    "error correction": "Table IV, error correction: MAD and MSE of the mattes at low resolution and after DDFE",
    "complexity": "Table V, complexity: parameters, operations and seconds of the upsampling method, mean",
}

BRIEF = ("adaptability", "error correction")
"""Tables that need ADAPTABILITY_UPSAMPLERS only."""


def tables(scores: BenchScores, methods: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The four tables by name, a list of rows each."""
    first = methods[0]
    return {
        "adaptability": [
            {"method": method, "upsampling": upsampler, **_pick(row, "sad", "mse", "grad", "conn")}
            for method in methods for upsampler in ADAPTABILITY_UPSAMPLERS if (row := scores.mean(method, upsampler))
        ],
        "ablation": [
            {"upsampling": upsampler, **_pick(row, "sad", "mse", "grad", "conn")}
            for upsampler in UPSAMPLERS if (row := scores.mean(first, upsampler))
        ],
        "error correction": [
            {"method": method, "low mad": low["mad"], "low mse": low["mse"], **_pick(row, "mad", "mse")}
            for method in methods if (low := scores.mean_low(method)) and (row := scores.mean(method, "DDFE"))
        ],
        "complexity": [
            {"upsampling": upsampler, "parameters": scores.parameters[upsampler],
             **_pick(row, "gflops", "seconds", "mse")}
            for upsampler in UPSAMPLERS if (row := scores.mean(first, upsampler))
        ],
    }  # fmt: skip


def _pick(row: Row, *names: str) -> Row:
    return {name: row[name] for name in names}
