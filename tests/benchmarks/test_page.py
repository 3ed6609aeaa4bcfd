"""The benchmark of the report page runs in a real browser and writes what its table shows."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import page, report
from tests.report.page.browser import chromium


def test_quick(tmp_path: Path) -> None:
    with chromium():  # skips where there is none
        pass
    page.main(["--quick", "--threads", "1", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "page.json").read_text())
    assert [row["page"] for row in result["rows"]] == ["image", "compare"]
    assert all(0 < row["median_s"] <= row["largest_s"] and row["bytes"] > 10_000 for row in result["rows"])
    made = report.fill("<!-- table page -->\n<!-- end -->", tmp_path)
    assert "| compare |" in made and "Quick run" in made
