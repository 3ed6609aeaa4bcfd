"""The wheel holds every file of weights/ but those that only ablations need."""

from __future__ import annotations

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
ABLATIONS = {"ddfe-anchored", "ddfe-paper", "ddfe-paper-no-mdrd"}
"""Used by `uhrmat bench hrimf-amr` and benchmarks in a checkout."""


def test_each_file_of_weights_is_in_the_wheel_or_of_an_ablation() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    files = {f"weights/{path.name}" for path in (ROOT / "weights").iterdir() if path.stem not in ABLATIONS}
    assert set(included) == files
    assert all(target == f"uhrmat/{source}" for source, target in included.items())
