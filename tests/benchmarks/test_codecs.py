"""Every codec, written and read back, keeps what is promised of it (docs/research/clips.md has its tables)."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import codecs
from uhrmat.media.video import CODECS


def test_every_codec_there_and_back(tmp_path: Path) -> None:
    codecs.main(["--quick", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "codecs.json").read_text())["codecs"]
    assert {(row["codec"], row["bits"]) for row in rows} == {(c.name, b) for c in CODECS.values() for b in c.bits}
    for row in rows:
        integers = row["codec"] != "exr" or row["bits"] == 32  # half a bit of rounding in a half float
        assert row["exact"] if CODECS[row["codec"]].lossless and integers else row["exact"] or row["psnr"] >= 45, row
        assert row["sound"] and abs(row["longer"]) <= 1, row
        assert len(row["patches"]) == 6 and max(row["patches"].values()) <= 2, row
