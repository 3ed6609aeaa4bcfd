"""The active set of a picture and the convolutions on it."""

from __future__ import annotations

from uhrmat.sparse.active import ActiveSet
from uhrmat.sparse.choose import choose_engine, make_engine
from uhrmat.sparse.dense import DenseEngine
from uhrmat.sparse.engine import Act, Engine, Feat
from uhrmat.sparse.select import ENGINES
from uhrmat.sparse.tiles import TilesEngine

__all__ = [
    "ENGINES",
    "Act",
    "ActiveSet",
    "DenseEngine",
    "Engine",
    "Feat",
    "TilesEngine",
    "choose_engine",
    "make_engine",
]
