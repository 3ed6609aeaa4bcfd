"""Writes the tables of docs/reference/performance.md from benchmarks/results/*.json: `python -m benchmarks.report`.

A table stands between `<!-- table NAME -->` and `<!-- end -->`; what is between them is replaced. No figure is typed.
"""

from __future__ import annotations

import argparse
import json
import re
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, ROOT

PAGE = ROOT / "docs" / "reference" / "performance.md"
_BLOCK = re.compile(r"(<!-- table (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
Document = dict[str, Any]


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; floats in four figures."""
    names = list(head)
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def _short(row: Document) -> str:
    """The first words of a row's error, if it has one."""
    return textwrap.shorten(row.get("error", ""), 60, placeholder=" …")


def _mb(value: float) -> float:
    return round(value / 1e6, 1)


def engines(result: Document) -> str:
    rows = []
    for name, times in result["engines"].items():
        if times:
            steps = ", ".join(f"{step} {t['wall_ms']:g}" for step, t in times.get("steps", {}).items())
            rows.append([name, times["wall_ms"], times["cpu_ms"], times.get("max_error", "is the oracle"), steps])
    return table(("engine", "ms", "ms of processor", "largest error", "steps alone, ms"), rows)


def scaling(result: Document) -> str:
    times = ("wall_ms", "cpu_ms", "active_set_ms", "sample_ms", "network_ms", "scatter_ms")
    head = ("picture", "active", *(key.replace("_", " ") for key in times), "MB", "B / pixel")
    rows = [
        [
            f"{r['width']}×{r['height']}",
            r["active"],
            *(r[key] for key in times),
            _mb(r["peak_bytes"]),
            r["bytes_per_active"],
        ]
        for r in result["by_active"] + result["by_picture"]
    ]
    power, ratio = result["exponent"], result["picture_ratio"]
    larger = (result["by_picture"][-1]["width"] // result["by_picture"][0]["width"]) ** 2
    text = f"Fitted exponent over the active pixels: {power['wall_ms']} (processor time {power['cpu_ms']}, memory "
    text += (
        f"{power['peak_bytes']}). A picture {larger} × as large at the same active pixels: {ratio['wall_ms']} × the "
    )
    text += f"time ({ratio['cpu_ms']} × processor time), {ratio['peak_bytes']} × the memory. Precision: "
    return (
        table(head, rows) + "\n" + textwrap.fill(text + result["precision"] + ".", 120, break_on_hyphens=False) + "\n"
    )


def image(result: Document) -> str:
    rows = []
    for scene in result["scenes"]:
        for run in scene["runs"]:
            cost = [run["wall_s"], run["cpu_s"], run["peak_bytes"] / 1e9]
            scores = [run.get(key, "") for key in ("sad", "mse", "grad", "conn")]
            rows.append([scene["size"], run["method"], *cost, *scores, _short(run)])
    head = ("picture", "method", "s", "s of processor", "GB", "SAD /1e3", "MSE ×1e3", "Grad /1e3", "Conn /1e3", "note")
    return table(head, rows)


def gpu(result: Document) -> str:
    plain = ("net", "engine", "precision")
    checks = [
        [*(r[k] for k in plain), r.get("max_error", ""), _short(r) or ("yes" if r["passed"] else "no")]
        for r in result["parity"]
    ]
    keys = ("active_set_ms", "first_ms", "sample_ms", "network_ms", "scatter_ms", "refine_ms", "fps")
    rows = []
    for r in result["speed"]:
        cost = [r[key] for key in keys] + [_mb(r["peak_bytes"]), r["bytes_per_active"]] if "fps" in r else [""] * 9
        rows.append([r["case"], *(r[k] for k in plain), *cost, _short(r)])
    head = ("picture", *plain, *(key.replace("_", " ") for key in keys), "MB", "B / pixel", "note")
    parity = table((*plain, "largest difference from dense fp32", "passed"), checks)
    return parity + "\n" + table(head, rows)


def patches(result: Document) -> str:
    head = ("run", "s", "MB", "MAD ×1e3", "MSE ×1e3", "gradient error at borders ×1e3", "mean, largest change")
    rows = []
    for name, run in result["runs"].items():
        change = result["against_one_shot"].get(name)
        apart = f"{change['mean_at_borders']:.2g}, {change['max']:.2g}" if change else ""
        rows.append([name, run["seconds"], _mb(run["peak_bytes"]), *(run[k] for k in _ERRORS), apart])
    return table(head, rows)


_ERRORS = ("mad_1e3", "mse_1e3", "seam_1e3")


def gmacs(result: Document) -> str:
    rows = [[f"shm-{name}", of["dense"], of["sparse"], of["share"]] for name, of in result["gmacs"].items()]
    return table(("network", "GMACs dense", "GMACs on the active set", "share"), rows)


def budget(result: Document) -> str:
    """One row for each case that was run."""
    rows = []
    if one := result.get("sparsemat"):
        scales = ", ".join(f"{step['scale']:g}: {step['active']:,}" for step in one["steps"])
        rows.append(
            [
                f"{one['width']}×{one['height']}, {one['active_of_one_shot']:,} active, room for {one['room']:,}",
                f"active at {scales}",
                f"{one['sad_cascade']:g}, in parts {one['sad_parts']:g}",
                *[""] * 3,
            ]
        )
    for name, row in result.get("8k", {}).items():
        apart = row.get("largest_difference", "")
        rows.append([f"7680×4320 {name}", _overflow(row), row.get("sad", ""), apart, *_cost(row)])
    if row := result.get("16k"):
        rows.append([f"{row['side']}×{row['side']}, --max-memory 6GB", _overflow(row), "", "", *_cost(row)])
    return table(("picture", "what was done", "SAD /1e3", "largest change", "s", "GB"), rows)


def _overflow(row: Document) -> str:
    result = [note for note in row.get("notes", []) if "memory budget" in note]
    return result[0] if result else _short(row) or f"one shot, {row['active_pixels']:,} active"


def _cost(row: Document) -> list[float]:
    return [row["wall_s"], row["peak_bytes"] / 1e9]


def page(result: Document) -> str:
    """One row for each kind of page."""
    keys = ("first_s", "median_s", "largest_s")
    rows = [[row["page"], _mb(row["bytes"]), *(row[key] for key in keys)] for row in result["rows"]]
    browser = result["rows"][0]["browser"]
    return table(("page", "MB", "s, first", "s, median", "s, largest"), rows) + f"\nChromium {browser}, headless.\n"


TABLES: dict[str, tuple[str, Callable[[Document], str]]] = {
    "engines": ("engines", engines),
    "scaling": ("scaling", scaling),
    "image": ("image", image),
    "budget": ("budget", budget),
    "gpu": ("gpu", gpu),
    "patches": ("patches", patches),
    "gmacs": ("patches", gmacs),
    "page": ("page", page),
}


def origin(result: Document) -> str:
    """One line: on what, with what, when."""
    of, versions = result["machine"], result["versions"]
    device = of.get("gpu") if str(result.get("device", "")).startswith("cuda") else None
    where = device or f"{of['processor']}, {of['threads']} threads, load {of['load']:.1f} before"
    tools = ", ".join(f"{name} {version}" for name, version in versions.items() if name in ("python", "torch"))
    quick = " **Quick run: these figures mean nothing.**" if result["quick"] else ""
    return f"{where}; {tools}; commit {result['commit'][:10]}; {result['date'][:10]}.{quick}\n"


def fill(page: str, results: Path) -> str:
    """`page` with every table made anew."""

    def block(match: re.Match[str]) -> str:
        file, make = TABLES[match[2]]
        path = results / f"{file}.json"
        if not path.exists():
            return f"{match[1]}not measured yet\n{match[3]}"
        result = json.loads(path.read_text())
        return f"{match[1]}{make(result)}\n{origin(result)}{match[3]}"

    return _BLOCK.sub(block, page)


def main(argv: list[str] | None = None) -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--results", type=Path, default=RESULTS)
    options.add_argument("--page", type=Path, default=PAGE)
    wanted = options.parse_args(argv)
    wanted.page.write_text(fill(wanted.page.read_text(), wanted.results))
    print(wanted.page)


if __name__ == "__main__":
    main()
