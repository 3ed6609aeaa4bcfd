"""Matte the example photograph from Python: `python examples/matte.py [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path

from uhrmat import MattingPipeline
from uhrmat.media import write_alpha, write_rgba

here = Path(__file__).parent
out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
out.mkdir(parents=True, exist_ok=True)

result = MattingPipeline().matte(here / "kitten.jpg", trimap=here / "kitten_trimap.png")

assert result.foreground is not None
write_alpha(out / "alpha.png", result.alpha)
write_rgba(out / "foreground.png", result.foreground, result.alpha, result.picture.info)
print(f"{result.stats.active_share:.1%} of the picture was computed at full resolution; see {out}/")
