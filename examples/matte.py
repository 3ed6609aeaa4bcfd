"""Matte the example photograph from Python: `python examples/matte.py [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path

import uhrmat

here = Path(__file__).parent
out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")

with uhrmat.MattingPipeline() as pipeline:
    result = pipeline(here / "kitten.jpg", trimap=here / "kitten_trimap.png")

files = result.save(out)
print(f"{result.stats.active_share:.1%} of the picture was refined at full resolution; see {files['alpha']}")
